"""Metrics by sex, age and race, where a corpus gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Entry
from ..metrics import bootstrap
from ..report.results import Group, MetricValue, Subgroups, known
from .samples import Scored

ENOUGH = 30
"""Samples from which a group counts for the gap, if they are of `bootstrap.MIN_GROUPS` speakers."""

_MANY = 1000  # where speakers are unknown, samples count

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
"""Returns an entry's group, by attribute; None if unknown."""


def compare(
    scored: Scored, n_resamples: int = bootstrap.N_RESAMPLES, seed: int = 0
) -> tuple[Subgroups, ...]:
    """Measure the groups of every attribute that tells at least two apart.

    Args:
        scored: samples and a model's probabilities for them.
        n_resamples: bootstrap samples for the intervals.
        seed: random seed.
    """
    out = []
    for attribute, group_of in ATTRIBUTES.items():
        names = np.array([group_of(e) or "" for e in scored.samples.entries])
        found = sorted(set(names.tolist()) - {""})
        if len(found) < 2:
            continue
        groups: list[Group] = []
        drawn: dict[str, NDArray[np.float64]] = {}
        for name in found:
            group, drawn[name] = _measure(name, scored.subset(names == name), n_resamples, seed)
            groups.append(group)
        groups.sort(key=lambda g: -g.samples)
        out.append(_with_gap(attribute, groups, drawn))
    return tuple(out)


def _measure(
    name: str, scored: Scored, n_resamples: int, seed: int
) -> tuple[Group, NDArray[np.float64]]:
    state, groups = scored.state(), scored.groups
    drawn = bootstrap.resample(state, groups, n_resamples, seed)
    limits = bootstrap.intervals(state, groups, n_resamples, seed)
    values = state.total().metrics()
    shown = {m: MetricValue(float(values[m]), *map(known, limits[m])) for m in _SHOWN}
    return Group(name, len(scored.samples.entries), scored.speakers, shown), drawn["uar"]


def _with_gap(
    attribute: str, groups: Sequence[Group], drawn: dict[str, NDArray[np.float64]]
) -> Subgroups:
    large = sorted(
        (
            g
            for g in groups
            if g.samples >= ENOUGH and (g.speakers or _MANY) >= bootstrap.MIN_GROUPS
        ),
        key=lambda g: -g.metrics["uar"].value,
    )
    if len(large) < 2:
        return Subgroups(attribute, tuple(groups))
    best, worst = large[0], large[-1]
    gap = best.metrics["uar"].value - worst.metrics["uar"].value
    # Different people: their resamples are independent, so any pairing of them will do.
    rng = np.random.default_rng(0)
    differences = drawn[best.name] - rng.permutation(drawn[worst.name])
    limits = bootstrap.interval(differences)
    return Subgroups(attribute, tuple(groups), MetricValue(gap, *limits), (best.name, worst.name))
