"""How the learning rate runs over a training: shares of its peak, as pure functions.

A share depends on the step and on the figures measured so far, never on hidden
state, so that a run that was interrupted goes on with the very rates it would
have had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum


class Schedule(str, Enum):
    """Shape of the learning rate over a training."""

    ONE_CYCLE = "one-cycle"
    """Cosine up, cosine down to 0 (Smith & Topin 2018), in `cycles` of halving height."""

    COSINE = "cosine"
    """From the peak down to 0 along a cosine, in `cycles` (Loshchilov & Hutter 2017)."""

    STEP = "step"
    """Multiplied by `factor` every `every` epochs."""

    CONSTANT = "constant"
    """The peak throughout."""

    PLATEAU = "plateau"
    """Multiplied by `factor` whenever `every` epochs brought nothing better."""


def schedule(step: int, total: int, warmup: float, cycles: int = 1) -> float:
    """Return the share of the peak at a step: one-cycles of equal length, halving in height."""
    position, length, cycle = _place(step, total, cycles)
    return 0.5**cycle * one_cycle(position, length, warmup)


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Return the share of the peak learning rate at a step: cosine up, cosine down to 0."""
    rise = max(1.0, warmup * total)
    if step < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise))) / 2


def cosine(step: int, total: int, cycles: int = 1) -> float:
    """Return the share of the peak at a step: down along a cosine, each restart half as high."""
    position, length, cycle = _place(step, total, cycles)
    return 0.5**cycle * (1 + math.cos(math.pi * position / length)) / 2


def steps_down(epoch: int, every: int, factor: float) -> float:
    """Return the share of the peak in an epoch (from 0): times `factor` every `every` epochs."""
    return float(factor ** (epoch // every))


def plateau(figures: Sequence[float], every: int, factor: float) -> float:
    """Return the share of the peak after epochs with these figures (larger is better).

    Whenever `every` epochs in a row brought nothing better, it is multiplied by `factor`,
    and as many epochs pass before it may be again.
    """
    best, waited, share = -math.inf, 0, 1.0
    for figure in figures:
        if figure > best:
            best, waited = figure, 0
        else:
            waited += 1
        if waited >= every:
            share, waited = share * factor, 0
    return share


def epochs_since_best(figures: Sequence[float]) -> int:
    """Return how many epochs have passed since the best figure (the first of equals)."""
    if not figures:
        return 0
    return len(figures) - 1 - max(range(len(figures)), key=lambda i: (figures[i], -i))


def _place(step: int, total: int, cycles: int) -> tuple[int, int, int]:
    """Return the position in a cycle, the cycle's length and its number."""
    length = max(1, total // cycles)
    cycle = min(step // length, cycles - 1)
    return step - cycle * length, length, cycle
