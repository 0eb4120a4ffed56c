"""What is unplugged and plugged in again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from emofuse.core.media import AudioChunk, Diagnostic, Packet
from emofuse.errors import InputError
from emofuse.sources.device import DeviceLost, Reconnecting

SOUND = AudioChunk(np.zeros(8, np.float32), 16_000, 0)


class Plug:
    """A device that works, is pulled out, is away for a while, and works again."""

    def __init__(self, *states: str) -> None:
        self.states, self.opened, self.closed = list(states), 0, 0

    @contextmanager
    def open(self) -> Iterator[Iterator[Packet]]:
        state = self.states.pop(0)
        if state == "away":
            raise InputError("not there")
        self.opened += 1
        try:
            yield self._packets(state)
        finally:
            self.closed += 1

    def _packets(self, state: str) -> Iterator[Packet]:
        yield SOUND
        yield SOUND
        if state == "pulled":
            raise DeviceLost("pulled out")
        if state == "works":
            while True:
                yield SOUND


def test_it_says_once_that_a_device_is_lost_and_goes_on_when_it_is_back() -> None:
    plug = Plug("pulled", "away", "away", "ends", "works")
    device = Reconnecting("camera 3", "camera", plug.open, retry_seconds=0.01)
    seen: list[Packet] = []
    for packet in device.packets():
        seen.append(packet)
        if len(seen) == 9:
            device.stop()
    notes = [p for p in seen if isinstance(p, Diagnostic)]
    assert [n.code for n in notes] == ["camera-lost", "camera-back", "camera-lost", "camera-back"]
    assert "camera 3" in notes[0].message
    assert "pulled out" in notes[0].message
    assert [isinstance(p, Diagnostic) for p in seen] == [
        *(False, False, True),  # pulled out
        *(True, False, False, True),  # back, and at its end
        *(True, False),  # back again
    ]
    assert plug.opened == plug.closed == 3
    device.stop()
    assert list(device.packets()) == []


def test_a_device_that_is_missing_at_the_start_is_looked_for() -> None:
    plug = Plug("away", "away", "pulled", "works")
    device = Reconnecting("camera 3", "camera", plug.open, retry_seconds=0.01)
    notes = []
    for packet in device.packets():
        if isinstance(packet, Diagnostic):
            notes.append(packet)
        if len(notes) == 4:
            device.stop()
    codes = ["camera-missing", "camera-back", "camera-lost", "camera-back"]
    assert [n.code for n in notes] == codes
    assert "not there" in notes[0].message
    assert notes[1].message == "camera 3 is there"
