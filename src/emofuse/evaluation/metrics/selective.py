"""What abstaining buys: risk against coverage (Geifman & El-Yaniv 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def risk_coverage(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return the share of samples that are answered, and of these the share that is wrong.

    The surest k of n are answered, k = 1 … n. Samples of equal confidence share their
    errors, so that their order is of no matter.

    Args:
        confidence: shape (n,).
        right: shape (n,).

    Returns:
        Coverage and risk, each of shape (n,).
    """
    order = np.argsort(-confidence, kind="stable")
    group = np.unique(-confidence[order], return_inverse=True)[1].ravel()
    wrong = (~right[order]).astype(np.float64)
    shared = (np.bincount(group, wrong) / np.bincount(group))[group]
    answered = np.arange(1, len(order) + 1)
    return answered / len(order), shared.cumsum() / answered


def aurc(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages, 0 best.

    Confidence that says nothing gives the error rate.
    """
    return float(risk_coverage(confidence, right)[1].mean())


def best_aurc(right: NDArray[np.bool_]) -> float:
    """Area of a confidence that knows every error: what no answer's order can beat."""
    return aurc(right.astype(np.float64), right)


def threshold_for(confidence: NDArray[np.floating[Any]], coverage: float) -> float:
    """Return the largest confidence to ask for that leaves at least `coverage` answered."""
    ordered = np.sort(confidence)[::-1]
    kept = max(1, int(np.ceil(coverage * len(ordered) - 1e-9)))
    return float(ordered[kept - 1])
