"""Temperature and prior of a trained model, from what it says of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics import calibration as metrics
from ...models.card import Calibration
from .config import Calibrating
from .measure import majority

Floats = NDArray[np.float32]


def fit_temperature(
    logits: Sequence[Floats],
    targets: Sequence[Floats],
    known: Sequence[NDArray[np.bool_]],
    what: Calibrating,
) -> Calibration:
    """Fit the temperature on the validation samples of all corpora.

    Args:
        logits: of each corpus, (n, labels).
        targets: what was taught, (n, labels).
        known: which labels each target speaks of, (n, labels): not those of the corpus,
            as votes may know more.
        what: what the probabilities are to fit.
    """
    target = np.concatenate(targets)
    closed = np.concatenate([np.where(k, x, -1e4) for k, x in zip(known, logits, strict=True)])
    if what is Calibrating.MAJORITY:
        target, closed = majority(target, closed)
    return Calibration(round(metrics.fit_temperature(target, closed), 4))


def prior(logits: Sequence[Floats], calibration: Calibration) -> list[float]:
    """Return the mean probability of each label, all corpora counting alike."""
    means = [calibration.probabilities(x).mean(axis=0, dtype=np.float64) for x in logits]
    return [round(float(p), 5) for p in np.mean(means, axis=0)]
