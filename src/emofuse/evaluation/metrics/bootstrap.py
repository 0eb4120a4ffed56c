"""Bootstrap intervals: how far a metric depends on the samples, or speakers, at hand.

The bootstrap (Efron 1979) draws as many groups as there are, with replacement, and
measures again. A group is a speaker, because clips of one speaker resemble each other
and are not independent (cluster bootstrap, Field and Welsh 2007); without speakers each
sample is a group of its own. Intervals are percentiles; those of calibration errors are
shifted by the bootstrap's estimate of their bias, because resampling adds noise to the
bins and noise inflates such an error. With fewer than about `FEW_GROUPS` speakers
intervals are too narrow, with fewer than `MIN_GROUPS` none are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .state import State

N_RESAMPLES = 2000
"""Default number of bootstrap samples."""

FEW_GROUPS = 10
"""Number of groups below which intervals are flagged as too narrow."""

MIN_GROUPS = 5
"""Number of groups below which no interval is given."""

_AT_ONCE = 2**22  # group counts held while resamples are summed (32 MB)

Interval = tuple[float, float]


def group_of(speakers: Sequence[str | None]) -> NDArray[np.int64]:
    """Number the groups, int64 (n,): one per speaker, one per sample without a speaker.

    >>> group_of(["a", None, "b", "a", None]).tolist()
    [0, 1, 2, 0, 3]
    """
    names = [f"sample {i}" if s is None else f"speaker {s}" for i, s in enumerate(speakers)]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def resample(
    state: State, groups: NDArray[np.int64], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Measure bootstrap samples.

    Args:
        state: one row per sample.
        groups: group of each sample, from 0, shape (n,).
        n_resamples: number of bootstrap samples.
        seed: random seed.

    Returns:
        Each metric's values on all bootstrap samples: shape (n_resamples,).

    >>> from emofuse.evaluation.metrics.state import MetricState
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8]] * 10)
    >>> drawn = resample(MetricState.of(np.array([0, 0] * 10), p), np.arange(20), 100)
    >>> drawn["accuracy"].shape, bool(abs(drawn["accuracy"].mean() - 0.5) < 0.05)
    ((100,), True)
    """
    by_group = state.summed(groups)
    n = int(groups.max()) + 1
    rng = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _AT_ONCE // n))
    found: dict[str, list[NDArray[np.float64]]] = {}
    for first in range(0, n_resamples, size):
        weights = _weights(n, min(size, n_resamples - first), rng)
        for name, values in by_group.resampled(weights).metrics().items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def intervals(
    state: State,
    groups: NDArray[np.int64],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return the interval of each metric that holds `level` of its bootstrap samples.

    Args:
        state: one row per sample.
        groups: group of each sample, from 0, shape (n,).
        n_resamples: number of bootstrap samples.
        seed: random seed.
        level: of confidence, in (0, 1).

    Returns:
        Low and high by metric; NaN with fewer than `MIN_GROUPS` groups.

    >>> from emofuse.evaluation.metrics.state import MetricState
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8]] * 50)
    >>> found = intervals(MetricState.of(np.array([0, 0] * 50), p), np.arange(100), 500)
    >>> [round(x, 1) for x in found["accuracy"]]
    [0.4, 0.6]
    """
    values = state.total().metrics()
    if int(groups.max()) + 1 < MIN_GROUPS:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    drawn = resample(state, groups, n_resamples, seed)
    return {name: _limits(name, float(v), drawn[name], level) for name, v in values.items()}


def _limits(name: str, value: float, drawn: NDArray[np.float64], level: float) -> Interval:
    low, high = interval(drawn, level)
    if not name.startswith("ece"):
        return low, high
    bias = float(np.nanmean(drawn)) - value
    return max(0.0, low - bias), max(0.0, high - bias)


def interval(values: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Return the percentiles between which `level` of the values lie; NaN does not count.

    >>> [round(x, 3) for x in interval(np.arange(101.0), 0.9)]
    [5.0, 95.0]
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and standard deviation (of a sample, n - 1) of some values.

    >>> mean, deviation = spread([0.6, 0.7, 0.8])
    >>> round(mean, 3), round(deviation, 3)
    (0.7, 0.1)
    """
    array = np.array(list(values), np.float64)
    deviation = array.std(ddof=1) if len(array) > 1 else 0.0
    return float(array.mean()), float(deviation)


def _weights(n: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each of n groups is in each set: float32, (n_resamples, n); rows sum to n."""
    picked = rng.integers(0, n, (n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    return (
        np.bincount(picked.ravel(), minlength=n_resamples * n)
        .reshape(n_resamples, n)
        .astype(np.float32)
    )
