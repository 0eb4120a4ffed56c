"""Which frames of a video need not be decoded."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

REORDER_DEPTH = 32
"""Codecs reorder at most this many frames."""


class Decode(Enum):
    """What to do with a frame; values are FFmpeg's ``skip_frame``."""

    ALWAYS = "DEFAULT"
    IF_REFERENCE = "NONREF"
    """The decoder knows whether other frames refer to it."""
    NEVER = "ALL"


_START_CODE = b"\0\0\1"


class FrameSkipper:
    """Tells which frames that no other frame refers to are to be decoded all the same.

    Most of a video's time goes into them (B-frames). One is needed only where a tick of the
    sampling rate would go without a frame: no frame that others refer to lies between
    this tick and the next one, and no other frame does before it. Both are known when
    it arrives, since what a frame refers to comes before it in the file. Codecs whose
    packets are not understood are decoded as if no frame were referred to.

    Args:
        stream: the video; H.264 and H.265 packets say whether others refer to them.
        tick: number of the tick of a time, in nanoseconds.
    """

    def __init__(self, stream: av.VideoStream, tick: Callable[[int], int]) -> None:
        self._codec, self._tick = stream.codec_context.name, tick
        self._prefix = _length_bytes(self._codec, stream.codec_context.extradata or b"")
        self._known: list[tuple[int, bool]] = []  # the latest frames: time, is it referred to

    def choose(self, packet: av.Packet[Any], at_ns: int) -> Decode:
        """Say what the decoder shall do with the frame of a packet that is shown at a time."""
        referred = is_reference(memoryview(packet), self._codec, self._prefix)
        needed = self._fills_tick(at_ns, bool(referred))
        if referred or needed:
            return Decode.ALWAYS
        return Decode.NEVER if referred is False else Decode.IF_REFERENCE

    def _fills_tick(self, at_ns: int, referred: bool) -> bool:
        """Whether the tick of a frame would have none without it."""
        tick, place = self._tick(at_ns), bisect_left(self._known, (at_ns, False))
        first = not place or self._tick(self._known[place - 1][0]) < tick
        others = any(known and self._tick(at) == tick for at, known in self._known[place:])
        insort(self._known, (at_ns, referred))
        del self._known[:-REORDER_DEPTH]
        return first and not others


def is_reference(packet: memoryview, codec: str, prefix: int) -> bool | None:
    """Whether other frames refer to the frame of a packet; None if that isn't known.

    A unit's header says so: ``nal_ref_idc`` in H.264 (7.4.1), the odd types of slices
    below 16 in H.265 (table 7-1).

    Args:
        packet: the encoded frame.
        codec: FFmpeg's name of it.
        prefix: bytes of the length before each unit; 0: units begin with start codes.
    """
    if codec not in ("h264", "hevc"):
        return None
    for header in _units(packet, prefix):
        if codec == "h264" and 1 <= header & 31 <= 5:
            return bool(header & 0x60)
        kind = header >> 1 & 63
        if codec == "hevc" and kind < 32:
            return kind >= 16 or bool(kind & 1)
    return None


def _units(packet: memoryview, prefix: int) -> Iterator[int]:
    """Yield the first byte of each unit (NAL) of a packet."""
    at = 0
    if prefix:
        while at + prefix < len(packet):
            yield packet[at + prefix]
            at += prefix + int.from_bytes(packet[at : at + prefix], "big")
        return
    data = bytes(packet)
    while 0 <= (at := data.find(_START_CODE, at)) < len(data) - 3:
        at += 3
        yield data[at]


def _length_bytes(codec: str, extradata: bytes) -> int:
    """Return the bytes of each unit's length, as the codec's configuration record says."""
    place = {"h264": 4, "hevc": 21}.get(codec, 0)
    return (extradata[place] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > place else 0
