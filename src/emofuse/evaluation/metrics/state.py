"""Additive counts from which every figure follows: what a bootstrap can resample at speed.

Each sample contributes one row; rows of samples, of speakers, or of resampled
sets of either add up. Figures are functions of the sums, whatever axes lead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import classification as metrics

BINS = 15
"""Intervals of confidence of calibration errors."""

Floats = NDArray[np.floating[Any]]
_C = TypeVar("_C", bound="Countable")
_A = TypeVar("_A", bound="_Additive")
Figures = dict[str, NDArray[np.float64]]
"""Figures by name, each of the shape of the tally's leading axes."""


class Countable(Protocol):
    """What can be summed over samples and then measured."""

    def summed(self: _C, groups: NDArray[np.int64]) -> _C:
        """Add up the rows of each group: leading axis samples → groups."""

    def resampled(self: _C, weights: NDArray[np.float32]) -> _C:
        """Add up weighted rows: leading axis groups → n_resamples; weights (n_resamples, groups)."""

    def total(self: _C) -> _C:
        """Add up all rows: no axis leads any more."""

    def figures(self) -> Figures:
        """Return the figures of every row."""


class _Additive:
    """Sums of dataclass fields along their first axis."""

    __slots__ = ()

    def summed(self: _A, groups: NDArray[np.int64]) -> _A:
        """Add up the rows of each group, numbered from 0."""
        n = int(groups.max()) + 1 if len(groups) else 0
        return self._map(lambda rows: _sum_by(rows, groups, n))

    def resampled(self: _A, weights: NDArray[np.float32]) -> _A:
        """Add up rows with weights, shape (n_resamples, rows)."""
        return self._map(
            lambda rows: (weights @ rows.reshape(len(rows), -1)).reshape(-1, *rows.shape[1:])
        )

    def total(self: _A) -> _A:
        """Add up all rows: no axis leads any more."""
        return self._map(lambda rows: rows.sum(axis=0, dtype=np.float64))

    def _map(self: _A, change: Callable[[Floats], Floats]) -> _A:
        values = {f.name: change(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**values)


@dataclass(frozen=True, slots=True, eq=False)
class MetricState(_Additive):
    """Counts of single-label answers.

    Args:
        counts: actual × predicted class, shape (…, labels, labels).
        gaps: confidence less hits in bins of equal width, shape (…, BINS).
        mass_gaps: the same in bins of equal mass, whose bounds are those of the whole
            set also in a resampled one, shape (…, BINS).
        losses: sums of negative log probabilities (nats) and of Brier scores, shape (…, 2).
    """

    counts: Floats
    gaps: Floats
    mass_gaps: Floats
    losses: Floats

    @classmethod
    def of(cls, actual: NDArray[np.int64], probabilities: Floats) -> MetricState:
        """Count samples, one row each; actual (n,), probabilities (n, labels)."""
        n, labels = probabilities.shape
        row, answer = np.arange(n), probabilities.argmax(axis=1)
        counts = np.zeros((n, labels, labels), np.float32)
        counts[row, actual, answer] = 1
        confidence = probabilities.max(axis=1).astype(np.float64)
        binned = np.zeros((2, n, BINS), np.float32)
        for out, bins in zip(binned, (metrics.equal_width, metrics.equal_mass), strict=True):
            out[row, bins(confidence, BINS)] = confidence - (answer == actual)
        distance = probabilities - metrics.one_hot(actual, labels)
        losses = np.stack((metrics.surprise(actual, probabilities), (distance**2).sum(1)), axis=1)
        return cls(counts, binned[0], binned[1], losses.astype(np.float32))

    def figures(self) -> Figures:
        """Return accuracy, uar, macro_f1, weighted_f1, ece, ece_adaptive, nll and brier."""
        n = np.maximum(self.counts.sum(axis=(-2, -1)), 1e-9)
        return {
            "accuracy": metrics.accuracy_of(self.counts),
            "uar": metrics.uar_of(self.counts),
            "macro_f1": metrics.macro_f1_of(self.counts),
            "weighted_f1": metrics.weighted_f1_of(self.counts),
            "ece": np.abs(self.gaps).sum(axis=-1) / n,
            "ece_adaptive": np.abs(self.mass_gaps).sum(axis=-1) / n,
            "nll": self.losses[..., 0] / n,
            "brier": self.losses[..., 1] / n,
        }


@dataclass(frozen=True, slots=True, eq=False)
class MultilabelMetricState(_Additive):
    """Counts of multi-label answers: hits, predictions and occurrences, each (…, labels)."""

    hits: Floats
    predicted: Floats
    present: Floats

    @classmethod
    def of(cls, present: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> MultilabelMetricState:
        """Count samples, one row each; both bool, (n, labels)."""
        return cls(*(x.astype(np.float32) for x in (present & predicted, predicted, present)))

    def figures(self) -> Figures:
        """Return macro_f1, micro_f1, and macro_precision and macro_recall."""
        f1 = self.f1()
        total = [x.sum(axis=-1) for x in (self.hits, self.predicted, self.present)]
        return {
            "macro_f1": f1.mean(axis=-1),
            "micro_f1": 2 * total[0] / np.maximum(total[1] + total[2], 1),
            "macro_precision": (self.hits / np.maximum(self.predicted, 1)).mean(axis=-1),
            "macro_recall": (self.hits / np.maximum(self.present, 1)).mean(axis=-1),
        }

    def f1(self) -> NDArray[np.float64]:
        """F1 of each label, (…, labels); 0 for one that is neither present nor predicted."""
        out: NDArray[np.float64] = 2 * self.hits / np.maximum(self.predicted + self.present, 1)
        return out


def _sum_by(rows: Floats, groups: NDArray[np.int64], n: int) -> Floats:
    out = np.zeros((n, *rows.shape[1:]), np.float64)
    np.add.at(out, groups, rows)
    return out.astype(np.float32)
