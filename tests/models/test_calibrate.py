"""Temperature scaling finds temperatures that are known."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.models import calibrate
from emofuse.models.card import Calibration

K = 4


def drawn(
    n: int = 6000, seed: int = 0, true: Calibration | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels from the probabilities that a true calibration gives them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, K)).astype(np.float32)
    p = (true or Calibration()).probabilities(logits).astype(np.float64)
    picked = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, K - 1)
    return np.eye(K)[picked], logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    targets, logits = drawn(true=Calibration(temperature))
    found = calibrate.fit_temperature(targets, logits)
    assert found.temperature == pytest.approx(temperature, rel=0.06)


def test_probabilities_are_probabilities() -> None:
    _, logits = drawn(100)
    p = Calibration(1.3).probabilities(logits)
    assert p.dtype == np.float32
    assert p.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-5)


def test_probabilities_can_be_calibrated_again() -> None:
    _, logits = drawn(50)
    p = Calibration().probabilities(logits)
    assert Calibration(2.0).recalibrated(p) == pytest.approx(
        Calibration(2.0).probabilities(logits), abs=1e-5
    )


def test_a_temperature_is_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        Calibration(0.0)
