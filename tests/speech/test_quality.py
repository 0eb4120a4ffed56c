"""Quality follows what makes a voice hard to hear, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.sources.audio import read_audio
from emofuse.speech.features import MelConfig, mel_power
from emofuse.speech.quality import estimate_snr_db, grade, speech_quality

RATE = 16_000
MEL = MelConfig(mels=24, low=100.0, high=4000.0)


@pytest.fixture(scope="module")
def voice(media: Path) -> np.ndarray:
    """1.8 s of synthesised speech, without the silence around it."""
    x = read_audio(media / "speech.ogg")
    start = int(np.argmax(np.abs(x) > 0.02))
    return x[start : start + int(1.8 * RATE)]


def noisy(x: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, x.size)
    noise *= np.sqrt((x**2).mean() * 10 ** (-snr_db / 10))
    return (x + noise).astype(np.float32)


def test_clear_voice_is_good_and_noise_alone_worthless(voice: np.ndarray) -> None:
    assert speech_quality(voice, RATE) > 0.8
    assert speech_quality(noisy(np.ones(3 * RATE, np.float32), -60), RATE) < 0.05


def test_more_noise_is_worse(voice: np.ndarray) -> None:
    values = [speech_quality(noisy(voice, snr), RATE) for snr in (30, 10, 5, 0, -5)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.4


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0])
def test_the_ratio_is_estimated_within_5_db(voice: np.ndarray, snr_db: float) -> None:
    power = mel_power(noisy(voice, snr_db), RATE, MEL)
    assert abs(estimate_snr_db(power) - snr_db) < 5


def test_less_voice_is_worse(voice: np.ndarray) -> None:
    short = [speech_quality(voice[: int(s * RATE)], RATE) for s in (0.2, 0.5, 1.0)]
    assert short == sorted(short)
    assert 0 < short[0] < 0.5
    padded = np.concatenate((voice[: RATE // 4], np.zeros(2 * RATE, np.float32)))
    assert speech_quality(padded, RATE) < 0.4


@pytest.mark.parametrize("gain", [1e-3, 0.1, 10.0])
def test_loudness_does_not_matter(voice: np.ndarray, gain: float) -> None:
    expected = speech_quality(voice, RATE)
    assert speech_quality(voice * np.float32(gain), RATE) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("n", [0, 1, 100, 16_000])
def test_silence_is_worthless(n: int) -> None:
    assert speech_quality(np.zeros(n, np.float32), RATE) == 0.0


def test_what_tells_why_is_told(voice: np.ndarray) -> None:
    clear, short = grade(voice, RATE), grade(voice[: RATE // 5], RATE)
    assert short.details.voiced < 0.3 < clear.details.voiced
    assert grade(noisy(voice, 0), RATE).details.snr < 6 < clear.details.snr
    assert clear.quality == speech_quality(voice, RATE)
