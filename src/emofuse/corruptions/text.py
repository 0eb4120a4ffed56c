"""Corruptions of text: what speech recognizers and hasty fingers do to it."""

from __future__ import annotations

import re

import numpy as np


def as_spoken(text: str) -> str:
    """Write a text as speech recognizers do: words and apostrophes only, in lower case.

    A text that has no words stays as it is.
    """
    words = re.sub(r"[^\w'’\[\]]+", " ", text).lower().strip()
    return words or text


def swap_letters(text: str, fraction: float, rng: np.random.Generator) -> str:
    """Swap a fraction of the letters with the one that follows."""
    signs = list(text)
    for i in np.flatnonzero(rng.random(max(len(signs) - 1, 0)) < fraction):
        if signs[i].isalpha() and signs[i + 1].isalpha():
            signs[i], signs[i + 1] = signs[i + 1], signs[i]
    return "".join(signs)


def drop_words(text: str, fraction: float, rng: np.random.Generator) -> str:
    """Leave out a fraction of the words, but never all."""
    words = text.split()
    lost = rng.random(len(words)) < fraction
    kept = [word for word, gone in zip(words, lost, strict=True) if not gone]
    return " ".join(kept or words[:1]) or text
