"""How good a stretch of sound is as evidence of a voice's expression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.details import SpeechDetails
from ..core.media import Grade
from .features import MelConfig, mel_power

ENOUGH_SECONDS = 1.0
"""More voice than this makes evidence no better."""

SNR_DB = (-5.0, 20.0)
"""Signal-to-noise ratios at which sound is worthless, and as good as it gets."""

_MEL = MelConfig(window=512, hop=256, mels=24, low=100.0, high=4000.0)
_SMOOTH = 5  # frames averaged before the quietest are looked for
_QUIET = 10  # percentile over time that counts as noise
_BIAS = 1.4  # noise that does not change has its mean so far above that percentile
_TYPICAL_DB = 15.0  # ratio assumed of sound too short to say
_TELLING_SECONDS = 2.0  # length from which the estimate stands alone
_LOUD_DB = 25.0  # voice is at most so far below the loudest frames


def grade(samples: NDArray[np.float32], rate: int) -> Grade:
    """Say how good a voiced waveform is as evidence, and what tells why.

    The quality is the product of two shares: voiced seconds of `ENOUGH_SECONDS`, and
    the estimated signal-to-noise ratio between the two values of `SNR_DB`, both
    clipped to [0, 1]. In a short piece the voice hardly pauses to let the noise
    be heard, so there the estimate leans towards a typical ratio of 15 dB.
    Loudness does not matter.

    Args:
        samples: mono, float32, shape (n,).
        rate: sampling rate in Hz, at least 8000.

    Returns:
        A quality from 0 (silence, noise alone) to 1 (a second or more of clear voice),
        with its `SpeechDetails`.
    """
    if samples.size == 0 or not samples.any():
        return Grade(0.0, SpeechDetails(voiced=0.0, snr=SNR_DB[0]))
    power = mel_power(samples, rate, _MEL)
    trust = min(1.0, samples.size / rate / _TELLING_SECONDS)
    snr_db = trust * estimate_snr_db(power) + (1 - trust) * _TYPICAL_DB
    low, high = SNR_DB
    clear = float(np.clip((snr_db - low) / (high - low), 0.0, 1.0))
    voiced = _voiced_frames(power) * _MEL.hop / rate
    details = SpeechDetails(voiced=round(voiced, 2), snr=round(snr_db, 1))
    return Grade(clear * min(voiced / ENOUGH_SECONDS, 1.0), details)


def speech_quality(samples: NDArray[np.float32], rate: int) -> float:
    """Return how good a voiced waveform is as evidence, in [0, 1]; see `grade`."""
    return grade(samples, rate).quality


def estimate_snr_db(power: NDArray[np.float32]) -> float:
    """Estimate the signal-to-noise ratio of a voice from its mel power, in dB.

    Noise is what a band keeps in its quietest moments (cf. Martin 2001,
    doi:10.1109/89.928915): voice leaves every band again and again, steady noise
    does not. Noise that comes and goes like voice is taken for voice.

    Args:
        power: mel power, shape (mels, frames).

    Returns:
        The ratio, between -10 and 60 dB.
    """
    smooth = _moving_mean(power, _SMOOTH)
    noise = _BIAS * float(np.percentile(smooth, _QUIET, axis=1).sum())
    total = float(power.mean(axis=1).sum())
    ratio = (total - noise) / max(noise, total * 1e-6)
    return float(np.clip(10 * np.log10(max(ratio, 0.1)), -10.0, 60.0))


def _moving_mean(rows: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Mean of `width` neighbors along rows; the ends count as going on as they are."""
    before = width // 2
    wide = np.pad(rows, ((0, 0), (before, width - 1 - before)), mode="edge")
    sums = np.cumsum(wide, axis=1, dtype=np.float64)
    sums[:, width:] -= sums[:, :-width].copy()
    return sums[:, width - 1 :] / width


def _voiced_frames(power: NDArray[np.float32]) -> int:
    """Count the frames whose level is near that of the loud ones."""
    level = power.sum(axis=0)
    return int((level >= np.percentile(level, 95) * 10 ** (-_LOUD_DB / 10)).sum())
