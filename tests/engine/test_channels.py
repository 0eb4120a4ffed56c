"""Calls: a person on each channel."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.core.media import Channels
from emofuse.errors import InputError
from emofuse.group.config import GroupConfig
from emofuse.sources.audio import read_audio
from emofuse.text.transcribe import NONE, TranscribeConfig

RATE = 16_000


def write(path: Path, channels: Sequence[np.ndarray]) -> Path:
    samples = (np.stack(channels, axis=1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return path


@pytest.fixture(scope="module")
def voice(media: Path) -> np.ndarray:
    return read_audio(media / "speech.ogg")[: 5 * RATE]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory, voice: np.ndarray) -> Path:
    """One speaks for five seconds, then the other."""
    silence = np.zeros_like(voice)
    channels = [np.concatenate(parts) for parts in ((voice, silence), (silence, voice))]
    return write(tmp_path_factory.mktemp("call") / "call.wav", channels)


def analyzer(channels: Channels = Channels.MIX, group: bool = False) -> Analyzer:
    return Analyzer(
        AnalyzerConfig(
            channels=channels,
            transcribe=TranscribeConfig(engine=NONE),
            group=GroupConfig(enabled=group),
        )
    )


def test_channels_with_different_voices_are_told(call: Path) -> None:
    timeline = analyzer().analyze(call)
    assert "channels-differ" in [note.code for note in timeline.notes]
    assert {str(e.subject) for e in timeline} == {"speaker-1"}


def test_each_channel_is_a_speaker(call: Path, tmp_path: Path, voice: np.ndarray) -> None:
    timeline = analyzer(Channels.SPEAKERS).analyze(call)
    assert "channels-differ" not in [note.code for note in timeline.notes]
    heard = {
        number: [e for e in timeline.of(Modality.SPEECH) if e.subject.number == number]
        for number in (1, 2)
    }
    assert max(e.span.end for e in heard[1]) <= 5.5
    assert min(e.span.start for e in heard[2]) >= 4.5
    starts = [e.span.start_ns for e in timeline.fused]
    assert starts == sorted(starts)
    # The second channel says what it would alone.
    alone = write(tmp_path / "alone.wav", [np.concatenate((np.zeros_like(voice), voice))])
    expected = analyzer().analyze(alone).of(Modality.SPEECH)
    for ours, theirs in zip(heard[2], expected, strict=True):
        assert ours.span == theirs.span
        assert np.abs(ours.probabilities.values - theirs.probabilities.values).max() < 1e-5


def test_a_stereo_recording_of_a_voice_is_no_call(tmp_path: Path, voice: np.ndarray) -> None:
    path = write(tmp_path / "stereo.wav", [voice, voice * np.float32(0.6)])
    assert "channels-differ" not in [note.code for note in analyzer().analyze(path).notes]


def test_a_film_keeps_its_faces(media: Path) -> None:
    timeline = analyzer(Channels.SPEAKERS).analyze(media / "talking.mp4")
    assert timeline.of(Modality.FACE)
    assert timeline.of(Modality.SPEECH)


def test_what_does_not_go_together(call: Path, tmp_path: Path, voice: np.ndarray) -> None:
    with pytest.raises(InputError, match="do not go together"):
        analyzer(Channels.SPEAKERS, group=True).analyze(call)
    path = write(tmp_path / "many.wav", [voice[:1600]] * 9)
    with pytest.raises(InputError, match="9 channels, expected at most 8"):
        analyzer(Channels.SPEAKERS).analyze(path)
