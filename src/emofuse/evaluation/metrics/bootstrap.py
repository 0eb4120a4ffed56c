"""How far a figure might be off because other samples, or other speakers, had been asked.

The bootstrap (Efron 1979) n_resamples as many groups as there are, with replacement,
and measures again. A group is a speaker, because one speaker's clips resemble
each other and are no independent evidence (cluster bootstrap, Field and Welsh
2007); without speakers each sample is a group of its own. Intervals are
percentiles; those of calibration errors are moved by the bootstrap's estimate of
their bias, because resampling adds noise to bins and noise adds to such an error.
With fewer than about ten speakers intervals are too narrow, with fewer than
`LEAST` none are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .state import Countable

DRAWS = 2000
"""Resampled sets by default."""

FEW = 10
"""Groups below which an interval is said to be rough."""

LEAST = 5
"""Groups below which there is no interval at all."""

_AT_ONCE = 2**22  # group counts held while resamples are summed (32 MB)

Interval = tuple[float, float]


def group_of(speakers: Sequence[str | None]) -> NDArray[np.int64]:
    """Number the groups: one per speaker; a sample without a speaker is one by itself."""
    names = [f"sample {i}" if s is None else f"speaker {s}" for i, s in enumerate(speakers)]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def draw(
    tally: Countable, groups: NDArray[np.int64], n_resamples: int = DRAWS, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Measure resampled sets.

    Args:
        tally: one row a sample.
        groups: number of each sample's group, from 0.
        n_resamples: how many sets.
        seed: of the drawing.

    Returns:
        By figure, its values on all sets: shape (n_resamples,).
    """
    by_group = tally.summed(groups)
    n = int(groups.max()) + 1
    rng = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _AT_ONCE // n))
    found: dict[str, list[NDArray[np.float64]]] = {}
    for first in range(0, n_resamples, size):
        weights = _weights(n, min(size, n_resamples - first), rng)
        for name, values in by_group.resampled(weights).figures().items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def intervals(
    tally: Countable,
    groups: NDArray[np.int64],
    n_resamples: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return the interval of each figure; NaN with fewer than `LEAST` groups. Args as `draw`."""
    values = tally.total().figures()
    if int(groups.max()) + 1 < LEAST:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    drawn = draw(tally, groups, n_resamples, seed)
    return {name: _limits(name, float(v), drawn[name], level) for name, v in values.items()}


def _limits(name: str, value: float, drawn: NDArray[np.float64], level: float) -> Interval:
    low, high = interval(drawn, level)
    if not name.startswith("ece"):
        return low, high
    bias = float(np.nanmean(drawn)) - value
    return max(0.0, low - bias), max(0.0, high - bias)


def interval(values: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Return the percentiles that hold `level` of the values; NaN does not count."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and standard deviation (of a sample, n - 1) of some figures."""
    all_of_them = np.array(list(values), np.float64)
    sd = all_of_them.std(ddof=1) if len(all_of_them) > 1 else 0.0
    return float(all_of_them.mean()), float(sd)


def _weights(n: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each of n groups is in each set: float32, (n_resamples, n); rows sum to n."""
    picked = rng.integers(0, n, (n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    return (
        np.bincount(picked.ravel(), minlength=n_resamples * n)
        .reshape(n_resamples, n)
        .astype(np.float32)
    )
