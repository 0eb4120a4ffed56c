"""Metrics where a sample may carry several labels at once.

`present` and `predicted` are bool, `probabilities` float, all of shape (n, labels).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]


def multilabel_f1(present: Flags, predicted: Flags) -> NDArray[np.float64]:
    """F1 of each label, float64 (labels,); 0 for one that is neither present nor predicted.

    >>> present = np.array([[True, False], [True, True]])
    >>> multilabel_f1(present, np.array([[True, False], [False, True]])).round(3).tolist()
    [0.667, 1.0]
    """
    hits = (present & predicted).sum(axis=0)
    sizes = present.sum(axis=0) + predicted.sum(axis=0)
    f1: NDArray[np.float64] = 2.0 * hits / np.maximum(sizes, 1)
    return f1


def best_thresholds(present: Flags, probabilities: Floats) -> NDArray[np.float64]:
    """Find each label's threshold with the highest F1: float64 (labels,).

    A label is predicted where its probability is at least the threshold. Choose
    them on validation data.

    >>> present = np.array([[True], [True], [False]])
    >>> best_thresholds(present, np.array([[0.9], [0.4], [0.2]])).tolist()
    [0.4]
    """
    columns = zip(present.T, probabilities.T, strict=True)
    return np.array([_best_threshold(is_there, p) for is_there, p in columns])


def _best_threshold(present: Flags, probability: Floats) -> float:
    order = np.argsort(-probability, kind="stable")
    sorted_p = probability[order]
    predicted = np.arange(1, len(order) + 1)
    f1 = 2.0 * np.cumsum(present[order]) / (predicted + present.sum())
    # Equal probabilities cannot be told apart: cut only where the next one is lower.
    f1[:-1][sorted_p[1:] == sorted_p[:-1]] = -1.0
    return float(sorted_p[int(f1.argmax())])
