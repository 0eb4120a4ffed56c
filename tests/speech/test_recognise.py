"""What the speech model looks at, and that the embedded one answers sensibly."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from emofuse.errors import ModelError
from emofuse.models.golden import golden_path, read_golden, replay
from emofuse.models.registry import load
from emofuse.models.store import Store
from emofuse.speech.features import MelConfig, mel_power, prosody
from emofuse.speech.recognise import Features, Level, Preparation, SpeechRecogniser, prepare

MODEL = "speech-v4"


def buzz(n: int, hz: float = 120.0) -> np.ndarray:
    t = np.arange(n) / 16_000
    rng = np.random.default_rng(1)
    tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 20))
    return (0.1 * tone * (1 + np.sin(20 * t)) + rng.normal(0, 0.003, n)).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 48_000))
def test_any_length_fills_the_picture(n: int) -> None:
    row = prepare(buzz(n))
    assert row.shape == Preparation().shape == (64, 186)
    assert row.dtype == np.float32
    assert np.isfinite(row).all()


def test_short_sound_is_repeated() -> None:
    frames = MelConfig().frames(16_000)
    row = prepare(buzz(16_000))
    np.testing.assert_array_equal(row[:, :frames], row[:, frames : 2 * frames])


@settings(deadline=None, max_examples=20)
@given(gain=st.floats(1e-4, 100))
def test_loudness_does_not_matter(gain: float) -> None:
    x = buzz(24_000)
    np.testing.assert_allclose(prepare(x * np.float32(gain)), prepare(x), atol=2e-3)


def test_the_picture_is_normalised() -> None:
    row = prepare(buzz(48_000))
    assert abs(row.mean()) < 1e-3
    assert abs(row.std() - 1) < 1e-2


def test_silence_has_a_picture_too() -> None:
    assert (prepare(np.zeros(8_000, np.float32)) == 0).all()


RELATIVE = Preparation(level=Level.RELATIVE, centre=-5.0, scale=3.0)


@settings(deadline=None, max_examples=10)
@given(gain=st.floats(1e-3, 100))
def test_a_relative_level_does_not_hear_loudness(gain: float) -> None:
    x = buzz(24_000)
    np.testing.assert_allclose(
        prepare(x * np.float32(gain), RELATIVE), prepare(x, RELATIVE), atol=2e-3
    )


def test_a_relative_level_is_the_logarithm_of_what_it_says() -> None:
    x = buzz(48_000)
    power = mel_power(x, 16_000)
    expected = (np.log(np.maximum(power / power.mean(), 1e-6)) + 5) / 3
    np.testing.assert_allclose(prepare(x, RELATIVE), expected, atol=1e-4)


def test_a_relative_level_keeps_how_lively_a_sound_is() -> None:
    """A per-clip level makes a flat and a lively sound equally wide; a relative one does not."""
    t = np.arange(48_000) / 16_000
    hiss = np.random.default_rng(0).normal(0, 0.1, t.size)
    flat, lively = (
        (hiss * np.exp(depth * np.sin(8 * t))).astype(np.float32) for depth in (0.0, 2.0)
    )
    assert prepare(lively, RELATIVE).std() > 1.5 * prepare(flat, RELATIVE).std()
    assert prepare(lively).std() == pytest.approx(prepare(flat).std(), rel=1e-2)


def test_silence_has_a_relative_level_too() -> None:
    assert prepare(np.zeros(8_000, np.float32), RELATIVE) == pytest.approx(5 / 3)


def test_the_level_is_read_from_a_card_and_written_as_a_word(recogniser: SpeechRecogniser) -> None:
    table = {"level": "relative", "centre": -5.0, "scale": 3.0}
    assert Preparation.of_card(replace(recogniser.card, preparation=table)) == RELATIVE
    assert f"{Level.RELATIVE}" == str(asdict(RELATIVE)["level"]) == "relative"
    wrong = replace(recogniser.card, preparation={"level": "loud"})
    with pytest.raises(ModelError, match="loud"):
        Preparation.of_card(wrong)


EVERY = [
    Preparation(features=features, deltas=deltas, seconds=1.5)
    for features, deltas in (("logmel", 0), ("mfcc", 0), ("mfcc", 2), ("handcrafted", 1))
] + [Preparation(features=Features.WAVEFORM, seconds=1.5)]


@pytest.mark.parametrize("preparation", EVERY, ids=lambda p: f"{p.features}-{p.deltas}")
@pytest.mark.parametrize("n", [1, 700, 8_000, 24_000])
def test_every_kind_of_features_has_its_shape(preparation: Preparation, n: int) -> None:
    row = prepare(buzz(n), preparation)
    assert row.shape == preparation.shape
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    assert np.isfinite(prepare(np.zeros(n, np.float32), preparation)).all()


@pytest.mark.parametrize("preparation", EVERY, ids=lambda p: f"{p.features}-{p.deltas}")
def test_no_kind_of_features_hears_loudness(preparation: Preparation) -> None:
    x = buzz(24_000)
    for gain in (1e-3, 30.0):
        np.testing.assert_allclose(
            prepare(x * np.float32(gain), preparation), prepare(x, preparation), atol=5e-3
        )


def test_cepstra_are_the_cosine_transform_of_the_picture() -> None:
    x = buzz(48_000)
    whole = prepare(x, Preparation(features=Features.MFCC, coefficients=64))
    np.testing.assert_allclose(fft.idct(whole, type=2, norm="ortho", axis=0), prepare(x), atol=1e-5)
    few = prepare(x, Preparation(features=Features.MFCC, coefficients=13))
    np.testing.assert_allclose(few, whole[:13], atol=1e-5)


def test_by_hand_has_the_cepstra_and_then_prosody() -> None:
    x = buzz(48_000)
    rows = prepare(x, Preparation(features=Features.HANDCRAFTED, deltas=1))
    cepstra = prepare(x, Preparation(features=Features.MFCC, deltas=1))
    np.testing.assert_array_equal(rows[:40], cepstra)
    np.testing.assert_array_equal(rows[40:], prosody(x, 16_000))


def test_a_waveform_is_standardised_and_repeated() -> None:
    row = prepare(buzz(20_000) + 3, Preparation(features=Features.WAVEFORM))
    assert row[:20_000].mean() == pytest.approx(0, abs=1e-4)
    assert row[:20_000].std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(row[20_000:40_000], row[:20_000])


def test_a_card_of_the_first_version_gives_the_picture_it_gave() -> None:
    """The card's keys of then, and the picture as it was computed then."""
    table = {"rate": 16_000, "seconds": 3.0, "range_db": 60.0}
    table["mel"] = {"window": 512, "hop": 256, "mels": 64, "low": 60.0, "high": 7600.0}
    card = replace(load(MODEL, Store(offline=True)).card, preparation=table)
    x = buzz(48_000)
    power = mel_power(x, 16_000)
    then = np.log(np.maximum(power, np.float32(power.mean() * 1e-6)))
    then -= then.mean()
    then /= then.std()
    np.testing.assert_allclose(prepare(x, Preparation.of_card(card)), then, atol=1e-6)


def test_a_picture_of_few_bands_needs_no_cepstra() -> None:
    assert Preparation(mel=MelConfig(mels=16)).shape == (16, 186)


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": "spectrum"},
        {"features": "mfcc", "coefficients": 65},
        {"features": "mfcc", "deltas": 3},
        {"features": "handcrafted", "mel": {"window": 200, "hop": 100}},
    ],
    ids=lambda w: "-".join(w),
)
def test_features_that_make_no_sense_are_refused(
    wrong: dict[str, object], recogniser: SpeechRecogniser
) -> None:
    with pytest.raises(ModelError, match="does not fit a speech model"):
        Preparation.of_card(replace(recogniser.card, preparation=wrong))


@pytest.mark.parametrize("n", [0, 48_001])
def test_sound_of_no_or_too_great_length_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        prepare(np.zeros(n, np.float32))


@pytest.fixture(scope="module")
def recogniser() -> SpeechRecogniser:
    model = load(MODEL, Store(offline=True))
    assert isinstance(model, SpeechRecogniser)
    return model


def test_the_embedded_model_answers_as_when_it_was_exported(recogniser: SpeechRecogniser) -> None:
    replay(recogniser, read_golden(golden_path(recogniser.card)))


def test_the_card_is_complete(recogniser: SpeechRecogniser) -> None:
    card = recogniser.card
    assert card.taxonomy.labels == (
        "neutral",
        "happy",
        "sad",
        "angry",
        "fear",
        "disgust",
        "surprise",
    )
    assert card.window is not None
    assert card.window.window_ns == recogniser.preparation.seconds * 1e9
    assert card.prior is not None
    assert sum(card.prior) == pytest.approx(1, abs=1e-3)
    assert min(card.prior) > 0.01
    assert {d.name for d in card.data} >= {"crema-d", "ravdess", "emodb", "nemo", "tess"}
    floor = {m.name: m.value for m in card.metrics if m.split == "test, full"}
    assert floor["uar"] >= 0.65


def test_a_preparation_of_another_kind_is_refused(recogniser: SpeechRecogniser) -> None:
    card = replace(recogniser.card, preparation={"side": 48})
    with pytest.raises(ModelError, match="preparation"):
        Preparation.of_card(card)
