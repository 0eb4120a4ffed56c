"""Devices that may be unplugged and plugged in again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from ..core.media import Diagnostic, Packet
from ..core.protocols import Source
from ..errors import EmofuseError

RETRY_SECONDS = 1.0
"""How often a lost device is looked for."""


class Device(Source, Protocol):
    """A source that delivers in real time.

    `origin_ns` is the monotonic clock at time 0. It is set before `packets` is asked
    for, so that several devices share a clock; otherwise time 0 is then.
    """

    origin_ns: int | None


class DeviceLost(EmofuseError):  # noqa: N818 - what happened, not whose fault it is
    """A device stopped delivering: unplugged, taken by another program, asleep."""


Opener = Callable[[], AbstractContextManager[Iterator[Packet]]]
"""Opens a device; its packets end, or raise `DeviceLost`, when it is lost.

Raises an `EmofuseError` if the device cannot be opened.
"""


class Reconnecting:
    """Reads a device, and opens it again for as long as it takes when it is lost.

    Says so in a `Diagnostic` when it is lost and when it is back; likewise when it is missing
    at the start, and when it is there.

    Args:
        name: of the device, for people: ``"camera 0"``.
        code: what its notes' codes start with: ``"camera"`` makes ``camera-missing``,
            ``camera-lost`` and ``camera-back``.
        opener: opens it.
        retry_seconds: how often it is tried again.
    """

    def __init__(
        self, name: str, code: str, opener: Opener, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._name, self._code, self._open = name, code, opener
        self._retry_seconds = retry_seconds
        self._stop = threading.Event()

    def packets(self) -> Iterator[Packet]:
        """Yield packets until `stop` is called."""
        lost = seen = False
        while not self._stop.is_set():
            try:
                with self._open() as packets:
                    for packet in packets:
                        if lost:
                            how = "back" if seen else "there"
                            yield Diagnostic(f"{self._code}-back", f"{self._name} is {how}")
                        lost, seen = False, True
                        yield packet
                        if self._stop.is_set():
                            return
                raise DeviceLost("it stopped delivering")
            except EmofuseError as error:
                if self._stop.is_set():
                    return
                if not lost:
                    lost = True
                    yield self._complaint(error, seen)
            self._stop.wait(self._retry_seconds)

    def _complaint(self, error: EmofuseError, seen: bool) -> Diagnostic:
        if seen:
            why = f"{self._name} is lost ({error}); trying again until it is back"
            return Diagnostic(f"{self._code}-lost", why)
        why = f"{self._name} is missing ({error}); trying again until it is there"
        return Diagnostic(f"{self._code}-missing", why)

    def stop(self) -> None:
        """End `packets` soon; harmless when called twice."""
        self._stop.set()
