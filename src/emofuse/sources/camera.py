"""Cameras, read through OpenCV."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.media import Frame, MediaInfo, MediaKind, Packet, VideoInfo
from ..core.time import NS, Span
from ..errors import InputError
from .device import RETRY_SECONDS, DeviceLost, Reconnecting

_LINUX = Path("/sys/class/video4linux")
_PROBED = 4  # numbers tried where the system lists no cameras


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of this machine: its number for OpenCV and its name, if the system tells."""

    number: int
    name: str


def list_cameras() -> list[Camera]:
    """Return the cameras of this machine.

    Linux tells their names; elsewhere the first few numbers are tried, which may
    light a camera's lamp for a moment.
    """
    if sys.platform.startswith("linux"):
        return _linux_cameras() if _LINUX.is_dir() else []
    found = []
    for number in range(_PROBED):
        capture = _capture(number)
        if capture.isOpened():
            found.append(Camera(number, f"camera {number}"))
        capture.release()
    return found


def _linux_cameras() -> list[Camera]:
    """Return one entry a camera; besides frames it has nodes with metadata."""
    cameras, seen = [], set()
    nodes = (p for p in _LINUX.iterdir() if p.name[5:].isdigit())
    for node in sorted(nodes, key=lambda p: int(p.name[5:])):
        device = (node / "device").resolve()
        if device in seen:
            continue
        seen.add(device)
        try:
            name = (node / "name").read_text(errors="replace").strip()
        except OSError:
            name = node.name
        cameras.append(Camera(int(node.name[5:]), name))
    return cameras


class Webcam:
    """A camera as a source: frames as they arrive, with their time of arrival.

    A camera that disappears is opened again when it is back; in between nothing
    comes but a `Diagnostic`.

    Args:
        camera: its number, or what else OpenCV opens (``/dev/video2``, a file).
        size: width and height that are asked for; the camera may choose others.
        fps: frames per second that are asked for.
        wait: a camera that cannot be opened now is looked for until it can.
        retry_seconds: how often a lost camera is looked for.

    Raises:
        InputError: if the camera cannot be opened now and is not waited for.
    """

    def __init__(
        self,
        camera: int | str | Path = 0,
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 25.0,
        wait: bool = False,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._camera, self._size, self._fps = camera, size, fps
        self.origin_ns: int | None = None
        self._name = f"camera {camera}"
        self._opened: Any = None
        width, height = size
        with suppress(*(InputError,) if wait else ()):
            self._opened = self._open()  # now, so that a wrong number fails at once
            width = int(self._opened.get(cv2.CAP_PROP_FRAME_WIDTH))
            height = int(self._opened.get(cv2.CAP_PROP_FRAME_HEIGHT))
            fps = self._rate(self._opened)
        self._opening = threading.Lock()
        self._device = Reconnecting(self._name, "camera", self._session, retry_seconds)
        video = VideoInfo(width, height, fps, "raw")
        self.info = MediaInfo(self._name, MediaKind.VIDEO, video=video)

    def packets(self) -> Iterator[Packet]:
        """Yield frames, and notes about a lost camera, until `close`."""
        if self.origin_ns is None:
            self.origin_ns = time.monotonic_ns()
        return self._device.packets()

    def close(self) -> None:
        """Release the camera; harmless when called twice."""
        self._device.stop()
        with self._opening:
            if self._opened is not None:
                self._opened.release()
                self._opened = None

    @contextmanager
    def _session(self) -> Iterator[Iterator[Packet]]:
        with self._opening:
            capture, self._opened = self._opened or self._open(), None
        try:
            yield self._frames(capture)
        finally:
            capture.release()

    def _open(self) -> Any:
        capture = _capture(self._camera)
        if not capture.isOpened():
            capture.release()
            known = [f"{c.number} ({c.name})" for c in list_cameras()]
            here = f"there are {', '.join(known)}" if known else "this machine has none"
            raise InputError(f"{self._name} cannot be opened: {here}; see `emofuse devices`")
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, self._size[0]),
            (cv2.CAP_PROP_FRAME_HEIGHT, self._size[1]),
            (cv2.CAP_PROP_FPS, self._fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),  # old frames are useless
        ):
            capture.set(key, value)
        return capture

    def _rate(self, capture: Any) -> float:
        reported = float(capture.get(cv2.CAP_PROP_FPS))
        return reported if 1 <= reported <= 240 else self._fps

    def _frames(self, capture: Any) -> Iterator[Frame]:
        assert self.origin_ns is not None
        period_ns = round(NS / self._rate(capture))
        end_ns = 0
        while True:
            available, frame = capture.read()
            if not available:
                raise DeviceLost("it delivers no frame")
            start_ns = max(end_ns, time.monotonic_ns() - self.origin_ns)
            end_ns = start_ns + period_ns * 9 // 10  # room for jitter: frames never overlap
            yield Frame(_rgb(frame), Span(start_ns, end_ns))


def _rgb(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rgb: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    out: NDArray[np.uint8] = rgb
    return out


def _capture(camera: int | str | Path) -> Any:
    """Open a camera; OpenCV's complaints on the terminal are kept from people who get ours."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return _quietly(camera)
    finally:
        cv2.utils.logging.setLogLevel(before)


def _quietly(camera: int | str | Path) -> Any:
    return cv2.VideoCapture(camera if isinstance(camera, int) else str(camera))
