"""Corruptions of sound: noise, rooms, loudness, bands, codecs.

Waveforms are mono float32, shape (n,), full scale ±1; every function keeps their length.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Waveform = NDArray[np.float32]

_LOWEST = 60.0  # Hz; an equalizer treats what lies below alike
_SUFFIXES = {".wav", ".flac", ".opus", ".ogg", ".mp3"}
_IS_ROOM = re.compile(r"r?ir[^a-z]", re.IGNORECASE)
_CONTAINERS = {"libopus": "ogg", "libmp3lame": "mp3"}


def add_noise(sound: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise such that the mean power of the sound is `snr_db` above the noise's.

    Silence, or noise that is silent, stays as it is.
    """
    powers = [float((x.astype(np.float64) ** 2).mean()) if len(x) else 0.0 for x in (sound, noise)]
    if not all(powers):
        return sound.copy()
    scale = np.sqrt(powers[0] / powers[1] * 10 ** (-snr_db / 10))
    return (sound + scale * noise).astype(np.float32)


def white_noise(n: int, rng: np.random.Generator) -> Waveform:
    """Return noise of unit power with the same power at all frequencies."""
    noise: Waveform = rng.standard_normal(n).astype(np.float32)
    return noise


def pink_noise(n: int, rng: np.random.Generator) -> Waveform:
    """Return noise whose power falls by 3 dB an octave, as much everyday noise does."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    spectrum[:1] = 0
    return np.fft.irfft(spectrum, n).astype(np.float32)


def random_crop(recordings: Sequence[Waveform], n: int, rng: np.random.Generator) -> Waveform:
    """Cut `n` samples out of one of some recordings, repeated where it is too short."""
    recording = random_choice(recordings, rng)
    return np.take(recording, np.arange(n) + rng.integers(len(recording)), mode="wrap")


def random_choice(recordings: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """Choose one of some recordings."""
    return recordings[int(rng.integers(len(recordings)))]


def synthetic_room(seconds: float, rate: int, rng: np.random.Generator) -> Waveform:
    """Make a room's impulse response: direct sound, then noise that decays by 60 dB.

    The tail has a third of the direct sound's energy for each 0.3 s of reverberation
    time (Moorer 1979 shapes noise so; the levels are ours).

    Args:
        seconds: reverberation time, and length of the response.
        rate: samples per second.
        rng: draws the noise.
    """
    n = round(seconds * rate)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: rate // 400] = 0  # no wall is nearer than 2.5 ms
    tail *= np.sqrt(seconds / 0.9 / (tail**2).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(sound: Waveform, room: Waveform) -> Waveform:
    """Put a sound into a room at unchanged power; the direct sound stays in its place.

    What rings on beyond the end is cut off.

    Args:
        sound: (n,).
        room: impulse response at the same rate, (m,).
    """
    from scipy.signal import fftconvolve

    first = int(np.abs(room).argmax())
    wet = fftconvolve(sound, room)[first : first + len(sound)]
    power = (sound.astype(np.float64) ** 2).sum() / max((wet**2).sum(), 1e-20)
    return (wet * np.sqrt(power)).astype(np.float32)


def gain(sound: Waveform, db: float) -> Waveform:
    """Make a sound louder or softer; what exceeds full scale is clipped, as converters do."""
    return np.clip(sound * 10 ** (db / 20), -1, 1).astype(np.float32)


def bandpass(sound: Waveform, low: float, high: float, rate: int) -> Waveform:
    """Keep the band from `low` to `high` Hz (fourth-order Butterworth: 24 dB an octave).

    300 to 3400 Hz is the band of analog telephony.
    """
    from scipy.signal import butter, sosfilt

    band = butter(4, (low, min(high, 0.499 * rate)), "bandpass", fs=rate, output="sos")
    return sosfilt(band, sound).astype(np.float32)


def tilt(sound: Waveform, coefficient: float) -> Waveform:
    """Raise treble (positive) or bass (negative) by a first-order filter of -1 to 1."""
    return sound - np.float32(coefficient) * np.concatenate((sound[:1], sound[:-1]))


def equalize(sound: Waveform, gains_db: NDArray[np.float64], rate: int) -> Waveform:
    """Raise and lower frequencies by a curve through gains in dB.

    Args:
        sound: (n,).
        gains_db: at points spaced evenly in octaves from 60 Hz to half the rate.
        rate: samples per second.
    """
    points = np.geomspace(_LOWEST, rate / 2, len(gains_db))
    spectrum = np.fft.rfft(sound)
    hz = np.maximum(np.fft.rfftfreq(len(sound), 1 / rate), _LOWEST)
    gains = np.interp(np.log(hz), np.log(points), gains_db)
    return np.fft.irfft(spectrum * 10 ** (gains / 20), len(sound)).astype(np.float32)


def transcode(sound: Waveform, codec: str, kbits: int, rate: int) -> Waveform:
    """Encode and decode a sound, in memory; the codec's delay is taken out.

    Args:
        sound: (n,).
        codec: ``"libopus"`` or ``"libmp3lame"``.
        kbits: kilobits per second.
        rate: samples per second, one that the codec knows.

    Raises:
        InputError: if this build of PyAV lacks the codec.
    """
    import av

    packed = io.BytesIO()
    try:
        with av.open(packed, "w", _CONTAINERS[codec]) as out:
            stream = out.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = kbits * 1000
            ints = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(ints[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            resampler = av.AudioResampler(stream.format, "mono", rate, stream.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
    except (ValueError, av.FFmpegError) as e:
        raise InputError(f"this build of PyAV cannot encode with {codec}: {e}") from e
    packed.seek(0)
    with av.open(packed) as back:
        to_mono = av.AudioResampler("flt", "mono", rate)
        parts = [f for got in back.decode(audio=0) for f in to_mono.resample(got)]
        parts += to_mono.resample(None)
        decoded = np.concatenate([p.to_ndarray()[0] for p in parts])
    fitted = np.zeros(len(sound), np.float32)
    fitted[: len(decoded)] = decoded[: len(sound)]
    return fitted


def read_recordings(
    folder: Path, read: Callable[[Path], Waveform]
) -> tuple[list[Waveform], list[Waveform]]:
    """Read a folder of recordings: noises, and rooms' impulse responses.

    Args:
        folder: files whose names begin with ``rir`` or ``ir`` are impulse responses.
        read: reads one file at the rate that is wanted.

    Returns:
        Noises and impulse responses, in the order of their names.

    Raises:
        InputError: if the folder holds no sound, or one cannot be read.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError(
            f"no recordings of noise in {folder}: expected {', '.join(sorted(_SUFFIXES))} files"
        )
    noises: list[Waveform] = []
    rooms: list[Waveform] = []
    for path in files:
        (rooms if _IS_ROOM.match(path.stem + " ") else noises).append(read(path))
    return noises, rooms
