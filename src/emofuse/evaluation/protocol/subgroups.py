"""Whom a model reads worse: the same figures by sex, age and race, where a corpus gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Entry
from ..metrics import bootstrap
from ..metrics.state import MetricState
from ..report.results import Figure, Group, Subgroups, number

ENOUGH = 30
"""Samples from which a group counts for the gap, if `bootstrap.LEAST` speakers gave them."""

_MANY = 1000  # where speakers are not known, samples count

_SHOWN = ("accuracy", "uar", "ece")

_AGES = (18, 30, 45, 60)


def age_band(years: float | None) -> str | None:
    """Return the band of an age: ``"under 18"``, ``"18-29"`` … ``"60 and over"``."""
    if years is None:
        return None
    if years < _AGES[0]:
        return f"under {_AGES[0]}"
    for low, high in pairwise(_AGES):
        if years < high:
            return f"{low}-{high - 1}"
    return f"{_AGES[-1]} and over"


ATTRIBUTES: dict[str, Callable[[Entry], str | None]] = {
    "sex": lambda e: e.sex,
    "age": lambda e: age_band(e.age),
    "race": lambda e: e.race,
}
"""By name, what tells an entry's group; None if it is not known."""


def compare(
    entries: Sequence[Entry],
    actual: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    n_resamples: int = bootstrap.DRAWS,
    seed: int = 0,
) -> tuple[Subgroups, ...]:
    """Measure the groups of every attribute that tells at least two apart.

    Args:
        entries: the samples.
        actual: their classes, (n,).
        probabilities: the model's answers, (n, labels).
        n_resamples: resampled sets for the intervals.
        seed: of the drawing.
    """
    out = []
    for attribute, tell in ATTRIBUTES.items():
        names = [tell(e) for e in entries]
        found = sorted({n for n in names if n is not None})
        if len(found) < 2:
            continue
        groups: list[Group] = []
        drawn: dict[str, NDArray[np.float64]] = {}
        for name in found:
            keep = np.array([n == name for n in names])
            group, values = _measure(name, entries, actual, probabilities, keep, n_resamples, seed)
            groups.append(group)
            drawn[name] = values
        groups.sort(key=lambda g: -g.samples)
        out.append(_with_gap(attribute, groups, drawn))
    return tuple(out)


def _measure(
    name: str,
    entries: Sequence[Entry],
    actual: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    keep: NDArray[np.bool_],
    n_resamples: int,
    seed: int,
) -> tuple[Group, NDArray[np.float64]]:
    tally = MetricState.of(actual[keep], probabilities[keep])
    speakers = [e.speaker for e, yes in zip(entries, keep, strict=True) if yes]
    groups = bootstrap.group_of(speakers)
    drawn = bootstrap.draw(tally, groups, n_resamples, seed)
    limits = bootstrap.intervals(tally, groups, n_resamples, seed)
    values = tally.total().figures()
    figures = {f: Figure(float(values[f]), *map(number, limits[f])) for f in _SHOWN}
    known = {s for s in speakers if s is not None}
    return Group(name, int(keep.sum()), len(known) or None, figures), drawn["uar"]


def _with_gap(
    attribute: str, groups: Sequence[Group], drawn: dict[str, NDArray[np.float64]]
) -> Subgroups:
    large = sorted(
        (g for g in groups if g.samples >= ENOUGH and (g.speakers or _MANY) >= bootstrap.LEAST),
        key=lambda g: -g.figures["uar"].value,
    )
    if len(large) < 2:
        return Subgroups(attribute, tuple(groups))
    best, worst = large[0], large[-1]
    gap = best.figures["uar"].value - worst.figures["uar"].value
    # Different people: their resamples are independent, so differences of any pairing will do.
    rng = np.random.default_rng(0)
    differences = drawn[best.name] - rng.permutation(drawn[worst.name])
    limits = bootstrap.interval(differences)
    return Subgroups(attribute, tuple(groups), Figure(gap, *limits), (best.name, worst.name))
