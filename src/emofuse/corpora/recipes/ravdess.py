"""RAVDESS, speech: 1,440 clips of 24 actors in 8 emotions (CC BY-NC-SA 4.0).

Livingstone and Russo 2018, *The Ryerson Audio-Visual Database of Emotional
Speech and Song*, doi:10.1371/journal.pone.0196391; actor-disjoint folds of
Luna-Jiménez et al. 2021, doi:10.3390/s21227665.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ...errors import InputError
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split

TEST_FOLD = 3
"""Fold that models which ship with emofuse never learn from."""

SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
"""What is said, by the statement's code."""


def load(root: Path, suffix: str = ".opus") -> Manifest:
    """Read the corpus' table.

    Args:
        root: folder with ``ravdess.csv`` (columns ``clip, speaker, sex, statement,
            emotion, fold`` and others) and the sound as
            ``ravdess/Actor_NN/CLIP.suffix``.
        suffix: of the sound files; the original corpus has ``.wav``.

    Returns:
        The manifest, taxonomy ``ravdess``; fold `TEST_FOLD` is its test split,
        the others are for training.

    Raises:
        InputError: if the table is missing or lacks a column.
    """
    table = root / "ravdess.csv"
    try:
        with table.open(newline="", encoding="utf-8") as f:
            entries = tuple(_entry(row, root / "ravdess", suffix) for row in csv.DictReader(f))
    except FileNotFoundError:
        raise InputError(
            f"no RAVDESS here: expected the table {table}; set `data` to its folder"
        ) from None
    except (KeyError, ValueError) as e:
        raise InputError(f"{table} is not the table of RAVDESS that is expected: {e!r}") from e
    return Manifest("ravdess", taxonomy("ravdess"), entries)


def _entry(row: dict[str, str], sound: Path, suffix: str) -> Entry:
    fold = int(row["fold"])
    return Entry(
        id=row["clip"],
        path=sound / f"Actor_{int(row['speaker']):02d}" / (row["clip"] + suffix),
        labels={row["emotion"]: 1.0},
        split=Split.TEST if fold == TEST_FOLD else Split.TRAIN,
        fold=fold,
        speaker=row["speaker"],
        sex=row["sex"],
        text=SENTENCES[row["statement"]],
    )
