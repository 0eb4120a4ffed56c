"""Learned weights of the pools, on made data whose best weights are known."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.errors import InputError
from emofuse.fusion.config import Strategy
from emofuse.fusion.fit import ModalityPosteriors, fit, merged
from emofuse.fusion.rules import POOLS

LABELS = 4


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def witnesses(n: int, *strengths: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Independent witnesses, calibrated: what a Gaussian signal of a strength tells; and labels."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(LABELS, size=n)
    rows = []
    for s in strengths:
        x = s * np.eye(LABELS)[actual] + rng.normal(size=(n, LABELS))
        rows.append(softmax(s * x))
    return np.stack(rows, axis=1), actual


def accuracy(p: np.ndarray, actual: np.ndarray) -> float:
    return float((p.argmax(axis=1) == actual).mean())


def test_independent_calibrated_witnesses_get_the_weights_of_bayes() -> None:
    p, actual = witnesses(2500, 1.5, 1.0)
    pool = fit(Strategy.LOGPOOL, ModalityPosteriors(p), actual)
    assert pool.weights == pytest.approx([1, 1], abs=0.2)
    assert pool.by_label is None, "factors a label are not worth their numbers here"
    assert pool.calibration.temperature == pytest.approx(1, abs=0.1)


def test_a_witness_who_repeats_another_is_not_counted_twice() -> None:
    p, actual = witnesses(1500, 1.5)
    pool = fit(Strategy.LOGPOOL, ModalityPosteriors(np.concatenate([p, p], axis=1)), actual)
    assert pool.weights.sum() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("strategy", POOLS, ids=lambda s: s.value)
def test_noise_loses_its_weight_and_the_rest_is_no_worse(strategy: Strategy) -> None:
    p, actual = witnesses(1000, 1.5, 0.0, seed=1)
    p[:, 1] = softmax(np.random.default_rng(2).normal(size=(1000, LABELS)))
    pool = fit(strategy, ModalityPosteriors(p), actual)
    assert pool.weights[1] < 0.15 * pool.weights[0]
    test, truth = witnesses(1000, 1.5, 0.0, seed=3)
    assert accuracy(pool(ModalityPosteriors(test)), truth) > accuracy(test[:, 0], truth) - 0.01


@pytest.mark.parametrize("strategy", POOLS, ids=lambda s: s.value)
def test_two_are_better_than_one(strategy: Strategy) -> None:
    p, actual = witnesses(1000, 1.2, 1.0)
    test, truth = witnesses(1000, 1.2, 1.0, seed=9)
    fused = fit(strategy, ModalityPosteriors(p), actual)(ModalityPosteriors(test))
    np.testing.assert_allclose(fused.sum(axis=1), 1, atol=1e-6)
    assert accuracy(fused, truth) > accuracy(test[:, 0], truth) + 0.03


def test_too_sure_a_witness_is_tempered() -> None:
    p, actual = witnesses(1500, 1.2, 1.2)
    p[:, 0] = softmax(3 * np.log(p[:, 0]))
    pool = fit(Strategy.LOGPOOL, ModalityPosteriors(p), actual)
    assert pool.weights[0] == pytest.approx(pool.weights[1] / 3, rel=0.25)


@pytest.mark.parametrize("strategy", POOLS, ids=lambda s: s.value)
def test_who_is_alone_is_left_alone(strategy: Strategy) -> None:
    p, actual = witnesses(500, 1.2, 1.0)
    pool = fit(strategy, ModalityPosteriors(p), actual)
    missing = np.zeros((500, 2), bool)
    missing[:, 1] = True
    np.testing.assert_allclose(pool(ModalityPosteriors(p).without(missing)), p[:, 0], atol=1e-6)


def test_a_prior_is_learned_only_where_it_earns_its_place() -> None:
    """Two witnesses who took all labels for equally likely, where one label is most often right."""
    p, actual = witnesses(3000, 0.8, 0.8)
    common = np.flatnonzero((actual == 0) | (np.arange(3000) % 6 == 0))
    pool = fit(Strategy.LOGPOOL, ModalityPosteriors(p[common]), actual[common])
    assert pool.log_prior is not None
    assert pool.log_prior.argmax() == 0
    assert min(loss for _, loss in pool.losses) < dict(pool.losses)[pool.losses[0][0]]


def test_an_unknown_label_is_nobodys_evidence() -> None:
    p, actual = witnesses(800, 1.2, 1.0)
    p[:, 1, 3] = np.nan
    p[:, 1] /= np.nansum(p[:, 1], axis=1, keepdims=True)
    fused = fit(Strategy.LOGPOOL, ModalityPosteriors(p), actual)(ModalityPosteriors(p))
    assert np.isfinite(fused).all()
    assert accuracy(fused, actual) > 0.5


def test_models_of_one_modality_are_averaged() -> None:
    a, b = np.array([[0.8, 0.2, np.nan]]), np.array([[0.4, 0.6, np.nan]])
    np.testing.assert_allclose(merged(a, b), [[0.6, 0.4, np.nan]])


@pytest.mark.parametrize(
    "p",
    [np.full((3, 2, 2), 0.4), np.full((3, 2), 0.5), np.array([[[1.5, -0.5]]])],
    ids=["sums to 0.8", "two axes", "outside"],
)
def test_what_are_no_probabilities_is_refused(p: np.ndarray) -> None:
    with pytest.raises(InputError, match="experts"):
        ModalityPosteriors(p)


def test_what_cannot_be_fitted_is_refused() -> None:
    p, actual = witnesses(20, 1.0)
    with pytest.raises(InputError, match="two modalities"):
        fit(Strategy.LOGPOOL, ModalityPosteriors(p), actual)
    with pytest.raises(InputError, match="20 samples and 19 labels"):
        fit(Strategy.LOGPOOL, ModalityPosteriors(p), actual[1:])
    with pytest.raises(InputError, match="train fusion"):
        fit(Strategy.ATTENTION, ModalityPosteriors(p), actual)
