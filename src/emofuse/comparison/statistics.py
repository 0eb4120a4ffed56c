"""How groups differ: means, bootstrap intervals by participant, effect sizes.

Participants, not slots, are what is drawn: slots of one person resemble each other, and an interval
over slots would be far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .groups import Recording
from .measures import (
    BRIEF_S,
    LABELS,
    MEASURES,
    Alignment,
    Measured,
    by_participant,
    course,
    measure,
)

FEW = 5
"""With fewer participants in a group there are no intervals."""

SCARCE = 10
"""With fewer, intervals are called too narrow."""

RESAMPLES = 5000
SEED = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The participants of a group.

    Args:
        name: of the group.
        participants: their names.
        values: shape (participants, measures); see `MEASURES`.
        courses: shape (participants, steps, labels).
        recordings: how many there are.
        seconds: of evidence.
    """

    name: str
    participants: tuple[str, ...]
    values: NDArray[np.float64]
    courses: NDArray[np.float64]
    recordings: int
    seconds: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over participants of each measure; NaN where none has it."""
        return _mean(self.values)

    def band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the 95 % interval of the mean course, or None with too few participants."""
        if len(self.participants) < FEW:
            return None
        rng = np.random.default_rng(SEED)
        draws = rng.integers(len(self.courses), size=(RESAMPLES // 10, len(self.courses)))
        means = np.stack([_mean(self.courses[draw]) for draw in draws])
        return _percentile(means, 2.5), _percentile(means, 97.5)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two groups differ in a measure.

    Args:
        measure: which.
        a: the one group.
        b: the other.
        count_a: participants of the one that have it.
        count_b: participants of the other.
        mean_a: mean over the participants of the one.
        mean_b: of the other.
        interval: 95 % bootstrap interval of `difference`; None with too few participants.
        effect: Hedges' g, or d of the differences where participants are paired; None if it cannot
            be told.
        effect_interval: 95 % bootstrap interval of it.
        paired: whether the same participants are in both groups.
    """

    measure: str
    a: str
    b: str
    count_a: int
    count_b: int
    mean_a: float
    mean_b: float
    interval: tuple[float, float] | None
    effect: float | None
    effect_interval: tuple[float, float] | None
    paired: bool

    @property
    def difference(self) -> float:
        """`mean_b` − `mean_a`."""
        return self.mean_b - self.mean_a

    @property
    def clear(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Groups and how they differ.

    Args:
        groups: in the order in which they were given.
        differences: of each pair of groups in each measure that both have.
        alignment: of the courses.
        warnings: what to know before one believes it.
    """

    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    alignment: Alignment
    warnings: tuple[str, ...]


def compare(recordings: Sequence[Recording], alignment: Alignment) -> Comparison:
    """Compare groups of recordings.

    Args:
        recordings: from `read_groups`.
        alignment: what the courses of time are laid upon each other by.

    Raises:
        InputError: if a recording lacks the person that it is about.
    """
    all_measured = [measure(r) for r in recordings]
    kept = [m for m in all_measured if m.seconds >= BRIEF_S]
    names = tuple(dict.fromkeys(r.group for r in recordings))
    groups = tuple(_group(name, kept, alignment) for name in names)
    pairs = [(a, b) for a, b in combinations(groups, 2) if a.participants and b.participants]
    differences = tuple(d for a, b in pairs for d in _differences(a, b))
    left_out = [m for m in all_measured if m.seconds < BRIEF_S]
    warnings = (*_warnings(groups, differences, left_out, alignment),)
    return Comparison(groups, differences, alignment, warnings)


def _group(name: str, measured: Sequence[Measured], alignment: Alignment) -> Group:
    mine = [m for m in measured if m.recording.group == name]
    steps = len(alignment.edges) - 1
    rows = list(by_participant(mine, [m.values for m in mine]))
    courses = [c for _, _, c in by_participant(mine, [course(m, alignment) for m in mine])]
    return Group(
        name,
        tuple(participant for _, participant, _ in rows),
        np.array([values for _, _, values in rows]).reshape(len(rows), len(MEASURES)),
        np.array(courses).reshape(len(rows), steps, len(LABELS)),
        len(mine),
        sum(m.seconds for m in mine),
    )


def _differences(a: Group, b: Group) -> Iterator[Difference]:
    both = [p for p in a.participants if p in b.participants]
    paired = len(both) > 1
    for i, name in enumerate(MEASURES):
        if paired:
            x = np.array([a.values[a.participants.index(p), i] for p in both])
            y = np.array([b.values[b.participants.index(p), i] for p in both])
            known = np.isfinite(x) & np.isfinite(y)
            x, y = x[known], y[known]
        else:
            x, y = (v[np.isfinite(v)] for v in (a.values[:, i], b.values[:, i]))
        if len(x) and len(y):
            interval, effect, effect_interval = _estimate(x, y, paired)
            means = float(x.mean()), float(y.mean())
            counts = len(x), len(y)
            yield Difference(
                name, a.name, b.name, *counts, *means, interval, effect, effect_interval, paired
            )


Interval = tuple[float, float]


def _estimate(
    x: NDArray[np.float64], y: NDArray[np.float64], paired: bool
) -> tuple[Interval | None, float | None, Interval | None]:
    """Return the interval of the difference, the effect size, and its interval."""
    if min(len(x), len(y)) < 2:
        return None, None, None
    effect = _known(effect_size(x[None], y[None], paired)[0])
    if min(len(x), len(y)) < FEW:
        return None, effect, None
    rng = np.random.default_rng(SEED)
    first = rng.integers(len(x), size=(RESAMPLES, len(x)))
    second = first if paired else rng.integers(len(y), size=(RESAMPLES, len(y)))
    drawn_x, drawn_y = x[first], y[second]
    effects = effect_size(drawn_x, drawn_y, paired)
    return (
        _ends(drawn_y.mean(axis=1) - drawn_x.mean(axis=1)),
        effect,
        None if effect is None else _ends(effects[np.isfinite(effects)]),
    )


def effect_size(
    x: NDArray[np.float64], y: NDArray[np.float64], paired: bool
) -> NDArray[np.float64]:
    """Return Hedges' g of rows of samples, or d of their differences where they are paired.

    Both are corrected for small samples by 1 − 3 / (4 df − 1) (Hedges 1981). NaN where nothing
    varies.

    Example:
        >>> x, y = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[2.0, 3.0, 4.0, 5.0]])
        >>> effect_size(x, y, False).round(3).tolist()
        [0.674]
    """
    if paired:
        change = y - x
        df, spread = x.shape[1] - 1, change.std(axis=1, ddof=1)
        distance = change.mean(axis=1)
    else:
        n, m = x.shape[1], y.shape[1]
        df = n + m - 2
        pooled = ((n - 1) * x.var(axis=1, ddof=1) + (m - 1) * y.var(axis=1, ddof=1)) / df
        distance, spread = y.mean(axis=1) - x.mean(axis=1), np.sqrt(pooled)
    correction = 1 - 3 / (4 * df - 1)
    effect: NDArray[np.float64] = correction * distance / np.where(spread > 1e-12, spread, np.nan)
    return effect


def _warnings(
    groups: Sequence[Group],
    differences: Sequence[Difference],
    left_out: Sequence[Measured],
    alignment: Alignment,
) -> Iterator[str]:
    for m in left_out:
        yield f"{m.recording.path} is left out: {m.seconds:.1f} s of evidence are too little."
    for g in groups:
        n = len(g.participants)
        people = "1 participant" if n == 1 else f"{n} participants"
        if n < 2:
            yield (
                f"{g.name} has {people}: what is shown describes these recordings, and says "
                "nothing of anybody else."
            )
        elif n < FEW:
            yield (
                f"{g.name} has {people}: too few for intervals, which need at least {FEW} in each "
                "group. Effect sizes of so few are hardly more than chance."
            )
        elif n < SCARCE:
            yield f"{g.name} has {people}: with fewer than {SCARCE}, intervals are too narrow."
    yield "Groups may differ in light, sound, age or language, on which the models err unlike."
    if any(d.interval for d in differences):
        count = sum(d.interval is not None for d in differences)
        yield (
            f"{count} differences are looked at: of intervals like these, about 1 in 20 misses 0 "
            "by chance alone."
        )
    if any(d.paired for d in differences):
        yield "The same participants are in two groups: these are compared with themselves."
    for g in groups:
        if alignment.times is not None and not np.isfinite(g.courses).any():
            yield f"{g.name} has no marker: it has no course of time."


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the first axis what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total: NDArray[np.float64] = np.where(known, values, 0.0).sum(axis=0)
    return total / np.where(count > 0, count, np.nan)


def _percentile(values: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """Return a percentile over the first axis; NaN where anything is not known."""
    found: NDArray[np.float64] = np.percentile(values, q, axis=0)
    return found


def _ends(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
