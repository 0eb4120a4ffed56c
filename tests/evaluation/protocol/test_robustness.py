"""Spoilings do what their names say, the same every time."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from emofuse.core.estimates import Modality
from emofuse.corpora.manifest import Entry
from emofuse.errors import InputError
from emofuse.evaluation.predict.predict import whole
from emofuse.evaluation.protocol import robustness as r

RATE = 16_000


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Two seconds of a buzz that comes and goes, from 150 Hz to 6 kHz."""
    t = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 40))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)


@pytest.fixture(scope="module")
def face(media: Path) -> np.ndarray:
    with Image.open(media / "portrait.jpg") as image:
        return np.asarray(image.convert("RGB").resize((64, 64)))


def power(sound: np.ndarray) -> float:
    return float((sound.astype(np.float64) ** 2).mean())


def band(sound: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


@pytest.mark.parametrize("snr", [20, 10, 0])
@pytest.mark.parametrize("make", [r.white, r.pink])
def test_noise_has_the_ratio_that_is_asked_for(voice: np.ndarray, make, snr: float) -> None:  # type: ignore[no-untyped-def]
    noise = make(len(voice), np.random.default_rng(1))
    added = r.add_noise(voice, noise, snr) - voice
    assert 10 * np.log10(power(voice) / power(added)) == pytest.approx(snr, abs=0.01)


def test_silence_stays_silent() -> None:
    quiet = np.zeros(800, np.float32)
    np.testing.assert_array_equal(r.add_noise(quiet, np.ones(800, np.float32), 10), quiet)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    noise = r.pink(8 * RATE, np.random.default_rng(0))
    octaves = [band(noise, f, 2 * f) for f in (125, 250, 500, 1000, 2000)]
    np.testing.assert_allclose(octaves, octaves[0], rtol=0.15)  # equal power in each


def test_a_room_rings_and_keeps_the_power(voice: np.ndarray) -> None:
    room = r.made_room(0.6, np.random.default_rng(2))
    wet = r.reverberate(voice, room)
    assert len(wet) == len(voice)
    assert power(wet) == pytest.approx(power(voice), rel=1e-3)
    off = voice == 0
    assert power(wet[off]) > 100 * power(voice[off])
    decay = 20 * np.log10(np.abs(room[int(0.5 * RATE)]) / np.abs(room[int(0.1 * RATE)]) + 1e-9)
    assert decay < -20


def test_the_direct_sound_stays_in_its_place(voice: np.ndarray) -> None:
    late = np.zeros(1000, np.float32)
    late[400] = 0.5
    np.testing.assert_allclose(r.reverberate(voice, late), voice, atol=1e-4)


def test_gain_clips(voice: np.ndarray) -> None:
    np.testing.assert_allclose(r.gain(voice, -20), voice / 10, rtol=1e-5)
    loud = r.gain(voice, 20)
    assert np.abs(loud).max() == 1
    assert (np.abs(10 * voice) > 1).any()


def test_the_telephone_leaves_its_band(voice: np.ndarray) -> None:
    heard = r.telephone(voice)
    assert band(heard, 500, 3000) == pytest.approx(band(voice, 500, 3000), rel=0.15)
    assert band(heard, 0, 160) < 0.05 * band(voice, 0, 160)
    assert band(heard, 5000, 8000) < 0.05 * band(voice, 5000, 8000)


@pytest.mark.parametrize(("codec", "kbits"), [("libopus", 8), ("libmp3lame", 16)])
def test_codecs_keep_length_and_place(voice: np.ndarray, codec: str, kbits: int) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    heard = r.through_codec(voice, codec, kbits)
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
    noises, rooms = r.read_noises(tmp_path)
    assert sorted(map(len, noises)) == [2000, 4000]
    assert list(map(len, rooms)) == [800]
    kinds = {s.kind for s in r.spoilings(Modality.SPEECH, tmp_path)}
    assert "everyday noise" in kinds
    assert "pink noise" not in kinds
    with pytest.raises(InputError, match="no recordings of noise"):
        r.read_noises(tmp_path / "nothing")


def test_blur_takes_detail_away(face: np.ndarray) -> None:
    def detail(x: np.ndarray) -> float:
        return float(np.abs(np.diff(x.astype(float), axis=0)).mean())

    assert detail(r.blur(face, 2)) < detail(r.blur(face, 1)) < detail(face)
    assert r.blur(face, 1).shape == face.shape


def test_low_light_is_dark_and_noisy(face: np.ndarray) -> None:
    dark = r.low_light(face, 0.25, np.random.default_rng(0))
    assert dark.mean() == pytest.approx(face.mean() / 4, rel=0.1)
    noise = dark.astype(float) - face / 4
    assert 2 < noise.std() < 4


def test_occlusion_covers_what_it_says(face: np.ndarray) -> None:
    masked = r.cover(face, (0.5, 1.0), (0.0, 1.0))
    np.testing.assert_array_equal(masked[:32], face[:32])
    assert np.ptp(masked[32:], axis=(0, 1)).max() == 0
    changed = (r.patch(face, np.random.default_rng(3)) != face).any(axis=2).mean()
    assert 0.2 < changed <= 0.26


def test_small_faces_are_small(face: np.ndarray) -> None:
    small = r.quantize(face, 16)
    assert small.shape == (16, 16, 3)
    np.testing.assert_allclose(small.mean(), face.mean(), atol=1)


def test_jpeg_noise_rotation_contrast(face: np.ndarray) -> None:
    def error(x: np.ndarray) -> float:
        return float(np.abs(x.astype(float) - face).mean())

    assert 0 < error(r.jpeg(face, 90)) < error(r.jpeg(face, 10))
    flat = np.full_like(face, 128)
    assert r.grain(flat, 10, np.random.default_rng(0)).std() == pytest.approx(10, rel=0.1)
    turned = r.rotate(face, 20)
    back = r.rotate(turned, -20)
    middle = np.s_[20:44, 20:44]
    assert np.abs(back[middle].astype(float) - face[middle]).mean() < error(turned) / 2
    assert r.contrast(face, 0.5, 1.0).std() == pytest.approx(face.std() / 2, rel=0.05)


def test_words_are_spoilt() -> None:
    text = "I can't believe it, this is SO good! [NAME]"
    assert r.spoken(text) == "i can't believe it this is so good [name]"
    assert r.spoken("?!") == "?!"
    typed = r.mistype(text * 20, 0.1, np.random.default_rng(0))
    assert sorted(typed) == sorted(text * 20)
    assert 0.05 < np.mean([a != b for a, b in zip(typed, text * 20, strict=True)]) < 0.25
    kept = r.lose(" ".join(map(str, range(1000))), 0.3, np.random.default_rng(0)).split()
    assert 650 < len(kept) < 750
    assert r.lose("hello", 0.999, np.random.default_rng(0)) == "hello"


@pytest.mark.parametrize("modality", [Modality.FACE, Modality.SPEECH, Modality.TEXT])
def test_spoiling_follows_from_seed_and_sample_and_leaves_the_original(
    modality: Modality, voice: np.ndarray, face: np.ndarray
) -> None:
    medium = {Modality.FACE: face, Modality.SPEECH: voice, Modality.TEXT: "what a day " * 30}[
        modality
    ]
    before = medium if isinstance(medium, str) else medium.copy()
    names = set()
    for spoiling in r.spoilings(modality):
        if "codec" in spoiling.kind:
            continue
        view = spoiling.view(whole, seed=1)
        once, again, other = (view(medium, Entry(i))[0][0] for i in ("a", "a", "b"))
        np.testing.assert_array_equal(once, again)
        assert np.array_equal(medium, before)
        assert not np.array_equal(once, medium), spoiling.name
        if "noise" in spoiling.kind:
            assert not np.array_equal(once, other)
        names.add(spoiling.name)
    assert len(names) >= 5
