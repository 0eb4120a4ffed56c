"""Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks")."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import Calibration, log_softmax

Floats = NDArray[np.floating[Any]]

_RATIO = (math.sqrt(5) - 1) / 2


def fit_temperature(targets: Floats, logits: Floats) -> Calibration:
    """Find the temperature in [0.05, 20] that minimizes the log loss.

    The loss is convex in the inverse temperature, so a golden-section search over it
    finds the minimum.

    Args:
        targets: distributions, shape (n, labels), of samples the model was not trained on.
        logits: of the same shape, uncalibrated.
    """

    def loss(log_inverse: float) -> float:
        log_p = log_softmax((logits * math.exp(log_inverse)).astype(np.float64))
        return float(-(targets * log_p).sum(axis=1).mean())

    low, high = math.log(1 / 20), math.log(20)
    while high - low > 1e-4:
        left, right = high - _RATIO * (high - low), low + _RATIO * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return Calibration(math.exp(-(low + high) / 2))
