"""Several sound tracks in one film, muxed here."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from emofuse.core.media import AudioChunk, Diagnostic
from emofuse.errors import InputError
from emofuse.sources.audio import read_audio
from emofuse.sources.file import FileSource
from emofuse.speech.vad import is_voiced

RATE = 16_000


def film(path: Path, tracks: dict[str, np.ndarray]) -> Path:
    """Write mono sound tracks, by their languages."""
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in tracks]
        for stream, language in zip(streams, tracks, strict=True):
            stream.metadata["language"] = language
        for first in range(0, len(next(iter(tracks.values()))), RATE):
            for stream, samples in zip(streams, tracks.values(), strict=True):
                part = (samples[None, first : first + RATE] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
                frame.rate, frame.pts = RATE, first
                out.mux(stream.encode(frame))
    return path


@pytest.fixture(scope="module")
def voice(media: Path) -> np.ndarray:
    return read_audio(media / "speech.ogg")[: 3 * RATE]


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    return np.sin(np.arange(3 * RATE) / 5).astype(np.float32) / 4


def hear(source: FileSource) -> tuple[np.ndarray, list[str]]:
    items = list(source.packets())
    source.close()
    sound = np.concatenate([item.samples for item in items if isinstance(item, AudioChunk)])
    told = [n.message for n in items if isinstance(n, Diagnostic) and n.code == "audio-tracks"]
    return sound, told


def test_the_track_with_a_voice_is_heard(
    tmp_path: Path, voice: np.ndarray, tone: np.ndarray
) -> None:
    path = film(tmp_path / "film.mkv", {"und": np.zeros_like(voice), "deu": tone, "eng": voice})
    sound, (told,) = hear(FileSource(path, voiced=is_voiced))
    assert np.abs(sound - voice).max() < 1e-3
    assert "track 3 (eng) is heard, since no voice was heard in track 1" in told
    assert "left out: track 1, track 2 (deu)" in told.replace(" (und)", "")


def test_a_voice_in_the_first_track_keeps_it(tmp_path: Path, voice: np.ndarray) -> None:
    path = film(tmp_path / "film.mkv", {"eng": voice, "deu": voice[::-1]})
    sound, (told,) = hear(FileSource(path, voiced=is_voiced))
    assert np.abs(sound - voice).max() < 1e-3
    assert "track 1 (eng) is heard; left out: track 2 (deu)" in told


def test_without_any_voice_the_first_that_sounds_is_heard(tmp_path: Path, tone: np.ndarray) -> None:
    path = film(tmp_path / "film.mkv", {"eng": np.zeros_like(tone), "deu": tone})
    sound, _ = hear(FileSource(path, voiced=is_voiced))
    assert np.abs(sound - tone).max() < 1e-3


def test_a_voice_that_comes_late_is_found(tmp_path: Path, voice: np.ndarray) -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-3, 200 * RATE).astype(np.float32)
    late = hiss.copy()
    late[80 * RATE : 83 * RATE] += voice
    path = film(tmp_path / "film.mkv", {"eng": hiss, "deu": late})
    _, (told,) = hear(FileSource(path, voiced=is_voiced))
    assert "track 2 (deu) is heard" in told


@pytest.mark.parametrize("wanted", [2, "2", "deu", "DEU"])
def test_a_track_can_be_chosen(
    tmp_path: Path, voice: np.ndarray, tone: np.ndarray, wanted: int | str
) -> None:
    path = film(tmp_path / "film.mkv", {"eng": voice, "deu": tone})
    sound, told = hear(FileSource(path, voiced=is_voiced, audio_track=wanted))
    assert np.abs(sound - tone).max() < 1e-3
    assert told == []


@pytest.mark.parametrize("wanted", [3, "fra"])
def test_a_track_that_is_not_there(
    tmp_path: Path, voice: np.ndarray, tone: np.ndarray, wanted: int | str
) -> None:
    path = film(tmp_path / "film.mkv", {"eng": voice, "deu": tone})
    with pytest.raises(InputError, match=rf"no audio track {wanted}: .* track 2 \(deu\)"):
        FileSource(path, audio_track=wanted)


def test_a_language_that_is_no_text_can_be_printed(tmp_path: Path, tone: np.ndarray) -> None:
    path = film(tmp_path / "film.mkv", {"qaa": tone, "qab": tone})
    path.write_bytes(path.read_bytes().replace(b"qaa", b"q\xff\xfe"))
    with pytest.raises(InputError, match="no audio track fra") as refused:
        FileSource(path, voiced=is_voiced, audio_track="fra")
    assert "track 1 (q" in str(refused.value).encode().decode()
