"""Mel spectra and cepstra, on scipy.fft alone.

The numbers are those of librosa (Slaney's mel scale and area-normalised
triangles, periodic Hann window, no padding at the edges) without librosa, whose
import costs more than the analysis of a clip. Everything is float32 and works
on all frames at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft as sp_fft

_LINEAR_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0
_BLOCK = 128  # frames at once: their spectra stay in the processor's cache


@dataclass(frozen=True, slots=True)
class MelConfig:
    """How sound becomes a mel spectrum.

    Args:
        window: samples of a frame, and size of its Fourier transform.
        hop: samples from one frame's start to the next one's.
        mels: number of bands.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz.

    Raises:
        ValueError: if a value makes no sense.
    """

    window: int = 512
    hop: int = 256
    mels: int = 64
    low: float = 60.0
    high: float = 7600.0

    def __post_init__(self) -> None:
        if not (0 < self.hop <= self.window and self.mels > 0 and 0 <= self.low < self.high):
            raise ValueError(f"need 0 < hop <= window, mels > 0 and 0 <= low < high, got {self}")

    def frames(self, samples: int) -> int:
        """Return how many whole frames `samples` samples hold; at least 1 (padded)."""
        return 1 + max(0, samples - self.window) // self.hop


def mel_power(
    samples: NDArray[np.float32], rate: int, config: MelConfig = MelConfig()
) -> NDArray[np.float32]:
    """Return the power in each mel band of each frame.

    Frame k covers the samples ``[k * hop, k * hop + window)``. Sound shorter than
    one window is padded with zeros to one frame.

    Args:
        samples: mono, float32, shape (n,).
        rate: sampling rate in Hz.
        config: frame and band sizes.

    Returns:
        float32, shape (mels, frames).

    Raises:
        ValueError: if `samples` is not one-dimensional or empty, or the highest
            band reaches above half the sampling rate.
    """
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"need at least one sample in shape (n,), got {samples.shape}")
    x = np.ascontiguousarray(samples, dtype=np.float32)
    if x.size < config.window:
        x = np.pad(x, (0, config.window - x.size))
    bank, first, last = _filterbank(rate, config)
    frames = np.lib.stride_tricks.sliding_window_view(x, config.window)[:: config.hop]
    out = np.empty((config.mels, len(frames)), dtype=np.float32)
    for start in range(0, len(frames), _BLOCK):
        block = frames[start : start + _BLOCK] * _hann(config.window)
        bins = sp_fft.rfft(block, axis=1)[:, first:last]
        power = bins.real**2
        power += bins.imag**2
        np.matmul(bank, power.T, out=out[:, start : start + _BLOCK])
    return out


def log_mel(
    samples: NDArray[np.float32],
    rate: int,
    config: MelConfig = MelConfig(),
    floor: float = 1e-10,
) -> NDArray[np.float32]:
    """Return the natural logarithm of `mel_power`, of at least `floor`.

    Args:
        samples: mono, float32, shape (n,).
        rate: sampling rate in Hz.
        config: frame and band sizes.
        floor: smallest power told apart; what is below counts as `floor`.

    Returns:
        float32, shape (mels, frames).

    Raises:
        ValueError: as `mel_power`.
    """
    power = mel_power(samples, rate, config)
    np.maximum(power, np.float32(floor), out=power)
    return np.log(power, out=power)


def mfcc(
    samples: NDArray[np.float32],
    rate: int,
    count: int = 20,
    config: MelConfig = MelConfig(),
    top_db: float = 80.0,
) -> NDArray[np.float32]:
    """Return mel-frequency cepstral coefficients (Davis and Mermelstein 1980).

    They are the orthonormal cosine transform (type II) of the mel power in
    decibels, where what lies more than `top_db` below the loudest is raised to
    that level.

    Args:
        samples: mono, float32, shape (n,).
        rate: sampling rate in Hz.
        count: how many coefficients, from the 0th; at most `config.mels`.
        config: frame and band sizes.
        top_db: dynamic range kept, in dB.

    Returns:
        float32, shape (count, frames).

    Raises:
        ValueError: if `count` is out of range; otherwise as `mel_power`.
    """
    if not 0 < count <= config.mels:
        raise ValueError(f"need 0 < count <= {config.mels} (the mel bands), got {count}")
    decibels = log_mel(samples, rate, config) * np.float32(10.0 / np.log(10.0))
    np.maximum(decibels, decibels.max() - np.float32(top_db), out=decibels)
    cepstrum: NDArray[np.float32] = sp_fft.dct(decibels, type=2, norm="ortho", axis=0)[:count]
    return cepstrum


def hz_to_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Convert Hz to mel on Slaney's scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ_PER_MEL, above)


def mel_to_hz(mel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Convert mel to Hz; the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, above)


@lru_cache(maxsize=8)
def _hann(size: int) -> NDArray[np.float32]:
    """The periodic Hann window: its copies at half-window hops sum to 1."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return window.astype(np.float32)


@lru_cache(maxsize=8)
def _filterbank(rate: int, config: MelConfig) -> tuple[NDArray[np.float32], int, int]:
    """Triangles over the bins [first, last) that some band hears: (mels, last - first)."""
    if config.high > rate / 2:
        raise ValueError(
            f"the highest mel band ends at {config.high:g} Hz, above half of the sampling "
            f"rate {rate} Hz: resample, or lower `high`"
        )
    edges = mel_to_hz(np.linspace(hz_to_mel(config.low), hz_to_mel(config.high), config.mels + 2))
    bins = np.fft.rfftfreq(config.window, 1.0 / rate)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    bank *= 2.0 / (edges[2:] - edges[:-2])[:, None]  # every triangle has the same area
    heard = np.flatnonzero(bank.any(axis=0))
    first, last = int(heard[0]), int(heard[-1]) + 1
    return bank[:, first:last].astype(np.float32), first, last
