"""`emofuse.live()`: devices to estimates."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import emofuse
from emofuse.analyzer import AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality
from emofuse.core.media import Diagnostic, MediaKind
from emofuse.errors import EmofuseError, InputError
from emofuse.sources.camera import Webcam
from emofuse.streaming import live_config
from emofuse.streaming.feed import joined_info, open_devices, opened
from emofuse.text.transcribe import TranscribeConfig

CONFIG = live_config(AnalyzerConfig(transcribe=TranscribeConfig(engine="none")))


def feeders() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("emofuse-")]


def test_a_loop_over_live_estimates_can_be_left_at_any_time(media: Path) -> None:
    clip = media / "talking.mp4"
    said = []
    for estimate in emofuse.live(clip, clip, config=CONFIG):
        said.append(estimate)
        if len(said) == 3:
            break
    assert all(isinstance(e, Estimate) and e.modality is Modality.FUSED for e in said)
    assert not feeders()


def test_one_device_goes_on_where_the_other_is_missing(media: Path) -> None:
    notes: list[Diagnostic] = []
    stream = emofuse.live(
        media / "talking.mp4",
        "a microphone that nobody has",
        config=CONFIG,
        kinds=["frame"],
        on_note=notes.append,
    )
    estimate = next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert estimate.modality is Modality.FACE
    assert [n.code for n in notes] == ["device-missing"]


def test_a_device_that_is_missing_beside_another_is_waited_for(media: Path, tmp_path: Path) -> None:
    """Two cameras' openers stand for a camera and a microphone, which a test cannot plug in."""
    there = f"file:{media / 'talking.mp4'}"  # OpenCV opens it as it would a device
    sources, notes = opened([lambda wait: Webcam(there), lambda wait: Webcam(93, wait=wait)])
    assert [source.info.name for source in sources] == [f"camera {there}", "camera 93"]
    assert not notes
    packets = sources[1].packets()
    first = next(packets)
    assert isinstance(first, Diagnostic)
    assert first.code == "camera-missing"
    for source in sources:
        source.close()
    assert not list(packets)


def test_without_any_device_it_is_an_error() -> None:
    with pytest.raises(EmofuseError, match="camera 93"):
        emofuse.live(93, "a microphone that nobody has")
    with pytest.raises(InputError, match="neither a camera nor a microphone"):
        emofuse.live(False, False)


def test_an_unknown_kind_is_an_error_before_anything_is_opened() -> None:
    with pytest.raises(InputError, match="now, timeline"):
        emofuse.live(93, kinds=["later"])


def test_devices_are_described_together(media: Path) -> None:
    sources, notes = open_devices(media / "talking.mp4", media / "speech.ogg")
    info = joined_info([source.info for source in sources])
    assert not notes
    assert info.kind is MediaKind.VIDEO
    assert info.video is not None
    assert info.audio is not None
    assert info.name == "talking.mp4 + speech.ogg"
    for source in sources:
        source.close()
