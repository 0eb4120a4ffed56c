"""Additive metric states: sums from which every metric follows, so that a bootstrap is fast.

Each sample contributes one row. Rows of samples, of speakers, or of resampled sets of
either add up; metrics are functions of the sums, whatever the leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import calibration
from . import classification as metrics

BINS = 15
"""Confidence bins of calibration errors."""

Floats = NDArray[np.floating[Any]]
_S = TypeVar("_S", bound="State")
_A = TypeVar("_A", bound="_Additive")
MetricArrays = dict[str, NDArray[np.float64]]
"""Metrics by name, each of the shape of the state's leading axes."""


class State(Protocol):
    """What can be summed over samples and then measured."""

    def summed(self: _S, groups: NDArray[np.int64]) -> _S:
        """Add up the rows of each group: leading axis samples → groups."""

    def resampled(self: _S, weights: NDArray[np.float32]) -> _S:
        """Add up weighted rows, weights (n_resamples, groups): groups → n_resamples."""

    def total(self: _S) -> _S:
        """Add up all rows: no leading axis is left."""

    def metrics(self) -> MetricArrays:
        """Return the metrics of every row."""


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
        """Add up all rows: no leading axis is left."""
        return self._map(lambda rows: rows.sum(axis=0, dtype=np.float64))

    def _map(self: _A, change: Callable[[Floats], Floats]) -> _A:
        values = {f.name: change(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**values)


@dataclass(frozen=True, slots=True, eq=False)
class MetricState(_Additive):
    """State of single-label predictions.

    A *missed* sample has no prediction (no face was found, say): it counts as an error
    of its class, and not in the metrics of probabilities.

    Args:
        counts: actual × predicted class, shape (…, labels, labels + 1); the last
            column counts missed samples.
        gaps: confidence minus hits in bins of equal width, shape (…, BINS).
        mass_gaps: the same in bins of equal mass, whose bounds are those of the whole
            set also in a resampled one, shape (…, BINS).
        losses: sums of negative log probabilities (nats) and of Brier scores, shape (…, 2).
    """

    counts: Floats
    gaps: Floats
    mass_gaps: Floats
    losses: Floats

    @classmethod
    def of(
        cls,
        actual: NDArray[np.int64],
        probabilities: Floats,
        missed: NDArray[np.bool_] | None = None,
    ) -> MetricState:
        """Make the state of samples, one row each.

        Args:
            actual: class indices, shape (n,).
            probabilities: shape (n, labels).
            missed: samples without a prediction, bool (n,); None: there are none.

        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> found = MetricState.of(np.array([0, 1, 1]), p).total().metrics()
        >>> round(float(found["accuracy"]), 4), round(float(found["uar"]), 4)
        (0.6667, 0.75)
        >>> missed = np.array([False, False, True])
        >>> found = MetricState.of(np.array([0, 1, 1]), p, missed).total().metrics()
        >>> round(float(found["accuracy"]), 4), round(float(found["ece"]), 4)
        (0.6667, 0.15)
        """
        n, labels = probabilities.shape
        row, predicted = np.arange(n), probabilities.argmax(axis=1)
        kept = np.ones(n, bool) if missed is None else ~missed
        counts = np.zeros((n, labels, labels + 1), np.float32)
        counts[row, actual, np.where(kept, predicted, labels)] = 1
        confidence = probabilities.max(axis=1).astype(np.float64)
        gap = confidence - (predicted == actual)
        binned = np.zeros((2, n, BINS), np.float32)
        for out, bins in zip(
            binned, (calibration.equal_width, calibration.equal_mass), strict=True
        ):
            out[row[kept], bins(confidence[kept], BINS)] = gap[kept]
        distance = probabilities - metrics.one_hot(actual, labels)
        surprise = calibration.surprise(actual, probabilities)
        losses = np.stack((surprise, (distance**2).sum(axis=1)), axis=1) * kept[:, None]
        return cls(counts, binned[0], binned[1], losses.astype(np.float32))

    def metrics(self) -> MetricArrays:
        """Return accuracy, uar, macro_f1, weighted_f1, ece, ece_adaptive, nll and brier."""
        n = np.maximum(self.counts[..., :-1].sum(axis=(-2, -1)), 1e-9)
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
    """State of multi-label predictions: hits, predictions and occurrences, each (…, labels)."""

    hits: Floats
    predicted: Floats
    present: Floats

    @classmethod
    def of(cls, present: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> MultilabelMetricState:
        """Make the state of samples, one row each; both bool, (n, labels).

        >>> present = np.array([[True, False], [True, True]])
        >>> predicted = np.array([[True, False], [False, True]])
        >>> state = MultilabelMetricState.of(present, predicted).total()
        >>> {name: round(float(value), 3) for name, value in state.metrics().items()}
        {'macro_f1': 0.833, 'micro_f1': 0.8, 'macro_precision': 1.0, 'macro_recall': 0.75}
        """
        return cls(*(x.astype(np.float32) for x in (present & predicted, predicted, present)))

    def metrics(self) -> MetricArrays:
        """Return macro_f1, micro_f1, macro_precision and macro_recall."""
        total = [x.sum(axis=-1) for x in (self.hits, self.predicted, self.present)]
        return {
            "macro_f1": self.f1().mean(axis=-1),
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
