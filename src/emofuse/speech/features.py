"""What a voice is described by, on NumPy alone: mel spectra, cepstra, pitch and more.

The numbers are those of librosa (Slaney's mel scale and area-normalised
triangles, periodic Hann window, no padding at the edges) without librosa, whose
import costs more than the analysis of a clip; only `pitch` is a method of its
own. Everything is float32 and works on all frames at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_LINEAR_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0
_VOICE = (65.0, 500.0)  # Hz: from deep men to crying children
_VOICED = 0.5  # periodicity from which a frame's pitch means something
_FAINT = 1e-6  # power per sample, relative to the mean, below which sound counts as none
_OCTAVE_COST = 0.03  # of periodicity, per octave of longer period
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
        bins = _rfft(block, axis=1)[:, first:last]
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
    return dct(decibels, count)


def dct(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """First coefficients of the orthonormal discrete cosine transform (type 2) of each column.

    Args:
        rows: float32, shape (n, frames).
        count: how many, at most n.

    Returns:
        float32, shape (count, frames).
    """
    return np.asarray(_cosines(len(rows), count) @ rows, dtype=np.float32)


@lru_cache(maxsize=8)
def _cosines(n: int, count: int) -> NDArray[np.float32]:
    angles = np.pi / n * np.outer(np.arange(count), np.arange(n) + 0.5)
    basis = np.cos(angles) * np.sqrt(2 / n)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, dtype=np.float32)


def _rfft(frames: NDArray[np.float32], axis: int) -> NDArray[np.complex64]:
    """Transform real frames; NumPy before 2 computes in double precision."""
    return np.fft.rfft(frames, axis=axis).astype(np.complex64, copy=False)


def deltas(rows: NDArray[np.float32], reach: int = 4) -> NDArray[np.float32]:
    """Return how fast each row changes: the slope of a line through nearby frames.

    The regression of the HTK book (Young et al. 2006, section 5.9); the first
    and last frame are repeated beyond the edges.

    Args:
        rows: float32, shape (rows, frames).
        reach: how many frames on either side the line is fitted to.

    Returns:
        Change per frame, float32, shape (rows, frames).

    Raises:
        ValueError: if `reach` is not positive.
    """
    if reach < 1:
        raise ValueError(f"need reach >= 1 frame, got {reach}")
    frames = rows.shape[1]
    padded = np.pad(rows, ((0, 0), (reach, reach)), mode="edge")
    slope = np.zeros_like(rows)
    for k in range(1, reach + 1):
        ahead, behind = padded[:, reach + k :], padded[:, reach - k :]
        slope += np.float32(k) * (ahead[:, :frames] - behind[:, :frames])
    slope /= np.float32(2 * sum(k * k for k in range(1, reach + 1)))
    return slope


def power_spectrum(
    samples: NDArray[np.float32], window: int = 1024, hop: int = 256
) -> NDArray[np.float32]:
    """Return the power of each frame's Fourier bins under a periodic Hann window.

    What `chroma`, `contrast` and `pitch` are computed from.

    Args:
        samples: mono, float32, shape (n,) with n >= `window`.
        window: samples of a frame, even.
        hop: samples from one frame's start to the next one's.

    Returns:
        float32, shape (frames, window / 2 + 1): a row a frame.

    Raises:
        ValueError: if `samples` is shorter than one window.
    """
    if samples.ndim != 1 or samples.size < window:
        raise ValueError(f"need at least {window} samples in shape (n,), got {samples.shape}")
    x = np.ascontiguousarray(samples, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
    power = np.empty((len(frames), window // 2 + 1), dtype=np.float32)
    for start in range(0, len(frames), _BLOCK):
        bins = _rfft(frames[start : start + _BLOCK] * _hann(window), axis=1)
        np.multiply(bins.real, bins.real, out=power[start : start + _BLOCK])
        power[start : start + _BLOCK] += bins.imag**2
    return power


def chroma(power: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return how power is spread over the twelve pitch classes, octaves laid on each other.

    Each bin counts for the classes near it (a Gaussian of one semitone, or of one
    bin where bins are wider) and most around the fifth octave (Ellis 2007, "Chroma
    feature analysis and synthesis"). The strongest class of a frame is 1; a
    silent frame is 0.

    Args:
        power: as `power_spectrum` gives it, shape (frames, bins).
        rate: sampling rate in Hz.

    Returns:
        From C to B, float32 in [0, 1], shape (12, frames).
    """
    bank = _chroma_bank(rate, 2 * (power.shape[1] - 1))
    classes: NDArray[np.float32] = bank @ power.T
    strongest = classes.max(axis=0)
    strongest[strongest < np.finfo(np.float32).tiny] = 1.0
    classes /= strongest
    return classes


def contrast(
    power: NDArray[np.float32],
    rate: int,
    low: float = 200.0,
    share: float = 0.02,
    floor: float = 1e-20,
) -> NDArray[np.float32]:
    """Return how far peaks stand above valleys in each octave (Jiang et al. 2002).

    Voices with clear harmonics have a high contrast, breath and noise a low one.

    Args:
        power: as `power_spectrum` gives it, shape (frames, bins).
        rate: sampling rate in Hz.
        low: upper edge of the lowest band in Hz; each further band is an octave,
            and the last one reaches half the sampling rate.
        share: the share of a band's bins that counts as its peak, and as its valley.
        floor: smallest power told apart.

    Returns:
        Peak over valley in dB of amplitude, as librosa counts it (10 times the
        logarithm of the ratio), float32, shape (bands, frames).
    """
    bands = _contrast_bands(rate, 2 * (power.shape[1] - 1), low)
    lower = np.float32(np.sqrt(floor))
    amplitude = np.sqrt(power)
    out = np.empty((len(bands), len(power)), dtype=np.float32)
    for row, (first, last, size) in zip(out, bands, strict=True):
        count = max(1, int(np.rint(share * size)))
        band = amplitude[:, first:last]
        peak, valley = _extremes(band, count)
        row[:] = np.log10(np.maximum(peak, lower)) - np.log10(np.maximum(valley, lower))
    out *= np.float32(10)
    return out


def crossings(
    samples: NDArray[np.float32], window: int = 512, hop: int = 256
) -> NDArray[np.float32]:
    """Return the zero-crossing rate of each frame: high for hiss, low for a deep voice.

    Args:
        samples: mono, float32, shape (n,) with n >= `window`.
        window: samples of a frame.
        hop: samples from one frame's start to the next one's.

    Returns:
        Sign changes per sample, float32 in [0, 1], shape (frames,).

    Raises:
        ValueError: if `samples` is shorter than one window.
    """
    if samples.ndim != 1 or samples.size < window:
        raise ValueError(f"need at least {window} samples in shape (n,), got {samples.shape}")
    negative = samples < -1e-10  # what is nearer to zero is silence and has no sign
    so_far = np.zeros(samples.size, dtype=np.int32)
    np.cumsum(negative[1:] != negative[:-1], out=so_far[1:])
    starts = np.arange(0, samples.size - window + 1, hop)
    counted = so_far[starts + window - 1] - so_far[starts]
    return (counted / window).astype(np.float32)


def pitch(
    power: NDArray[np.float32], rate: int, low: float = 65.0, high: float = 500.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the fundamental frequency of each frame and how periodic the frame is.

    The autocorrelation (inverse transform of the power spectrum) is divided by
    that of the window, so that a perfectly periodic frame has a peak of 1 at its
    period (Boersma 1993, "Accurate short-term analysis of the fundamental
    frequency"). Its highest peak wins, where an octave more of period costs a
    little, for twice the period fits as well. Frames are taken for themselves:
    nothing is smoothed over time.

    Args:
        power: as `power_spectrum` gives it, shape (frames, bins); its window
            should hold at least three periods of `low`.
        rate: sampling rate in Hz.
        low: lowest frequency looked for in Hz.
        high: highest frequency looked for in Hz.

    Returns:
        Frequency in Hz, within [`low`, `high`] (without meaning where there is no
        voice), and periodicity in [0, 1], from about 0.5 on a voice; both float32,
        shape (frames,).

    Raises:
        ValueError: if the window holds less than two periods of `low`, or the
            range is empty.
    """
    window = 2 * (power.shape[1] - 1)
    shortest, longest = int(rate / high), int(np.ceil(rate / low))
    if not 2 <= shortest < longest <= window // 2:
        raise ValueError(
            f"need low < high with two periods of low in {window} samples at {rate} Hz, "
            f"got {low:g} to {high:g} Hz"
        )
    lags = np.arange(shortest - 1, longest + 2)  # one more on either side, for the parabola
    echo = np.fft.irfft(power, axis=1).astype(np.float32)[:, : longest + 2]
    energy = np.maximum(echo[:, :1], np.float32(1e-20))
    likeness = echo[:, lags] / (energy * _window_echo(window)[lags])
    cost = np.float32(_OCTAVE_COST) * np.log2(lags[1:-1] / shortest).astype(np.float32)
    inner = likeness[:, 1:-1]
    peaks = (inner >= likeness[:, :-2]) & (inner >= likeness[:, 2:])
    best = np.where(peaks, inner - cost, np.float32(-2)).argmax(axis=1)
    rows = np.arange(len(power))
    before, at, after = (likeness[rows, best + k] for k in (0, 1, 2))
    bend = np.minimum(before - 2 * at + after, np.float32(-1e-12))
    shift = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    hz = np.clip(np.float32(rate) / (lags[best + 1] + shift), low, high)
    height = np.where(peaks[rows, best], at - (before - after) * shift / 4, 0)
    return hz.astype(np.float32), np.clip(height, 0, 1).astype(np.float32)


def prosody(
    samples: NDArray[np.float32], rate: int, config: MelConfig = MelConfig()
) -> NDArray[np.float32]:
    """Return what is described by hand: chroma, contrast, zero crossings and pitch.

    Frames are those of `mel_power` with the same `config`; for chroma, contrast
    and pitch each looks half a window further to either side (into zeros at the
    ends), as they need finer bins. Loudness does not matter.

    Args:
        samples: mono, float32, shape (n,).
        rate: sampling rate in Hz.
        config: frame sizes; the bands are of no account.

    Returns:
        float32, shape (`prosody_rows`, frames): 12 of `chroma`; `contrast` in bel; the
        `crossings` rate; pitch in octaves above 150 Hz, on straight lines through
        what has no voice, and 0 where nothing has; periodicity.

    Raises:
        ValueError: if `samples` is not one-dimensional or empty.
    """
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"need at least one sample in shape (n,), got {samples.shape}")
    window = config.window
    x = samples.astype(np.float32)
    x /= max(float(np.sqrt(np.mean(x**2, dtype=np.float64))), 1e-8)
    x = np.pad(x, (window // 2, window - window // 2 + max(0, window - x.size)))
    power = power_spectrum(x, 2 * window, config.hop)
    power += np.float32(_FAINT * window)  # so that what is all but silent has no contrast
    hz, periodicity = pitch(power, rate, *_VOICE)
    octaves = np.log2(hz / np.float32(150))
    voiced = np.flatnonzero(periodicity >= _VOICED)
    if voiced.size:
        octaves = np.interp(np.arange(octaves.size), voiced, octaves[voiced])
    else:
        octaves = np.zeros_like(octaves)
    zero = crossings(x[window // 2 : x.size - (window - window // 2)], window, config.hop)
    parts = (chroma(power, rate), contrast(power, rate) / 10, zero, octaves, periodicity)
    return np.vstack(parts).astype(np.float32)


def prosody_rows(rate: int, config: MelConfig = MelConfig()) -> int:
    """Return how many rows `prosody` has.

    Raises:
        ValueError: if frames are too short for the pitch of deep voices.
    """
    if config.window * _VOICE[0] < rate:
        raise ValueError(
            f"a window of {config.window} samples at {rate} Hz is too short for voices of "
            f"{_VOICE[0]:g} Hz; need at least {int(np.ceil(rate / _VOICE[0]))} samples"
        )
    return 12 + len(_contrast_bands(rate, 2 * config.window, 200.0)) + 3


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


@lru_cache(maxsize=8)
def _window_echo(window: int) -> NDArray[np.float32]:
    """Autocorrelation of the Hann window as a circular transform sees it; 1 at lag 0."""
    echo = np.fft.irfft(np.abs(np.fft.rfft(_hann(window).astype(np.float64))) ** 2)
    relative: NDArray[np.float32] = (echo / echo[0]).astype(np.float32)
    return relative


@lru_cache(maxsize=8)
def _chroma_bank(rate: int, window: int) -> NDArray[np.float32]:
    """How much each bin counts for each pitch class: (12, bins)."""
    bins = np.arange(1, window) * rate / window
    octave = np.log2(bins / (440.0 / 16))  # octaves above the A of 27.5 Hz
    octave = np.concatenate(([octave[0] - 1.5], octave))  # the bin at 0 Hz has none: far below
    semitone = 12 * octave
    width = np.maximum(np.diff(semitone, append=semitone[-1] + 1), 1.0)
    distance = (semitone - np.arange(12)[:, None] + 6) % 12 - 6
    bank = np.exp(-0.5 * (2 * distance / width) ** 2)
    bank /= np.sqrt((bank**2).sum(axis=0))
    bank *= np.exp(-0.5 * ((octave - 5) / 2) ** 2)
    bank = np.roll(bank, -3, axis=0)  # from C on instead of A
    return np.ascontiguousarray(bank[:, : window // 2 + 1], dtype=np.float32)


@lru_cache(maxsize=8)
def _contrast_bands(rate: int, window: int, low: float) -> tuple[tuple[int, int, int], ...]:
    """First and last bin of each octave band, and the size that its shares are counted by."""
    bins = np.fft.rfftfreq(window, 1.0 / rate)
    octaves = int(np.ceil(np.log2(rate / 2 / low) - 1e-9))
    if octaves < 1:
        raise ValueError(f"no octave fits between {low:g} Hz and half the rate {rate} Hz")
    edges = np.concatenate(([0.0], low * 2.0 ** np.arange(octaves + 1)))
    bands = []
    for k, (left, right) in enumerate(pairwise(edges)):
        first = int(np.searchsorted(bins, left, "left")) - (k > 0)
        last = int(np.searchsorted(bins, right, "right"))
        if k == octaves:
            bands.append((first, len(bins), len(bins) - first))
        else:  # the bin on the edge is the next band's; it counts for the size all the same
            bands.append((first, last - 1, last - first))
    return tuple(bands)


def _extremes(
    band: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means of the `count` largest and the `count` smallest values of each row."""
    if count == 1:
        return band.max(axis=1), band.min(axis=1)
    ends = np.partition(band, (count - 1, band.shape[1] - count), axis=1)
    return ends[:, -count:].mean(axis=1), ends[:, :count].mean(axis=1)
