"""The mel spectrum and the cepstra are librosa's.

A reference is kept in reference.npz, so that librosa (17 s for its first call)
is needed only to make it anew. EMOFUSE_TEST_LIBROSA=1 compares with the
installed librosa as well.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.speech.make_reference import BANDS, RATE, REFERENCE, SHAPE, reference, sound

from emofuse.speech.features import MelConfig, hz_to_mel, log_mel, mel_power, mel_to_hz, mfcc

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
