"""What is measured of one model on people whom it has not met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import bootstrap, calibration
from ..metrics.state import MetricState
from ..report.results import MetricValue, known

Array = NDArray[np.float64]

SURE = 0.9
"""Confidence above which an answer counts as sure."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics of one set of predictions.

    Args:
        samples: number of samples.
        speakers: number of people; None if they are not known.
        metrics: see `MetricState.metrics`, with intervals by person.
        sure: share of the answers that are above `SURE`.
        sure_wrong: share of those that are wrong; None if there are none.
        missed: samples in which no face was found; errors, and not in calibration.
    """

    samples: int
    speakers: int | None
    metrics: dict[str, MetricValue]
    sure: float
    sure_wrong: float | None
    missed: int = 0

    def to_mapping(self) -> dict[str, Any]:
        """Return plain types for JSON."""
        values = {
            name: {"value": round(m.value, 4), "interval": _rounded(m.low, m.high)}
            for name, m in self.metrics.items()
        }
        wrong = None if self.sure_wrong is None else round(self.sure_wrong, 4)
        return {
            "samples": self.samples,
            "speakers": self.speakers,
            "missed": self.missed,
            **values,
            "above_90": round(self.sure, 4),
            "wrong_above_90": wrong,
        }


def measure(
    actual: NDArray[np.int64],
    p: NDArray[np.floating[Any]],
    speakers: Sequence[str],
    n_resamples: int,
    missed: NDArray[np.bool_] | None = None,
) -> Measured:
    """Measure probabilities.

    Args:
        actual: class indices, (n,).
        p: probabilities, (n, labels).
        speakers: of the samples; "" where unknown.
        n_resamples: bootstrap samples for intervals.
        missed: samples without a prediction, bool (n,).
    """
    state = MetricState.of(actual, p, missed)
    groups = bootstrap.group_of([s or None for s in speakers])
    limits = bootstrap.intervals(state, groups, n_resamples)
    values = {
        name: MetricValue(float(v), *map(known, limits[name]))
        for name, v in state.total().metrics().items()
    }
    kept = np.ones(len(actual), bool) if missed is None else ~missed
    sure, wrong = calibration.confident_errors(actual[kept], p[kept], SURE)
    return Measured(
        len(actual),
        len(set(speakers) - {""}) or None,
        values,
        sure,
        None if math.isnan(wrong) else wrong,
        int((~kept).sum()),
    )


def _rounded(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [round(low, 4), round(high, 4)]
