"""Every figure against scikit-learn's, on many drawn answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.evaluation.metrics import calibration
from emofuse.evaluation.metrics import classification as metrics
from emofuse.evaluation.metrics.multilabel import multilabel_f1
from emofuse.evaluation.metrics.state import MetricState, MultilabelMetricState

sk = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")

LABELS = 4


def answers(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw actual classes and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, LABELS, n)
    logits = rng.normal(0, 1, (n, LABELS)) + 1.5 * np.eye(LABELS)[actual]
    p = np.exp(logits)
    return actual, p / p.sum(axis=1, keepdims=True)


drawn = given(seed=st.integers(0, 10_000), n=st.integers(5, 200))


@settings(max_examples=40, deadline=None)
@drawn
def test_figures_of_answers(seed: int, n: int) -> None:
    actual, p = answers(seed, n)
    answer = p.argmax(axis=1)
    occur = np.unique(actual)
    assert metrics.accuracy(actual, answer) == pytest.approx(sk.accuracy_score(actual, answer))
    recall = sk.recall_score(actual, answer, labels=occur, average="macro", zero_division=0)
    assert metrics.uar(actual, answer, LABELS) == pytest.approx(recall)
    for average, ours in (("macro", metrics.macro_f1), ("weighted", metrics.weighted_f1)):
        theirs = sk.f1_score(actual, answer, average=average, zero_division=0)
        assert ours(actual, answer, LABELS) == pytest.approx(theirs), average
    counts = metrics.confusion(actual, answer, LABELS)
    theirs = sk.confusion_matrix(actual, answer, labels=range(LABELS))
    np.testing.assert_array_equal(counts, theirs)
    rows = sk.precision_recall_fscore_support(
        actual, answer, labels=range(LABELS), zero_division=np.nan
    )
    both = (counts.sum(axis=0) > 0) & (counts.sum(axis=1) > 0)
    np.testing.assert_allclose(metrics.precision_of(counts)[both], rows[0][both])
    np.testing.assert_allclose(metrics.recall_of(counts)[both], rows[1][both])
    np.testing.assert_allclose(metrics.f1_of(counts)[both], rows[2][both])


@settings(max_examples=40, deadline=None)
@drawn
def test_losses_of_probabilities(seed: int, n: int) -> None:
    actual, p = answers(seed, n)
    theirs = sk.log_loss(actual, p, labels=range(LABELS))
    assert calibration.nll(actual, p) == pytest.approx(theirs)
    by_class = [sk.brier_score_loss(actual == k, p[:, k]) for k in range(LABELS)]
    assert calibration.brier(actual, p) == pytest.approx(sum(by_class))


@settings(max_examples=40, deadline=None)
@drawn
def test_multi_label_figures(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((n, LABELS)) < [0.5, 0.3, 0.1, 0.02]
    predicted = present ^ (rng.random((n, LABELS)) < 0.2)
    each = sk.f1_score(present, predicted, average=None, zero_division=0)
    np.testing.assert_allclose(multilabel_f1(present, predicted), each)
    found = MultilabelMetricState.of(present, predicted).total().metrics()
    for average in ("macro", "micro"):
        theirs = sk.f1_score(present, predicted, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(theirs, abs=1e-6)
    recall = sk.recall_score(present, predicted, average="macro", zero_division=0)
    assert found["macro_recall"] == pytest.approx(recall, abs=1e-6)


@settings(max_examples=40, deadline=None)
@drawn
def test_a_tally_says_what_the_plain_figures_say(seed: int, n: int) -> None:
    actual, p = answers(seed, n)
    found = MetricState.of(actual, p).total().metrics()
    answer = p.argmax(axis=1)
    expected = {
        "accuracy": metrics.accuracy(actual, answer),
        "uar": metrics.uar(actual, answer, LABELS),
        "macro_f1": metrics.macro_f1(actual, answer, LABELS),
        "weighted_f1": metrics.weighted_f1(actual, answer, LABELS),
        "ece": calibration.ece(actual, p),
        "ece_adaptive": calibration.adaptive_ece(actual, p),
        "nll": calibration.nll(actual, p),
        "brier": calibration.brier(actual, p),
    }
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), groups=st.integers(1, 9))
def test_groups_add_up_to_the_whole(seed: int, n: int, groups: int) -> None:
    actual, p = answers(seed, n)
    tally = MetricState.of(actual, p)
    of = np.arange(n) % min(groups, n)
    once = np.ones((1, int(of.max()) + 1), np.float32)
    again = tally.summed(of).resampled(once).metrics()
    for name, value in tally.total().metrics().items():
        assert again[name][0] == pytest.approx(float(value), abs=1e-4), name
