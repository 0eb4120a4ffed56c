"""Accuracy, recall, precision and F1.

`actual` and `predicted` hold class indices, shape (n,). What is called ``…_of`` takes
confusion counts of shape (…, labels, columns), actual classes in rows: leading axes are
kept, so that a thousand resampled tables are measured at once. Columns after the first
`labels` count what was predicted as none of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]


def accuracy(actual: Indices, predicted: Indices) -> float:
    """Share of right predictions, in [0, 1].

    >>> accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]))
    0.75
    """
    return float((actual == predicted).mean())


def confusion(actual: Indices, predicted: Indices, labels: int) -> NDArray[np.int64]:
    """Count samples by actual (row) and predicted (column) class: shape (labels, labels).

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    counts = np.bincount(actual * labels + predicted, minlength=labels * labels)
    return counts.reshape(labels, labels)


def uar(actual: Indices, predicted: Indices, labels: int) -> float:
    """Unweighted average recall over the classes that occur in `actual`, in [0, 1].

    >>> uar(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2)  # always the larger class
    0.5
    """
    return float(uar_of(confusion(actual, predicted, labels)))


def macro_f1(actual: Indices, predicted: Indices, labels: int) -> float:
    """Mean F1 over the classes that occur in `actual` or in `predicted`, in [0, 1].

    >>> round(macro_f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3), 4)
    0.7333
    """
    return float(macro_f1_of(confusion(actual, predicted, labels)))


def weighted_f1(actual: Indices, predicted: Indices, labels: int) -> float:
    """Mean F1 of the classes, each weighted by how often it occurs in `actual`.

    >>> round(weighted_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2), 4)
    0.7667
    """
    return float(weighted_f1_of(confusion(actual, predicted, labels)))


def accuracy_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the counts that lie on the diagonal: shape (…).

    >>> float(accuracy_of(np.array([[3, 1], [0, 4]])))
    0.875
    """
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def recall_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Recall of each class, shape (…, labels); NaN for one that does not occur.

    >>> recall_of(np.array([[3, 1], [0, 0]])).tolist()
    [0.75, nan]
    """
    return ratio(_diagonal(counts), counts.sum(axis=-1))


def precision_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Precision of each class, shape (…, labels); NaN for one that is never predicted.

    >>> precision_of(np.array([[3, 0], [1, 0]])).tolist()
    [0.75, nan]
    """
    return ratio(_diagonal(counts), _predicted(counts))


def f1_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of each class, shape (…, labels); NaN for one neither there nor predicted.

    >>> f1_of(np.array([[1, 1], [0, 2]])).round(3).tolist()
    [0.667, 0.8]
    """
    return ratio(2 * _diagonal(counts), _predicted(counts) + counts.sum(axis=-1))


def uar_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Unweighted average recall over the classes that occur: shape (…)."""
    return mean_of_known(recall_of(counts))


def macro_f1_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur or are predicted: shape (…)."""
    return mean_of_known(f1_of(counts))


def weighted_f1_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Mean F1 weighted by the classes' occurrence: shape (…)."""
    support = counts.sum(axis=-1)
    f1 = np.nan_to_num(f1_of(counts))
    return ratio((f1 * support).sum(axis=-1), support.sum(axis=-1))


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where nothing else is there.

    >>> mean_of_known(np.array([[0.5, np.nan, 1.0], [np.nan, np.nan, np.nan]])).tolist()
    [0.75, nan]
    """
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def one_hot(actual: Indices, labels: int) -> NDArray[np.float32]:
    """Turn class indices into target distributions: float32, shape (n, labels).

    >>> one_hot(np.array([1, 0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(labels, dtype=np.float32)[actual]


def among(probabilities: Floats, asked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mask labels that are not asked for: rows sum to 1 over the others.

    Args:
        probabilities: shape (n, labels).
        asked: which labels are, (labels,) or one row per sample.

    >>> among(np.array([[0.5, 0.3, 0.2]]), np.array([True, True, False])).round(3).tolist()
    [[0.625, 0.375, 0.0]]
    """
    p = np.where(asked, probabilities.astype(np.float64), 0.0)
    return (p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)).astype(np.float32)  # type: ignore[no-any-return]


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Divide elementwise; NaN where the divisor is 0."""
    below = np.asarray(below, np.float64)
    out: NDArray[np.float64] = np.divide(
        above, below, out=np.full(np.shape(below), np.nan), where=below > 0
    )
    return out


def _diagonal(counts: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _predicted(counts: NDArray[Any]) -> NDArray[Any]:
    return counts.sum(axis=-2)[..., : counts.shape[-2]]  # type: ignore[no-any-return]
