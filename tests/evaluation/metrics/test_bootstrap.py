"""Intervals on made data, where the truth is known."""

import numpy as np
import pytest

from emofuse.evaluation.metrics import bootstrap, calibration
from emofuse.evaluation.metrics import classification as metrics
from emofuse.evaluation.metrics.state import MetricState


def made(seed: int, speakers: int = 40, clips: int = 12) -> tuple[np.ndarray, ...]:
    """Make predictions of two classes; each speaker has a skill around 0.7."""
    rng = np.random.default_rng(seed)
    skill = np.clip(rng.normal(0.7, 0.2, speakers), 0.05, 0.95)
    who = np.repeat(np.arange(speakers), clips)
    actual = rng.integers(0, 2, len(who))
    right = rng.random(len(who)) < skill[who]
    answer = np.where(right, actual, 1 - actual)
    p = np.full((len(who), 2), 0.3)
    p[np.arange(len(who)), answer] = 0.7
    return actual, p, who


def coverage(groups_of: str) -> float:
    """How often the 95 % interval of accuracy holds the accuracy of all possible speakers."""
    rng = np.random.default_rng(99)
    truth = float(np.clip(rng.normal(0.7, 0.2, 400_000), 0.05, 0.95).mean())
    hits = 0
    for seed in range(150):
        actual, p, who = made(seed)
        groups = who if groups_of == "speakers" else np.arange(len(who))
        low, high = bootstrap.intervals(MetricState.of(actual, p), groups, 400, seed)["accuracy"]
        hits += low <= truth <= high
    return hits / 150


def test_intervals_by_speaker_hold_the_truth_about_95_times_in_100() -> None:
    assert 0.89 <= coverage("speakers") <= 0.99


def test_intervals_by_sample_would_be_too_narrow() -> None:
    assert coverage("samples") < coverage("speakers") - 0.05


def test_speakers_are_groups_and_strangers_are_alone() -> None:
    assert bootstrap.group_of(["a", None, "b", "a", None]).tolist() == [0, 1, 2, 0, 3]


def test_draws_follow_from_the_seed() -> None:
    actual, p, who = made(3)
    tally = MetricState.of(actual, p)
    once, again, other = (bootstrap.resample(tally, who, 50, seed)["uar"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_draws_are_what_measuring_a_resampled_set_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    actual, p, who = made(4, speakers=6, clips=5)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 12)  # several rounds of n_resamples
    found = bootstrap.resample(MetricState.of(actual, p), who, 5, seed=7)
    rng = np.random.default_rng(7)
    picked = np.concatenate([rng.integers(0, 6, (rounds, 6)) for rounds in (2, 2, 1)])
    for groups, value in zip(picked, found["uar"], strict=True):
        rows = np.concatenate([np.flatnonzero(who == g) for g in groups])
        expected = metrics.uar(actual[rows], p[rows].argmax(axis=1), 2)
        assert value == pytest.approx(expected, abs=1e-6)


def test_the_interval_of_a_calibration_error_is_around_it() -> None:
    rng = np.random.default_rng(5)
    p = rng.dirichlet([0.7] * 5, 200)
    actual = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    groups = np.arange(200)
    value = calibration.ece(actual, p)
    low, high = bootstrap.intervals(MetricState.of(actual, p), groups, 500)["ece"]
    assert 0 <= low < value < high
    # Without the correction the drawn errors lie nearly all above.
    assert np.mean(bootstrap.resample(MetricState.of(actual, p), groups, 500)["ece"]) > value


def test_a_handful_of_speakers_gets_no_interval() -> None:
    actual, p, who = made(6, speakers=bootstrap.MIN_GROUPS - 1)
    found = bootstrap.intervals(MetricState.of(actual, p), who, 50)
    assert all(np.isnan(low) and np.isnan(high) for low, high in found.values())


def test_mean_and_deviation_of_folds() -> None:
    assert bootstrap.spread([0.6, 0.7, 0.8]) == pytest.approx((0.7, 0.1))
