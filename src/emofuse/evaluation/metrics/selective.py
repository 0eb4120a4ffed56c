"""Selective prediction: risk against coverage (Geifman & El-Yaniv 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def risk_coverage(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return the share of samples that are accepted, and the error rate among these.

    The most confident k of n are accepted, k = 1 … n. Samples of equal confidence share
    their errors, so that their order does not matter.

    Args:
        confidence: shape (n,).
        right: whether each prediction is right, shape (n,).

    Returns:
        Coverage and risk, each of shape (n,), in [0, 1].

    >>> coverage, risk = risk_coverage(np.array([0.9, 0.6, 0.8]), np.array([True, False, True]))
    >>> coverage.round(2).tolist(), risk.round(2).tolist()
    ([0.33, 0.67, 1.0], [0.0, 0.0, 0.33])
    """
    order = np.argsort(-confidence, kind="stable")
    group = np.unique(-confidence[order], return_inverse=True)[1].ravel()
    wrong = (~right[order]).astype(np.float64)
    shared = (np.bincount(group, wrong) / np.bincount(group))[group]
    accepted = np.arange(1, len(order) + 1)
    return accepted / len(order), shared.cumsum() / accepted


def aurc(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages, 0 best.

    Uninformative confidence gives the error rate.

    >>> aurc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])).__round__(4)
    0.1458
    """
    return float(risk_coverage(confidence, right)[1].mean())


def best_aurc(right: NDArray[np.bool_]) -> float:
    """Area under the curve of an oracle that ranks every error last: the lower bound of `aurc`.

    >>> best_aurc(np.array([True, False]))
    0.25
    """
    return aurc(right.astype(np.float64), right)


def threshold_for(confidence: NDArray[np.floating[Any]], coverage: float) -> float:
    """Return the highest threshold at which at least `coverage` of the samples are accepted.

    >>> threshold_for(np.array([0.9, 0.5, 0.7, 0.6]), coverage=0.75)
    0.6
    """
    ordered = np.sort(confidence)[::-1]
    kept = max(1, int(np.ceil(coverage * len(ordered) - 1e-9)))
    return float(ordered[kept - 1])
