"""Every figure against one worked out by hand."""

import numpy as np
import pytest

from emofuse.evaluation.metrics import calibration
from emofuse.evaluation.metrics import classification as metrics

# Of class 0 two of three are right, of class 1 one of one, of class 2 none of two.
ACTUAL = np.array([0, 0, 0, 1, 2, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 1])


def test_accuracy() -> None:
    assert metrics.accuracy(ACTUAL, PREDICTED) == pytest.approx(3 / 6)


def test_confusion_has_the_actual_class_in_rows() -> None:
    expected = [[2, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert metrics.confusion(ACTUAL, PREDICTED, 4).tolist() == expected


def test_uar_leaves_absent_classes_out() -> None:
    assert metrics.uar(ACTUAL, PREDICTED, 4) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_macro_f1() -> None:
    # F1 = 2 TP / (predicted + actual): 4 / 6, 2 / 4, 0; class 3 does not occur.
    assert metrics.macro_f1(ACTUAL, PREDICTED, 4) == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)


def test_macro_f1_counts_a_class_that_is_only_predicted() -> None:
    assert metrics.macro_f1(np.array([0, 0]), np.array([0, 1]), 2) == pytest.approx((2 / 3 + 0) / 2)


def test_ece() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    # Bins of a fifth: (0.8, 1] has confidence 0.9, accuracy 1/2; (0.4, 0.6] has 0.6 and 1;
    # (0.6, 0.8] has 0.7 and 1.
    expected = 2 / 4 * 0.4 + 1 / 4 * 0.4 + 1 / 4 * 0.3
    assert calibration.ece(np.array([0, 1, 1, 0]), p, bins=5) == pytest.approx(expected)


def test_ece_of_the_sure_and_right_is_0() -> None:
    assert calibration.ece(np.array([0, 1]), np.eye(2)) == 0


def test_log_loss() -> None:
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    targets = np.array([[1.0, 0, 0], [0, 0.5, 0.5]])
    expected = -(np.log(0.5) + 0.5 * np.log(0.8) + 0.5 * np.log(0.1)) / 2
    assert calibration.log_loss(targets, logits + 7) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, (500, 5))
    targets = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    assert calibration.fit_temperature(targets, true * temperature) == pytest.approx(
        temperature, rel=1e-3
    )


def test_temperature_cures_overconfidence() -> None:
    rng = np.random.default_rng(2)
    actual = rng.integers(0, 4, 2000)
    noisy = np.where(rng.random(2000) < 0.3, rng.integers(0, 4, 2000), actual)
    logits = 10 * metrics.one_hot(noisy, 4)
    t = calibration.fit_temperature(metrics.one_hot(actual, 4), logits)

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    assert t > 2
    assert (
        calibration.ece(actual, softmax(logits / t))
        < 0.01
        < calibration.ece(actual, softmax(logits))
    )


def test_adaptive_bins_hold_equally_many() -> None:
    confidence = np.random.default_rng(0).beta(8, 1, 103)  # crowded near 1
    bins = calibration.equal_mass(confidence, 10)
    assert set(np.bincount(bins)) == {10, 11}
    order = np.argsort(confidence)
    assert (np.diff(bins[order]) >= 0).all()


def test_adaptive_ece() -> None:
    # Two bins of two: confidences .6 and .7, one right; .8 and .9, both right.
    p = np.array([[0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1]])
    actual = np.array([0, 1, 0, 0])
    assert calibration.adaptive_ece(actual, p, 2) == pytest.approx(0.5 * 0.15 + 0.5 * 0.15)


def test_calibrated_answers_have_no_calibration_error_in_the_long_run() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet([0.7] * 5, 40_000)
    actual = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    assert calibration.ece(actual, p) < 0.01
    assert calibration.adaptive_ece(actual, p) < 0.01
    sharpened = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert calibration.ece(actual, sharpened) > 0.1


def test_reliability_shows_the_error_of_each_bin() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    actual = np.array([0, 1, 1, 0])
    confidence, accuracy, count = calibration.reliability(actual, p, bins=5)
    assert count.tolist() == [0, 0, 1, 1, 2]
    np.testing.assert_allclose(confidence, [np.nan, np.nan, 0.6, 0.7, 0.9])
    np.testing.assert_allclose(accuracy, [np.nan, np.nan, 1, 1, 0.5])
    total = np.nansum(count * np.abs(confidence - accuracy)) / 4
    assert calibration.ece(actual, p, 5) == pytest.approx(total)


def test_figures_of_many_tables_at_once() -> None:
    counts = np.random.default_rng(2).integers(0, 9, (7, 3, 3))
    for figure in (metrics.accuracy_of, metrics.uar_of, metrics.macro_f1_of, metrics.f1_of):
        np.testing.assert_allclose(figure(counts)[4], figure(counts[4]))


def test_a_class_that_does_not_occur_has_no_recall() -> None:
    counts = np.array([[2, 1], [0, 0]])
    assert metrics.recall_of(counts)[0] == pytest.approx(2 / 3)
    assert np.isnan(metrics.recall_of(counts)[1])
    assert metrics.uar_of(counts) == pytest.approx(2 / 3)
