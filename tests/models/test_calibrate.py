"""Calibration finds maps that are known, and keeps out those that earn nothing."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.models import calibrate
from emofuse.models.card import Calibration, CalibrationKind

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
    assert found.kind is CalibrationKind.TEMPERATURE


def test_a_known_vector_is_found() -> None:
    true = Calibration(scale=(0.5, 1.0, 1.5, 1.0), bias=(1.0, -1.0, 0.5, -0.5))
    found = calibrate.fit_vector(*drawn(5000, true=true), strength=0)
    scale = np.array(found.scale) / found.temperature
    assert scale == pytest.approx(true.scale, abs=0.12)
    assert found.bias == pytest.approx(true.bias, abs=0.2)


def test_a_known_dirichlet_map_is_found() -> None:
    matrix = np.eye(K) * 0.8
    matrix[0, 1], matrix[2, 3] = 0.6, -0.5
    true = Calibration(matrix=tuple(map(tuple, matrix)), bias=(0.5, -0.5, 0.25, -0.25))
    found = calibrate.fit_dirichlet(*drawn(5000, true=true), strength=0)
    _, other = drawn(500, seed=7)
    assert np.abs(found.probabilities(other) - true.probabilities(other)).mean() < 0.016


def test_a_rich_map_is_taken_where_it_is_needed() -> None:
    matrix = np.eye(K)
    matrix[0, 1] = matrix[1, 0] = 0.9
    true = Calibration(matrix=tuple(map(tuple, matrix)))
    found = calibrate.choose(*drawn(1200, true=true))
    assert found.calibration.kind is CalibrationKind.DIRICHLET
    assert found.losses["temperature"] > min(found.losses.values()) + 0.01


def test_a_plain_map_is_kept_where_it_is_enough() -> None:
    for seed in range(2):
        found = calibrate.choose(*drawn(400, seed, Calibration(1.7)), seed=seed)
        assert found.calibration.kind is CalibrationKind.TEMPERATURE


def test_what_looks_like_a_gain_within_one_group_is_none() -> None:
    """Samples of one speaker repeat each other: a gain on 5 of them proves nothing."""
    targets, logits = drawn(12, 3)
    repeated = np.repeat(np.arange(12), 100)
    found = calibrate.choose(targets[repeated], logits[repeated], groups=repeated)
    assert found.calibration.kind is CalibrationKind.TEMPERATURE


def test_strong_regularisation_leads_back_to_temperature_scaling() -> None:
    targets, logits = drawn(500)
    plain = calibrate.fit_temperature(targets, logits).probabilities(logits)
    vector = calibrate.fit_vector(targets, logits, 1e4).probabilities(logits)
    assert vector == pytest.approx(plain, abs=1e-2)
    dirichlet = calibrate.fit_dirichlet(targets, logits, 1e4)
    assert np.abs(np.array(dirichlet.matrix)[~np.eye(K, dtype=bool)]).max() < 1e-2


@pytest.mark.parametrize(
    "true",
    [
        Calibration(1.3),
        Calibration(scale=(1, 2, 1, 1), bias=(0, 0.5, 0, 0)),
        Calibration(0.9, bias=(0, 0, 1, 0), matrix=tuple(map(tuple, np.eye(K) + 0.1))),
    ],
)
def test_probabilities_are_probabilities_and_cards_keep_them(true: Calibration) -> None:
    _, logits = drawn(100)
    p = true.probabilities(logits)
    assert p.dtype == np.float32
    assert p.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-5)
    again = Calibration(**true.to_mapping())
    assert again == true
    assert np.array_equal(again.probabilities(logits), p)


def test_probabilities_can_be_calibrated_again() -> None:
    _, logits = drawn(50)
    p = Calibration().probabilities(logits)
    assert Calibration(2.0).recalibrated(p) == pytest.approx(
        Calibration(2.0).probabilities(logits), abs=1e-5
    )


def test_parameters_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        Calibration(scale=(1, 2), bias=(0, 0, 0))
    with pytest.raises(ValueError, match="not both"):
        Calibration(scale=(1, 2), matrix=((1, 0), (0, 1)))
    with pytest.raises(ValueError, match="finite"):
        Calibration(bias=(0.0, float("nan")))
    with pytest.raises(ValueError, match="temperature"):
        Calibration(0.0)
