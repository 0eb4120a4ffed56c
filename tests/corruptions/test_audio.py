"""Corruptions of sound do what their names say."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from emofuse.corruptions import audio
from emofuse.errors import InputError
from emofuse.sources.audio import read_audio

RATE = 16_000
Make = Callable[[int, np.random.Generator], np.ndarray]


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Two seconds of a buzz that comes and goes, from 150 Hz to 6 kHz."""
    t = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 40))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)


def power(sound: np.ndarray) -> float:
    return float((sound.astype(np.float64) ** 2).mean())


def band(sound: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


@pytest.mark.parametrize("snr", [20, 10, 0])
@pytest.mark.parametrize("make", [audio.white_noise, audio.pink_noise])
def test_noise_has_the_ratio_that_is_asked_for(voice: np.ndarray, make: Make, snr: float) -> None:
    noise = make(len(voice), np.random.default_rng(1))
    added = audio.add_noise(voice, noise, snr) - voice
    assert 10 * np.log10(power(voice) / power(added)) == pytest.approx(snr, abs=0.01)


def test_silence_stays_silent() -> None:
    quiet = np.zeros(800, np.float32)
    np.testing.assert_array_equal(audio.add_noise(quiet, np.ones(800, np.float32), 10), quiet)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    noise = audio.pink_noise(8 * RATE, np.random.default_rng(0))
    octaves = [band(noise, f, 2 * f) for f in (125, 250, 500, 1000, 2000)]
    np.testing.assert_allclose(octaves, octaves[0], rtol=0.15)  # equal power in each


def test_a_room_rings_and_keeps_the_power(voice: np.ndarray) -> None:
    room = audio.synthetic_room(0.6, RATE, np.random.default_rng(2))
    wet = audio.reverberate(voice, room)
    assert len(wet) == len(voice)
    assert power(wet) == pytest.approx(power(voice), rel=1e-3)
    off = voice == 0
    assert power(wet[off]) > 100 * power(voice[off])
    decay = 20 * np.log10(np.abs(room[int(0.5 * RATE)]) / np.abs(room[int(0.1 * RATE)]) + 1e-9)
    assert decay < -20


def test_the_direct_sound_stays_in_its_place(voice: np.ndarray) -> None:
    late = np.zeros(1000, np.float32)
    late[400] = 0.5
    np.testing.assert_allclose(audio.reverberate(voice, late), voice, atol=1e-4)


def test_gain_clips(voice: np.ndarray) -> None:
    np.testing.assert_allclose(audio.gain(voice, -20), voice / 10, rtol=1e-5)
    loud = audio.gain(voice, 20)
    assert np.abs(loud).max() == 1
    assert (np.abs(10 * voice) > 1).any()


def test_a_bandpass_leaves_its_band(voice: np.ndarray) -> None:
    heard = audio.bandpass(voice, 300, 3400, RATE)
    assert band(heard, 500, 3000) == pytest.approx(band(voice, 500, 3000), rel=0.15)
    assert band(heard, 0, 160) < 0.05 * band(voice, 0, 160)
    assert band(heard, 5000, 8000) < 0.05 * band(voice, 5000, 8000)


@pytest.mark.parametrize(("codec", "kbits"), [("libopus", 8), ("libmp3lame", 16)])
def test_codecs_keep_length_and_place(voice: np.ndarray, codec: str, kbits: int) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    heard = audio.transcode(voice, codec, kbits, RATE)
    assert len(heard) == len(voice)
    assert not np.allclose(heard, voice, atol=1e-3)
    # Loudness in steps of 20 ms follows the original's: nothing is shifted.
    before, after = (np.sqrt((x.reshape(-1, 320) ** 2).mean(axis=1)) for x in (voice, heard))
    assert np.corrcoef(before, after)[0, 1] > 0.95


def test_recordings_are_sorted_into_noises_and_rooms(tmp_path: Path) -> None:
    sounds = {"dishes.wav": 4000, "rir1.wav": 800, "iron.wav": 2000}
    for name, n in sounds.items():
        samples = (np.random.default_rng(n).normal(0, 0.1, n) * 32767).astype(np.int16)
        with av.open(str(tmp_path / name), "w") as f:
            stream = f.add_stream("pcm_s16le", rate=RATE, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
            frame.sample_rate = RATE
            f.mux(stream.encode(frame))
            f.mux(stream.encode(None))
    noises, rooms = audio.read_recordings(tmp_path, read_audio)
    assert sorted(map(len, noises)) == [2000, 4000]
    assert list(map(len, rooms)) == [800]
    with pytest.raises(InputError, match="no recordings of noise"):
        audio.read_recordings(tmp_path / "nothing", read_audio)


def level_db(sound: np.ndarray, hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    near = np.abs(np.fft.rfftfreq(len(sound), 1 / RATE) - hz) < hz / 10
    return float(10 * np.log10(spectrum[near].mean()))


def test_the_equalizer_gives_each_frequency_its_gain() -> None:
    hiss = np.random.default_rng(0).normal(size=2 * RATE).astype(np.float32)
    np.testing.assert_allclose(audio.equalize(hiss, np.zeros(5), RATE), hiss, atol=1e-5)
    gains = np.array([-12.0, 0.0, 6.0])  # at 60 Hz, their geometric mean, and 8 kHz
    heard = audio.equalize(hiss, gains, RATE)
    for hz, gain in ((60, -12.0), (np.sqrt(60 * 8000), 0.0), (7900, 6.0)):
        assert level_db(heard, hz) - level_db(hiss, hz) == pytest.approx(gain, abs=1.0)


def test_a_filter_tilts_the_spectrum() -> None:
    hiss = audio.white_noise(2 * RATE, np.random.default_rng(0))
    bright, dull = audio.tilt(hiss, 0.4), audio.tilt(hiss, -0.4)
    assert level_db(bright, 7000) - level_db(bright, 100) > 6
    assert level_db(dull, 7000) - level_db(dull, 100) < -6
