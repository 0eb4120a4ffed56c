"""How well probabilities are calibrated, and proper scores.

`actual` holds class indices, shape (n,); `probabilities` has shape (n, labels), rows
sum to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models import calibrate
from ...models.card import log_softmax
from .classification import one_hot, ratio

Indices = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]


def ece(actual: Indices, probabilities: Floats, bins: int = 15) -> float:
    """Expected calibration error of the top label, in [0, 1], 0 best (Guo et al. 2017).

    The mean distance between confidence and accuracy over `bins` equal intervals of
    confidence, weighted by the number of samples in each.

    >>> p = np.array([[0.8, 0.2]] * 5)
    >>> ece(np.array([0, 0, 0, 0, 1]), p) < 1e-9  # right in 4 of 5 cases, as it says
    True
    >>> round(ece(np.array([0, 0, 1, 1, 1]), p), 3)
    0.4
    """
    confidence, right = _top(actual, probabilities)
    return _gap(confidence, right, equal_width(confidence, bins), bins)


def adaptive_ece(actual: Indices, probabilities: Floats, bins: int = 15) -> float:
    """As `ece`, over `bins` intervals that hold equally many samples (Nixon et al. 2019).

    Confident models crowd into the last of equal intervals; these follow the crowd.

    >>> p = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.8, 0.2]])
    >>> round(adaptive_ece(np.array([0, 0, 1, 0]), p, bins=2), 3)
    0.15
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

    >>> confidence, accuracy, count = reliability(
    ...     np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), bins=2
    ... )
    >>> count.tolist(), confidence[1].round(2).item(), accuracy[1].item()
    ([0, 2], 0.85, 0.5)
    """
    confidence, right = _top(actual, probabilities)
    bin_of = equal_width(confidence, bins)
    count = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, weights=x, minlength=bins) for x in (confidence, right)]
    return ratio(sums[0], count), ratio(sums[1], count), count


def equal_width(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Return which of `bins` equal intervals of [0, 1] each confidence is in, (n,).

    >>> equal_width(np.array([0.0, 0.25, 0.5, 0.51, 1.0]), 2).tolist()
    [0, 0, 0, 1, 1]
    """
    # Bins are open on the left: a confidence of exactly 1 / bins is in the first.
    which: NDArray[np.int64] = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return which


def equal_mass(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Return a bin of each confidence, (n,), such that bins hold equally many (± 1), in order.

    >>> equal_mass(np.array([0.9, 0.5, 0.7, 0.6]), 2).tolist()
    [1, 0, 1, 0]
    """
    rank = np.empty(len(confidence), np.int64)
    rank[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
    return rank * bins // max(len(confidence), 1)


def confident_errors(
    actual: Indices, probabilities: Floats, above: float = 0.9
) -> tuple[float, float]:
    """How many answers are surer than `above`, and how many of those are wrong: shares.

    The second is NaN where no answer is.

    >>> p = np.array([[0.95, 0.05], [0.04, 0.96], [0.6, 0.4], [0.5, 0.5]])
    >>> confident_errors(np.array([0, 0, 0, 1]), p)
    (0.5, 0.5)
    """
    confidence, right = _top(actual, probabilities)
    sure = confidence > above
    wrong = float((~right[sure]).mean()) if sure.any() else float("nan")
    return (float(sure.mean()) if len(sure) else 0.0), wrong


def brier(actual: Indices, probabilities: Floats) -> float:
    """Brier score over all classes: mean squared distance to the truth, 0 best, 2 worst.

    >>> round(brier(np.array([0, 1]), np.array([[0.8, 0.2], [0.5, 0.5]])), 3)
    0.29
    """
    distance = probabilities - one_hot(actual, probabilities.shape[1])
    return float((distance.astype(np.float64) ** 2).sum(axis=1).mean())


def nll(actual: Indices, probabilities: Floats) -> float:
    """Mean negative log-likelihood of the right class, in nats, ≥ 0.

    >>> round(nll(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 4)
    0.6931
    """
    return float(surprise(actual, probabilities).mean())


def surprise(actual: Indices, probabilities: Floats) -> NDArray[np.float64]:
    """Negative log probability of each sample's right class, in nats: (n,).

    >>> surprise(np.array([1]), np.array([[0.9, 0.1]])).round(3).tolist()
    [2.303]
    """
    right = probabilities[np.arange(len(actual)), actual].astype(np.float64)
    return -np.log(np.maximum(right, 1e-12))


def log_loss(targets: Floats, logits: Floats) -> float:
    """Mean cross-entropy in nats between target distributions, (n, labels), and the logits.

    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([[3.0, 3.0]])), 4)
    0.6931
    """
    log_p = log_softmax(logits.astype(np.float64))
    return float(-(targets * log_p).sum(axis=1).mean())


def fit_temperature(targets: Floats, logits: Floats) -> float:
    """Return the temperature in [0.05, 20] that minimizes the log loss.

    See `models.calibrate.fit_temperature`.

    >>> logits = np.array([[4.0, 0.0]] * 5)
    >>> round(fit_temperature(one_hot(np.array([0, 0, 0, 0, 1]), 2), logits), 2)
    2.89
    """
    return calibrate.fit_temperature(targets, logits).temperature


def _top(actual: Indices, probabilities: Floats) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    right: NDArray[np.bool_] = probabilities.argmax(axis=1) == actual
    return probabilities.max(axis=1).astype(np.float64), right


def _gap(
    confidence: Floats, right: NDArray[np.bool_], bin_of: NDArray[np.int64], bins: int
) -> float:
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
