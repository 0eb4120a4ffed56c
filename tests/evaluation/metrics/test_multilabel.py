"""Multi-label figures against scikit-learn's definitions, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.evaluation.metrics.multilabel import best_thresholds, multilabel_f1

PRESENT = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)


def test_f1_of_each_label() -> None:
    predicted = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    # label 0: 2 hits, 3 present, 3 predicted; label 1: 1 hit, 2 present, 1 predicted; 2: nothing
    np.testing.assert_allclose(multilabel_f1(PRESENT, predicted), [2 / 3, 2 / 3, 0.0])


def test_the_best_threshold_separates_what_can_be_separated() -> None:
    p = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.2], [0.2, 0.5, 0.0], [0.7, 0.2, 0.0]])
    thresholds = best_thresholds(PRESENT, p)
    np.testing.assert_allclose(thresholds[:2], [0.6, 0.3])
    np.testing.assert_allclose(multilabel_f1(PRESENT, p >= thresholds)[:2], 1.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_no_other_threshold_is_better(samples: list[tuple[bool, int]]) -> None:
    present = np.array([[a] for a, _ in samples])
    p = np.array([[b / 5] for _, b in samples])
    chosen = multilabel_f1(present, p >= best_thresholds(present, p))[0]
    others = [multilabel_f1(present, p >= t)[0] for t in np.linspace(0, 1, 11)]
    assert chosen == pytest.approx(max(others))
