"""Figures of merit, in numpy alone.

Everywhere `actual` and `predicted` are integer class indices of shape (n,),
`probabilities` and `logits` have shape (n, labels).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]


def accuracy(actual: Indices, predicted: Indices) -> float:
    """Share of samples that are predicted right."""
    return float((actual == predicted).mean())


def confusion(actual: Indices, predicted: Indices, labels: int) -> NDArray[np.int64]:
    """Count samples by actual (row) and predicted (column) class: shape (labels, labels)."""
    counts = np.bincount(actual * labels + predicted, minlength=labels * labels)
    return counts.reshape(labels, labels)


def uar(actual: Indices, predicted: Indices, labels: int) -> float:
    """Unweighted average recall over the classes that occur in `actual`."""
    counts = confusion(actual, predicted, labels)
    present = counts.sum(axis=1) > 0
    return float((counts.diagonal()[present] / counts.sum(axis=1)[present]).mean())


def macro_f1(actual: Indices, predicted: Indices, labels: int) -> float:
    """Mean F1 over the classes that occur in `actual` or in `predicted`."""
    counts = confusion(actual, predicted, labels)
    sizes = counts.sum(axis=0) + counts.sum(axis=1)
    present = sizes > 0
    return float((2 * counts.diagonal()[present] / sizes[present]).mean())


def ece(actual: Indices, probabilities: Floats, bins: int = 15) -> float:
    """Expected calibration error of the top label (Guo et al. 2017): 0 is best.

    Mean distance between confidence and accuracy over `bins` equal intervals of
    confidence, weighted by the number of samples in each.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == actual
    # Bins are open on the left: a confidence of exactly 1 / bins is in the first.
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(actual))


def log_loss(targets: Floats, logits: Floats) -> float:
    """Mean cross-entropy in nats between target distributions, (n, labels), and the logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(targets * log_p).sum(axis=1).mean())


def one_hot(actual: Indices, labels: int) -> NDArray[np.float32]:
    """Turn class indices into target distributions: float32, shape (n, labels)."""
    return np.eye(labels, dtype=np.float32)[actual]


def fit_temperature(targets: Floats, logits: Floats) -> float:
    """Find the temperature in [0.05, 20] that minimises the log loss (Guo et al. 2017).

    The loss is convex in the inverse temperature, so a golden-section search over
    it finds the minimum.

    Args:
        targets: distributions, shape (n, labels); `one_hot` makes them of indices.
        logits: of the same shape, uncalibrated.
    """
    ratio = (math.sqrt(5) - 1) / 2

    def loss(log_inverse: float) -> float:
        return log_loss(targets, logits * math.exp(log_inverse))

    low, high = math.log(1 / 20), math.log(20)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return math.exp(-(low + high) / 2)
