"""What is decoded is what is looked at, and it is shown at its own time."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from emofuse.core.media import Frame
from emofuse.core.time import NS
from emofuse.sources.file import FileSource
from emofuse.sources.skipping import is_reference
from emofuse.sources.tracks import VideoReader

from .derive import film, number_in

FPS = 30
TIMES = [i / FPS for i in range(60)]
B_FRAMES = {"preset": "fast", "crf": "18", "bf": "2", "b_strategy": "0", "g": "30"}


@pytest.fixture(scope="module", params=["mp4", "ts"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds whose every third frame is one that others refer to."""
    path = tmp_path_factory.mktemp("films") / f"b_frames.{request.param}"
    return film(path, TIMES, fps=FPS, options={**B_FRAMES, "x264-params": "b-pyramid=0:scenecut=0"})


def sampled(path: Path, fps: float, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Frame], int]:
    """Return the sampled frames and how many were decoded."""
    decoded = []
    take = VideoReader._take
    with monkeypatch.context() as patch:
        patch.setattr(VideoReader, "_take", lambda s, f: decoded.append(f) or take(s, f))
        frames = [p for p in FileSource(path, fps=fps).packets() if isinstance(p, Frame)]
    return frames, len(decoded)


def test_references_are_told(clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        prefix = 4 if clip.suffix == ".mp4" else 0
        told = [is_reference(memoryview(p), "h264", prefix) for p in container.demux(stream)]
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONREF"
        decoded = sum(1 for _ in container.decode(stream))
    assert told.count(True) == decoded < len(TIMES) / 2


def test_only_references_where_they_suffice(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, decoded = sampled(clip, 8.0, monkeypatch)
    assert decoded < len(TIMES) / 2
    assert len(frames) == 16  # a frame for every tick


@pytest.mark.parametrize("fps", [8.0, 15.0, 30.0])
def test_every_tick_has_its_frame_at_its_own_time(
    clip: Path, fps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, _ = sampled(clip, fps, monkeypatch)
    ticks = [int((f.at.start_ns + 1_000_000) * fps // NS) for f in frames]
    assert ticks == list(range(round(2 * fps)))
    for frame in frames:
        assert number_in(frame.image) == round(frame.at.start_ns * FPS / NS) % 16


def test_other_codecs_say_nothing() -> None:
    assert is_reference(memoryview(b"\0\0\1\x65"), "vp8", 0) is None
    assert is_reference(memoryview(b"\0\0\1\x65data"), "h264", 0) is True
    assert is_reference(memoryview(b"\0\0\1\x01data"), "h264", 0) is False
    assert is_reference(memoryview(b"\0\0\1\x02\x01data"), "hevc", 0) is True
    assert is_reference(memoryview(b"\0\0\1\x00\x01data"), "hevc", 0) is False
    assert is_reference(memoryview(b""), "h264", 4) is None
