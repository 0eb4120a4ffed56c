"""Learning rates as pure functions of step and figures."""

import pytest

from emofuse.training.core.schedules import (
    cosine,
    epochs_since_best,
    one_cycle,
    plateau,
    schedule,
    steps_down,
)


def test_one_cycle_rises_once_and_falls_to_nothing() -> None:
    rates = [one_cycle(step, 100, 0.25) for step in range(101)]
    assert rates[25] == max(rates) == 1
    assert rates[0] == pytest.approx(0.04)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_each_further_cycle_is_the_same_at_half_the_height() -> None:
    once = [schedule(step, 100, 0.2) for step in range(100)]
    twice = [schedule(step, 200, 0.2, cycles=2) for step in range(200)]
    assert once == [one_cycle(step, 100, 0.2) for step in range(100)]
    assert twice == once + [share / 2 for share in once]


def test_cosine_starts_at_the_peak_and_restarts() -> None:
    rates = [cosine(step, 200, cycles=2) for step in range(200)]
    assert rates[0] == 1
    assert rates[100] == 0.5
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] < 0.001
    assert rates[:100] == sorted(rates[:100], reverse=True)


def test_steps_and_plateaus() -> None:
    assert [steps_down(e, 2, 0.1) for e in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert plateau([], 2, 0.5) == 1
    assert plateau([0.1, 0.2, 0.3], 2, 0.5) == 1
    assert plateau([0.3, 0.2, 0.3], 2, 0.5) == 0.5, "a figure that is equal is not better"
    assert plateau([0.3, 0.2, 0.2, 0.2], 2, 0.5) == 0.5, "after a reduction it waits again"
    assert plateau([0.3, 0.2, 0.2, 0.2, 0.2], 2, 0.5) == 0.25


def test_patience_counts_from_the_first_of_equals() -> None:
    assert epochs_since_best([]) == 0
    assert epochs_since_best([0.1, 0.2]) == 0
    assert epochs_since_best([0.2, 0.1, 0.2]) == 2
    assert epochs_since_best([float("-inf"), 0.1, 0.05]) == 1
