"""The mel spectrum, the cepstra and the features by hand are librosa's.

A reference is kept in reference.npz, so that librosa (17 s for its first call)
is needed only to make it anew. EMOFUSE_TEST_LIBROSA=1 compares with the
installed librosa as well.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.speech.make_reference import BANDS, RATE, REFERENCE, SHAPE, reference, sound

from emofuse.sources.audio import read_audio
from emofuse.speech import external, features, quality
from emofuse.speech.features import (
    MelConfig,
    chroma,
    contrast,
    crossings,
    deltas,
    hz_to_mel,
    log_mel,
    mel_power,
    mel_to_hz,
    mfcc,
    pitch,
    power_spectrum,
    prosody,
    prosody_rows,
)

MEDIA = Path(__file__).parents[1] / "media"
CONFIG = MelConfig(
    window=SHAPE["n_fft"],
    hop=SHAPE["hop_length"],
    mels=BANDS["n_mels"],
    low=BANDS["fmin"],
    high=BANDS["fmax"],
)


def assert_same(expected: dict[str, np.ndarray], x: np.ndarray) -> None:
    np.testing.assert_allclose(mel_power(x, RATE, CONFIG), expected["mel_power"], rtol=2e-5)
    np.testing.assert_allclose(
        log_mel(x, RATE, CONFIG), np.log(np.maximum(expected["mel_power"], 1e-10)), atol=2e-5
    )
    np.testing.assert_allclose(mfcc(x, RATE, 13, CONFIG), expected["mfcc"], atol=5e-4)
    np.testing.assert_allclose(deltas(expected["mfcc"]), expected["deltas"], atol=1e-5)
    power = power_spectrum(x)
    np.testing.assert_allclose(chroma(power, RATE), expected["chroma"], atol=1e-5)
    np.testing.assert_allclose(contrast(power, RATE), expected["contrast"], atol=1e-3)
    np.testing.assert_allclose(crossings(x), expected["crossings"], atol=1e-6)
    hz, periodicity = pitch(power, RATE)
    clear = periodicity > 0.5  # not where the sound is suddenly over
    assert clear.sum() > 14
    np.testing.assert_allclose(hz[clear], expected["yin"][clear], rtol=0.02)


def test_same_as_the_kept_librosa_reference() -> None:
    with np.load(REFERENCE) as kept:
        assert_same(dict(kept), kept["sound"])


@pytest.mark.skipif(
    os.environ.get("EMOFUSE_TEST_LIBROSA") != "1",
    reason="slow: set EMOFUSE_TEST_LIBROSA=1 to compare with the installed librosa",
)
def test_same_as_the_installed_librosa() -> None:
    pytest.importorskip("librosa")
    assert_same(reference(sound()), sound())


@given(st.floats(0, 20_000))
def test_mel_scale_goes_there_and_back(hz: float) -> None:
    assert mel_to_hz(hz_to_mel(hz)) == pytest.approx(hz, abs=1e-6)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0, 10.0])
def test_frames_are_those_that_the_configuration_counts(seconds: float) -> None:
    x = np.ones(int(seconds * RATE), np.float32)
    out = log_mel(x, RATE)
    assert out.shape == (64, MelConfig().frames(x.size))
    assert out.dtype == np.float32


def test_long_sound_has_the_frames_of_its_pieces() -> None:
    """Frames are computed in blocks; a block's border must not show."""
    x = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    whole = mel_power(x, RATE)
    at = 300 * MelConfig().hop
    np.testing.assert_allclose(mel_power(x[at:], RATE), whole[:, 300:], rtol=1e-5)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    edges = mel_to_hz(np.linspace(hz_to_mel(60.0), hz_to_mel(7600.0), 66))
    band = int(mel_power(tone, RATE).mean(axis=1).argmax())
    assert edges[band] < 1000 < edges[band + 2]


def test_silence_is_the_floor() -> None:
    assert (log_mel(np.zeros(RATE, np.float32), RATE) == np.float32(np.log(1e-10))).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        log_mel(np.empty(0, np.float32), RATE)
    with pytest.raises(ValueError, match="at least one sample"):
        log_mel(np.zeros((2, 100), np.float32), RATE)
    with pytest.raises(ValueError, match="resample"):
        log_mel(np.zeros(800, np.float32), 8000)
    with pytest.raises(ValueError, match="count"):
        mfcc(np.zeros(800, np.float32), RATE, 65)
    with pytest.raises(ValueError, match="hop"):
        MelConfig(window=100, hop=200)


def harmonic(hz: float, seconds: float = 0.5, noise: float = 0.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, int(4000 / hz)))
    hiss = np.random.default_rng(0).normal(0, 1, t.size) * noise
    return (0.1 * (tone + hiss)).astype(np.float32)


@pytest.mark.parametrize("hz", [70.0, 98.3, 151.7, 233.0, 320.5, 480.0])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_pitch_of_a_voice_is_found(hz: float, noise: float) -> None:
    found, periodicity = pitch(power_spectrum(harmonic(hz, noise=noise)), RATE)
    np.testing.assert_allclose(found, hz, rtol=0.01)
    assert (periodicity > 0.7).all()


def test_hiss_has_no_pitch() -> None:
    hiss = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    _, periodicity = pitch(power_spectrum(hiss), RATE)
    assert (periodicity < 0.5).all()


def test_a_missing_fundamental_is_heard() -> None:
    t = np.arange(RATE // 2) / RATE
    x = sum(np.sin(2 * np.pi * k * 125 * t) for k in (3, 4, 5, 6)).astype(np.float32)
    found, _ = pitch(power_spectrum(x), RATE)
    np.testing.assert_allclose(found, 125, rtol=0.01)


def test_a_pitch_too_low_for_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="periods"):
        pitch(power_spectrum(harmonic(100.0), window=256), RATE)


@given(st.floats(-3.9, 3.9))
def test_deltas_of_a_line_are_its_slope(slope: float) -> None:
    line = (slope * np.arange(30, dtype=np.float32))[None]
    np.testing.assert_allclose(deltas(line)[:, 4:-4], slope, atol=1e-4)


@pytest.mark.parametrize(("hz", "name"), [(220.0, 9), (440.0, 9), (261.63, 0), (523.25, 0)])
def test_chroma_names_the_tone_whatever_the_octave(hz: float, name: int) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    classes = chroma(power_spectrum(tone, 4096), RATE)
    assert (classes.argmax(axis=0) == name).all()
    assert classes.max() == 1


def test_a_voice_has_more_contrast_than_hiss() -> None:
    hiss = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    voice = contrast(power_spectrum(harmonic(150.0)), RATE)[2:5].mean()
    assert voice > contrast(power_spectrum(hiss), RATE)[2:5].mean() + 5


def test_hiss_crosses_zero_more_often_than_a_voice() -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE).astype(np.float32)
    assert crossings(tone).mean() == pytest.approx(200 / RATE, rel=0.1)
    hiss = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert crossings(hiss).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("samples", [1, 300, 512, 767, 768, 5000, 48_000])
def test_prosody_has_the_frames_of_the_mel_spectrum(samples: int) -> None:
    config = MelConfig()
    found = prosody(harmonic(150.0, 3.0)[:samples], RATE, config)
    assert (
        found.shape == (prosody_rows(RATE, config), config.frames(samples)) == (22, found.shape[1])
    )
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


CLIPS = Path(os.environ.get("EMOFUSE_DATA", Path(__file__).parents[3] / "shared" / "data"), "clips")
MAN, SYNTHESISED = CLIPS / "ravdess_01-01-06-01-01-02-09.mp4", MEDIA / "speech.ogg"


@pytest.mark.parametrize("voice", [MAN, SYNTHESISED], ids=lambda path: path.stem)
def test_prosody_of_a_voice(voice: Path) -> None:
    """Its pitch rows say a human pitch, voiced for a good part; loudness is not heard."""
    if not voice.exists():
        pytest.skip("no clips/ in the folder EMOFUSE_DATA")
    x = read_audio(voice, RATE)[RATE : 4 * RATE]
    found = prosody(x, RATE)
    octaves, periodicity = found[-2:]
    voiced = periodicity > 0.5
    assert 0.15 < voiced.mean() < 0.9
    assert 80 < 150 * 2 ** np.median(octaves[voiced]) < 400
    np.testing.assert_allclose(prosody(x * np.float32(0.01), RATE), found, atol=2e-3)


def test_prosody_of_silence_is_still() -> None:
    found = prosody(np.zeros(RATE, np.float32), RATE)
    np.testing.assert_array_equal(found[12:], 0)
    np.testing.assert_allclose(found, found[:, :1].repeat(found.shape[1], 1), rtol=1e-5)


def test_dct_and_slopes_as_scipys() -> None:
    fft, signal = pytest.importorskip("scipy.fft"), pytest.importorskip("scipy.signal")
    rows = np.random.default_rng(3).normal(size=(26, 40)).astype(np.float32)
    expected = fft.dct(rows, type=2, norm="ortho", axis=0)[:13]
    np.testing.assert_allclose(features.dct(rows, 13), expected, atol=2e-6)
    for width, order, mode in ((9, 1, "interp"), (9, 2, "interp"), (5, 1, "nearest")):
        theirs = signal.savgol_filter(rows, width, order, deriv=order, axis=1, mode=mode)
        ours = external._slopes(rows, width, order, at_ends=mode == "interp")
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_moving_mean_as_scipys() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(3)
    for width in (4, 5, 9):
        for frames in (1, 3, 60):
            rows = rng.random((3, frames), dtype=np.float32)
            expected = ndimage.uniform_filter1d(rows, width, axis=1, mode="nearest")
            np.testing.assert_allclose(quality._moving_mean(rows, width), expected, atol=1e-6)
