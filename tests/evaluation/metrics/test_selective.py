"""Risk and coverage on answers whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.evaluation.metrics import selective


def test_a_known_curve() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True])
    coverage, risk = selective.risk_coverage(confidence, right)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert selective.aurc(confidence, right) == pytest.approx((1 / 3 + 1 / 4) / 4)


def test_confidence_that_knows_all_is_best_and_one_that_says_nothing_is_the_error_rate() -> None:
    right = np.random.default_rng(0).random(500) < 0.7
    assert selective.aurc(np.ones(500), right) == pytest.approx(1 - right.mean())
    # The best area for an error rate r is r + (1 - r) ln(1 - r) (Geifman et al. 2019).
    r = 1 - right.mean()
    assert selective.best_aurc(right) == pytest.approx(r + (1 - r) * np.log(1 - r), abs=0.03)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), min_size=1))
def test_the_order_of_equals_is_of_no_matter(rows: list[tuple[float, bool]]) -> None:
    confidence, right = np.array([c for c, _ in rows]), np.array([r for _, r in rows])
    back = selective.aurc(confidence[::-1], right[::-1])
    assert selective.aurc(confidence, right) == pytest.approx(back)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.01, 1))
def test_enough_is_answered(confidence: list[float], coverage: float) -> None:
    values = np.array(confidence)
    threshold = selective.threshold_for(values, coverage)
    assert (values >= threshold).mean() >= coverage - 1e-9
    stricter = values[values > threshold]
    assert len(stricter) / len(values) < coverage
