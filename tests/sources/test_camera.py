"""Cameras through OpenCV; a video file that OpenCV opens stands for the device."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest

from emofuse.core.media import Diagnostic, Frame
from emofuse.core.time import NS
from emofuse.errors import InputError
from emofuse.sources.camera import Webcam, list_cameras


def test_a_camera_that_is_not_there_is_an_error_that_helps() -> None:
    with pytest.raises(InputError, match=r"camera 93 cannot be opened.*emofuse devices"):
        Webcam(93)


def test_pictures_have_the_time_when_they_came_and_never_overlap(media: Path) -> None:
    camera = Webcam(media / "talking.mp4")
    assert camera.info.video is not None
    before = camera.origin_ns = time.monotonic_ns()
    frames = []
    for packet in camera.packets():
        assert isinstance(packet, Frame)
        assert packet.at.start_ns <= time.monotonic_ns() - before + NS
        frames.append(packet)
        if len(frames) == 20:
            camera.close()
    assert frames[0].image.shape == (camera.info.video.height, camera.info.video.width, 3)
    pairs = itertools.pairwise(frames)
    assert all(a.at.end_ns <= b.at.start_ns for a, b in pairs)


def test_a_camera_that_ends_is_opened_again(media: Path) -> None:
    camera = Webcam(media / "talking.mp4", retry_seconds=0.01)
    notes = []
    for packet in camera.packets():
        if isinstance(packet, Diagnostic):
            notes.append(packet.code)
            if len(notes) == 2:
                camera.close()
    assert notes == ["camera-lost", "camera-back"]


def test_a_camera_that_comes_later_is_waited_for_if_wanted(media: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.mp4"
    camera = Webcam(later, size=(320, 240), wait=True, retry_seconds=0.01)
    assert camera.info.video is not None
    assert (camera.info.video.width, camera.info.video.height) == (320, 240)
    seen = []
    for packet in camera.packets():
        seen.append(packet)
        if len(seen) == 1:
            shutil.copy(media / "talking.mp4", later)
        if len(seen) == 3:
            camera.close()
    assert [p.code if isinstance(p, Diagnostic) else type(p) for p in seen] == [
        *("camera-missing", "camera-back", Frame)
    ]


def test_it_can_be_closed_without_being_read(media: Path) -> None:
    camera = Webcam(media / "talking.mp4")
    camera.close()
    camera.close()


def test_cameras_have_numbers_and_names() -> None:
    for camera in list_cameras():
        assert camera.number >= 0
        assert camera.name
