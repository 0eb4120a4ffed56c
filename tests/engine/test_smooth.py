from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emofuse.core.estimates import Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Watermark
from emofuse.core.time import NS, Span
from emofuse.engine.smooth import (
    CLEAR,
    ExponentialSmoother,
    HmmSmoother,
    RollingMean,
    SmoothConfig,
    Smoother,
    SmoothMethod,
    learn_dwell,
    make_smoother,
    smooth_rows,
)
from emofuse.errors import InputError

A, B = Subject(SubjectKind.FACE, 1), Subject(SubjectKind.FACE, 2)
SLOT = NS // 2
CONFIGS = (
    SmoothConfig(SmoothMethod.NONE),
    SmoothConfig(SmoothMethod.MEAN, seconds=2.0),
    SmoothConfig(SmoothMethod.MEAN, seconds=3.3),
    SmoothConfig(SmoothMethod.EXPONENTIAL, seconds=0.7),
    SmoothConfig(SmoothMethod.EXPONENTIAL, seconds=1.0),
    SmoothConfig(SmoothMethod.HMM),
    SmoothConfig(SmoothMethod.HMM, lag=0.0, dwell=30.0),
    SmoothConfig(SmoothMethod.HMM, lag=2.2, dwell=3.0, independent=4.0),
    SmoothConfig(SmoothMethod.HMM, prior={"neutral": 0.6, "disgust": 0.02}),
)


def fused(
    second: float,
    p: int | np.ndarray,
    subject: Subject = A,
    modality: Modality = Modality.FUSED,
    length: float = 1.0,
) -> Estimate:
    span = Span.of_seconds(second, second + length)
    row = np.eye(8)[p] if isinstance(p, int) else p
    return Estimate(subject, span, Probabilities(CANONICAL, row), modality, 1.0, "m")


def run(stage: Smoother, *items: Estimate | Watermark) -> list:
    return [out for item in items for out in stage.feed(item)] + list(stage.flush())


def estimates(items: list) -> list[Estimate]:
    return [x for x in items if isinstance(x, Estimate)]


def exponential(*items: Estimate, half_life: float = 1.0) -> list[Estimate]:
    return estimates(run(ExponentialSmoother(round(half_life * NS)), *items))


# --- exponential and mean -----------------------------------------------------------------


def test_the_past_weighs_half_after_its_half_life() -> None:
    out = exponential(fused(0, 0), fused(1, 1), fused(2, 1))
    assert [e.probabilities["happy"] for e in out] == pytest.approx([0, 0.5, 0.75])


def test_the_mean_counts_what_lies_in_its_window() -> None:
    out = run(RollingMean(5 * NS // 2), *(fused(t, int(t >= 2)) for t in range(5)))
    assert [e.probabilities["happy"] for e in out] == pytest.approx([0, 0, 0.4, 0.8, 1])


@pytest.mark.parametrize("stage", [ExponentialSmoother(NS), RollingMean(3 * NS)])
def test_subjects_do_not_mix_and_single_modalities_pass(stage: Smoother) -> None:
    face = fused(1, 3, modality=Modality.FACE)
    out = run(stage, fused(0, 0, A), fused(0, 1, B), face, fused(1, 1, B))
    assert [e.confidence for e in out] == [1, 1, 1, 1]
    assert out[2] is face


@pytest.mark.parametrize("stage", [ExponentialSmoother(NS), RollingMean(4 * NS)])
def test_a_long_gap_is_forgotten_and_a_short_one_bridged(stage: Smoother) -> None:
    stage.reset()
    assert run(stage, fused(0, 0), fused(3, 1))[1].probabilities["happy"] == 1
    stage.reset()
    assert 0 < run(stage, fused(0, 0), fused(1.5, 1))[1].probabilities["happy"] < 1


def test_no_half_life_no_smoothing() -> None:
    assert [e.confidence for e in exponential(fused(0, 0), fused(1, 1), half_life=0)] == [1, 1]


# --- the Markov model ---------------------------------------------------------------------


def mostly(hot: int, confidence: float = 0.7) -> np.ndarray:
    p = np.full(8, (1 - confidence) / 7)
    p[hot] = confidence
    return p


def test_a_reading_without_neighbours_is_reported_as_it_is() -> None:
    stage = HmmSmoother(NS, 8 * NS, prior={"happy": 3, "sad": 1})
    (alone,) = estimates(run(stage, fused(0, mostly(2))))
    assert alone.probabilities.values == pytest.approx(mostly(2), abs=1e-6)


def test_a_slip_is_mended_by_what_comes_and_a_change_is_kept() -> None:
    stage = HmmSmoother(NS, 8 * NS, slot_ns=SLOT)
    slip = smooth_rows(stage, [mostly(3 if i == 6 else 1) for i in range(14)], SLOT)
    assert (slip.argmax(axis=1) == 1).all()
    change = smooth_rows(stage, [mostly(3 if i >= 6 else 1) for i in range(14)], SLOT)
    assert change.argmax(axis=1).tolist() == [1] * 6 + [3] * 8  # from the very slot on


def test_it_says_what_forward_and_backward_messages_say() -> None:
    """Against the sum over all paths, with whole evidence and a lag as long as the sequence."""
    rng = np.random.default_rng(5)
    rows = rng.dirichlet(np.ones(8), 4)
    prior = np.full(8, 1 / 8)
    stage = HmmSmoother(10 * NS, 3 * NS, independent_ns=SLOT, slot_ns=SLOT)
    stay = np.exp(-0.5 / 3)
    step = stay * np.eye(8) + (1 - stay) * prior
    expected = np.zeros((4, 8))
    for path in itertools.product(range(8), repeat=4):
        weight = prior[path[0]] * np.prod([rows[i, c] / prior[c] for i, c in enumerate(path)])
        weight *= np.prod([step[a, b] for a, b in itertools.pairwise(path)])
        for i, c in enumerate(path):
            expected[i, c] += weight
    expected /= expected.sum(axis=1, keepdims=True)
    assert smooth_rows(stage, rows, SLOT) == pytest.approx(expected, abs=1e-3)  # floor of 1e-4


def test_after_a_long_absence_the_past_does_not_count() -> None:
    stage = HmmSmoother(NS, 2 * NS)
    out = estimates(
        run(stage, fused(0, 0), Watermark(Modality.FUSED, 60 * NS), fused(90, mostly(2)))
    )
    assert out[1].probabilities.values == pytest.approx(mostly(2), abs=1e-6)


# --- laws of all methods ------------------------------------------------------------------

readings = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([A, B]), st.integers(0, 2**31)),
    min_size=1,
    max_size=30,
    unique_by=lambda r: r[:2],
)


@settings(deadline=None, max_examples=25)
@given(config=st.sampled_from(CONFIGS), made=readings, seed=st.integers(0, 2**31))
def test_when_progress_is_told_does_not_matter_and_it_is_kept(
    config: SmoothConfig, made: list, seed: int
) -> None:
    """Progress after every slot, or now and then, or never: the same comes out."""
    made = sorted(made, key=lambda r: r[:2])
    slots = {k: list(g) for k, g in itertools.groupby(made, key=lambda r: r[0])}

    def stream(chance: float) -> list:
        rng, items = np.random.default_rng(seed), []
        for k in range(42):
            for _, subject, noise in slots.get(k, []):
                p = np.random.default_rng(noise).dirichlet(np.full(8, 0.3))
                items.append(fused(k / 2, p, subject, length=0.5))
            if rng.random() < chance:
                items.append(Watermark(Modality.FUSED, (k + 1) * SLOT))
        return items

    whole = None
    for chance in (1.0, 0.2, 0.0):
        stage, upto, out = make_smoother(config), 0, {}
        for item in run(stage, *stream(chance)):
            if isinstance(item, Watermark):
                assert item.upto_ns >= upto
                upto = item.upto_ns
            else:
                assert item.span.start_ns >= upto
                out[item.subject, item.span] = item.probabilities.values
        assert len(out) == len(made)
        whole = whole or out
        assert out.keys() == whole.keys()
        for key, p in out.items():
            np.testing.assert_allclose(p, whole[key], atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    stage=st.sampled_from([make_smoother(config, SLOT) for config in CONFIGS]),
    old=st.integers(0, 7),
    turn=st.integers(1, 7),
    sure=st.floats(CLEAR + 0.005, 1),
    before=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
@example(stage=make_smoother(CONFIGS[-1], SLOT), old=5, turn=1, sure=0.9375, before=3, seed=0)
def test_a_clear_change_shows_within_the_declared_latency(
    stage: Smoother, old: int, turn: int, sure: float, before: int, seed: int
) -> None:
    new, rng = (old + turn) % 8, np.random.default_rng(seed)

    def reading(hot: int) -> np.ndarray:
        return (1 - sure) * rng.dirichlet(np.full(8, 0.3)) + sure * np.eye(8)[hot]

    stage.reset()
    more = stage.latency_ns // SLOT + 6
    rows = [reading(old) for _ in range(before)]
    # What the declaration asks of causal methods: new readings as sure as the old ones.
    peak = max(row.max() for row in rows)
    rows += [peak * np.eye(8)[new] + (1 - peak) * np.full(8, 1 / 8) for _ in range(more)]
    known_ns, seen_ns = (before + 1) * SLOT, None  # the first new reading is complete
    for i, row in enumerate(rows):
        out = list(stage.feed(fused(i / 2, row, length=0.5)))
        out += stage.feed(Watermark(Modality.FUSED, (i + 1) * SLOT))
        if seen_ns is None and any(e.label == CANONICAL.labels[new] for e in estimates(out)):
            seen_ns = (i + 1) * SLOT
    assert seen_ns is not None
    assert seen_ns - known_ns <= stage.latency_ns


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.method.value)
def test_no_estimate_is_held_longer_than_the_lag(config: SmoothConfig) -> None:
    stage, upto = make_smoother(config), 0
    for k in range(40):
        for item in (fused(k / 2, 0, length=0.5), Watermark(Modality.FUSED, (k + 1) * SLOT)):
            for out in stage.feed(item):
                if isinstance(out, Watermark):
                    upto = out.upto_ns
        assert (k + 1) * SLOT - upto < stage.lag_ns + SLOT
    assert stage.lag_ns <= stage.latency_ns


# --- learning and settings ----------------------------------------------------------------


def test_the_prior_is_found_again_in_sequences_made_from_it() -> None:
    rng, prior = np.random.default_rng(1), np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    sequences = []
    for _ in range(20):
        s = [rng.choice(8, p=prior)]
        for _ in range(500):
            s.append(rng.choice(8, p=prior) if rng.random() < 1 - np.exp(-0.5 / 6) else s[-1])
        sequences.append([CANONICAL.labels[i] for i in s])
    dwell, common = learn_dwell(sequences, 0.5)
    assert dwell == pytest.approx(6, rel=0.1)
    assert list(common.values()) == pytest.approx(prior, abs=0.04)
    SmoothConfig(SmoothMethod.HMM, dwell=dwell, prior=common)  # is what the stage takes


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(ValueError, match="at least two labels"):
        learn_dwell([["happy"], []], 0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": -1.0},
        {"lag": 61.0},
        {"dwell": 0.0},
        {"independent": -2.0},
        {"prior": {"sad": 0}},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"smoothing.{next(iter(wrong))}"):
        SmoothConfig(**wrong)


def test_a_prior_over_other_labels_is_refused() -> None:
    stage = make_smoother(SmoothConfig(SmoothMethod.HMM, prior={"boredom": 1.0}))
    with pytest.raises(InputError, match="boredom"):
        run(stage, fused(0, 0))
