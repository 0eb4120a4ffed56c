"""Whole recordings as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sources.derive import SPEECH, TALKING, film, tone
from tests.sources.source_laws import of, read

from emofuse.core.media import AudioChunk
from emofuse.errors import InputError
from emofuse.sources.audio import read_audio
from emofuse.sources.file import FileSource


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_length_and_pitch(tmp_path: Path, rate: int) -> None:
    path = film(tmp_path / "a.flac", sound=tone(2, 44100), rate=44100, audio="flac")
    sound = read_audio(path, rate)
    assert sound.dtype == np.float32
    assert sound.shape == (2 * rate,)
    assert np.abs(np.fft.rfft(sound)).argmax() == 400
    assert np.abs(sound[rate // 2 : rate]).max() == pytest.approx(0.5, abs=0.01)


def test_native_rate_is_what_the_source_delivers() -> None:
    chunks = of(read(FileSource(SPEECH)), AudioChunk)
    assert np.array_equal(read_audio(SPEECH, 48000), np.concatenate([c.samples for c in chunks]))


def test_sound_of_a_video() -> None:
    sound = read_audio(TALKING)
    assert len(sound) / 16000 == pytest.approx(5, abs=0.05)
    loud = np.abs(sound[: len(sound) // 1600 * 1600].reshape(-1, 1600)).max(1) > 0.05
    assert loud[5:16].mean() > 0.8  # 0.4–1.72 s
    assert not loud[19:29].any()
    assert loud[31:46].mean() > 0.8  # 3.0–4.7 s


def test_no_sound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video or audio"):
        read_audio(film(tmp_path / "silent.mp4", [0, 0.5]))


def test_it_starts_where_the_sound_starts(tmp_path: Path) -> None:
    times = [i / 25 for i in range(50)]
    path = film(tmp_path / "late.mkv", times, tone(1, 16000), audio="flac", late=1.0)
    assert len(read_audio(path)) == pytest.approx(16000, abs=32)


def test_the_test_clip_is_what_it_says() -> None:
    """Two people with 1.5 s of silence between them."""
    whole = read_audio(SPEECH)
    assert np.abs(whole[int(3.4 * 16000) : int(4.4 * 16000)]).max() < 0.01
    assert np.abs(whole[int(4.7 * 16000) : int(5.7 * 16000)]).max() > 0.1
