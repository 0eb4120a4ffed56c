"""Figures of merit.

Everywhere `actual` and `predicted` are integer class indices of shape (n,),
`probabilities` and `logits` have shape (n, labels).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models import calibrate

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
    return float(uar_of(confusion(actual, predicted, labels)))


def macro_f1(actual: Indices, predicted: Indices, labels: int) -> float:
    """Mean F1 over the classes that occur in `actual` or in `predicted`."""
    return float(macro_f1_of(confusion(actual, predicted, labels)))


def weighted_f1(actual: Indices, predicted: Indices, labels: int) -> float:
    """Mean F1 of the classes, each weighted by how often it occurs in `actual`."""
    return float(weighted_f1_of(confusion(actual, predicted, labels)))


# The same, and more, from confusion counts of shape (…, labels, labels): actual classes in
# rows. Leading axes are kept, so that a thousand resampled tables are measured at once.


def accuracy_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the counts that lie on the diagonal: shape (…)."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def recall_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Recall of each class, shape (…, labels); NaN for one that does not occur."""
    return _ratio(_diagonal(counts), counts.sum(axis=-1))


def precision_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Precision of each class, shape (…, labels); NaN for one that is never predicted."""
    return _ratio(_diagonal(counts), counts.sum(axis=-2))


def f1_of(counts: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of each class, shape (…, labels); NaN for one neither there nor predicted."""
    return _ratio(2 * _diagonal(counts), counts.sum(axis=-2) + counts.sum(axis=-1))


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
    return _ratio((f1 * support).sum(axis=-1), support.sum(axis=-1))


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where nothing else is there."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _diagonal(counts: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    below = np.asarray(below, np.float64)
    out: NDArray[np.float64] = np.divide(
        above, below, out=np.full(np.shape(below), np.nan), where=below > 0
    )
    return out


def ece(actual: Indices, probabilities: Floats, bins: int = 15) -> float:
    """Expected calibration error of the top label (Guo et al. 2017): 0 is best.

    Mean distance between confidence and accuracy over `bins` equal intervals of
    confidence, weighted by the number of samples in each.
    """
    confidence, right = _top(actual, probabilities)
    return _gap(confidence, right, equal_width(confidence, bins), bins)


def adaptive_ece(actual: Indices, probabilities: Floats, bins: int = 15) -> float:
    """As `ece`, over `bins` intervals that hold equally many samples (Nixon et al. 2019).

    Confident models crowd into the last of equal intervals; these follow the crowd.
    """
    confidence, right = _top(actual, probabilities)
    return _gap(confidence, right, equal_mass(confidence, bins), bins)


def reliability(
    actual: Indices, probabilities: Floats, bins: int = 15
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return what a reliability diagram shows, for `bins` equal intervals of confidence.

    Returns:
        Mean confidence and accuracy, NaN in empty bins, and the number of samples:
        each of shape (bins,).
    """
    confidence, right = _top(actual, probabilities)
    bin_of = equal_width(confidence, bins)
    count = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, weights=x, minlength=bins) for x in (confidence, right)]
    return _ratio(sums[0], count), _ratio(sums[1], count), count


def equal_width(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Return which of `bins` equal intervals of [0, 1] each confidence is in."""
    # Bins are open on the left: a confidence of exactly 1 / bins is in the first.
    which: NDArray[np.int64] = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return which


def equal_mass(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Return a bin of each confidence, such that bins hold equally many (± 1), in order."""
    rank = np.empty(len(confidence), np.int64)
    rank[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
    return rank * bins // max(len(confidence), 1)


def brier(actual: Indices, probabilities: Floats) -> float:
    """Brier score over all classes: mean squared distance to the truth, 0 best, 2 worst."""
    distance = probabilities - one_hot(actual, probabilities.shape[1])
    return float((distance.astype(np.float64) ** 2).sum(axis=1).mean())


def nll(actual: Indices, probabilities: Floats) -> float:
    """Mean negative logarithm of the probability of the right class, in nats."""
    return float(surprise(actual, probabilities).mean())


def surprise(actual: Indices, probabilities: Floats) -> NDArray[np.float64]:
    """Negative logarithm of the probability of each sample's right class, in nats: (n,)."""
    right = probabilities[np.arange(len(actual)), actual].astype(np.float64)
    return -np.log(np.maximum(right, 1e-12))


def _top(actual: Indices, probabilities: Floats) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    right: NDArray[np.bool_] = probabilities.argmax(axis=1) == actual
    return probabilities.max(axis=1).astype(np.float64), right


def _gap(
    confidence: Floats, right: NDArray[np.bool_], bin_of: NDArray[np.int64], bins: int
) -> float:
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def log_loss(targets: Floats, logits: Floats) -> float:
    """Mean cross-entropy in nats between target distributions, (n, labels), and the logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(targets * log_p).sum(axis=1).mean())


def one_hot(actual: Indices, labels: int) -> NDArray[np.float32]:
    """Turn class indices into target distributions: float32, shape (n, labels)."""
    return np.eye(labels, dtype=np.float32)[actual]


def among(probabilities: Floats, asked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Leave out labels that are not asked for: rows sum to 1 over the others.

    Args:
        probabilities: shape (n, labels).
        asked: which labels are, (labels,) or a row a sample.
    """
    p = np.where(asked, probabilities.astype(np.float64), 0.0)
    return (p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)).astype(np.float32)


def fit_temperature(targets: Floats, logits: Floats) -> float:
    """Find the temperature in [0.05, 20] that minimises the log loss; see `models.calibrate`."""
    return calibrate.fit_temperature(targets, logits).temperature
