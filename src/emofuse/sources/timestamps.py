"""One clock for a file whose timestamps start anew, jump or are damaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..core.media import Diagnostic
from ..core.time import NS, clock
from .tracks import length_ns

if TYPE_CHECKING:
    import av

LONGEST_GAP_NS = 600 * NS
"""A longer stretch of which no track tells anything is a damaged timestamp."""

LONGEST_BROADCAST_GAP_NS = 10 * NS
"""The same where clocks start anew now and then (MPEG streams, Ogg); FFmpeg's tool has it, too."""

OVERTIME_NS = 10 * NS
"""Timestamps this far beyond the declared end are damaged."""

_BACKWARD_NS = NS // 2
"""Decoding times never go back; by less than this it is no new start."""

_UNORDERED_NS = 20 * NS
"""The same where only presentation times are known, which codecs reorder."""

_LONGEST_DELAY_NS = 10 * NS
"""How far apart decoding and presentation of a frame are at most,"""
_LONGEST_DELAY = 32
"""or this many times its length, if that is more."""

_KNOWN_OFFSETS = 8
"""Tracks need not jump at the same packet: so many of the latest offsets are tried again."""

_FIT_NS = 3 * NS
"""How far ahead of its own end a track may go on after a known offset."""


_BYTE_NS = NS // 10
"""Time that a byte can fill: five times what the barest speech codecs in silence take."""

_USUAL_LENGTH_NS = NS // 25
"""How long a packet without a length lasts."""


class TimestampRepair:
    """Rewrites the timestamps of packets so that time goes on where it jumps.

    Decoding times of a track never go back, and no stretch in which no track tells anything
    is longer than `LONGEST_GAP_NS` (`LONGEST_BROADCAST_GAP_NS` where the format is made to be
    joined). Where that is broken an offset is added from there on, to every track that
    comes to the same place. A packet that is alone with its damaged time is put where
    its track was. Absurd lengths of packets are forgotten, and time goes no further than the
    bytes that were read can fill.

    Args:
        origin_ns: when the file starts, on the streams' clocks.
        declared_end_ns: when it ends, counted from there, according to its container;
            0: unknown.
        joinable: whether clocks of its format start anew (FFmpeg's ``TS_DISCONT``).
    """

    def __init__(self, origin_ns: int, declared_end_ns: int, joinable: bool) -> None:
        self._origin_ns = origin_ns
        self._longest_gap_ns = LONGEST_BROADCAST_GAP_NS if joinable else LONGEST_GAP_NS
        self._declared_end_ns = declared_end_ns
        self._last: dict[int, int] = {}  # when each track's last packet is, in repaired time
        self._ends: dict[int, int] = {}  # and where that ends
        self._delays: dict[int, int] = {}  # from decoding to presentation, in units of the stream
        self._offsets: deque[int] = deque([0], _KNOWN_OFFSETS)  # the latest one first
        self._room_ns = LONGEST_GAP_NS  # what the bytes that were read can fill, and a gap
        self._jumps: list[int] = []  # where time started anew or jumped
        self._damaged: list[int] = []  # where a frame's own time was absurd

    def repair(self, packet: av.Packet[Any]) -> None:
        """Rewrite the timestamps of a packet, if they need it."""
        stream = packet.stream
        if packet.duration and length_ns(packet.duration, stream) > LONGEST_GAP_NS:
            packet.duration = 0
        self._room_ns += packet.size * _BYTE_NS
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            return
        raw = length_ns(stamp, stream) - self._origin_ns
        if stream.type == "subtitle":  # cues are rare: they follow the others
            offset = self._offsets[0]
        else:
            self._mend_presentation(packet)
            offset = self._offset(stream.index, raw, packet.dts is not None)
            length = length_ns(packet.duration or 0, stream) or _USUAL_LENGTH_NS
            self._last[stream.index] = raw + offset
            self._ends[stream.index] = max(0, raw + offset + length)
        if offset:
            _shift(packet, offset)

    def notes(self, name: str) -> Iterator[Diagnostic]:
        """Say what was repaired."""
        if self._jumps:
            at, count = self._jumps[0], len(self._jumps)
            times = "once, at" if count == 1 else f"{count} times, first at"
            told = f"timestamps of {name} start anew or jump {times} {clock(at)}; the clock goes on"
            yield Diagnostic("time-jump", told, at)
        if self._damaged:
            at = self._damaged[0]
            told = f"damaged timestamps of {name}: {len(self._damaged)}, the first at {clock(at)}"
            yield Diagnostic("time-damaged", f"{told}; they were put in order", at)

    @property
    def _position_ns(self) -> int:
        return max(self._ends.values(), default=0)

    def _offset(self, index: int, raw: int, ordered: bool) -> int:
        """Return what is to be added to the time of a track's packet."""
        expected = self._ends.get(index, 0)
        best = min(self._offsets, key=lambda offset: abs(raw + offset - expected))
        fits = min(expected + _FIT_NS, self._room_ns)
        if self._goes_on(index, raw + best, ordered) and raw + best <= fits:
            return best
        current = raw + self._offsets[0]
        if self._goes_on(index, current, ordered) and current <= self._latest_ns(expected):
            return self._offsets[0]
        # What starts anew goes on where the file is; what jumps ahead, where its track is.
        target = self._position_ns if current < expected else expected
        if target > self._room_ns:  # lengths are damaged, too
            target = self._last.get(index, 0) + _USUAL_LENGTH_NS
        self._jumps.append(target)
        self._offsets.appendleft(target - raw)
        return target - raw

    def _goes_on(self, index: int, time_ns: int, ordered: bool) -> bool:
        """Whether a time is no step back for a track."""
        backward = _BACKWARD_NS if ordered else _UNORDERED_NS
        return index not in self._last or time_ns >= self._last[index] - backward

    def _latest_ns(self, expected: int) -> int:
        """Return when the next packet of a track that got to `expected` is at the latest."""
        latest = min(max(self._position_ns, expected) + self._longest_gap_ns, self._room_ns)
        if not self._declared_end_ns or self._jumps:
            return latest
        return min(latest, max(expected, self._declared_end_ns) + OVERTIME_NS)

    def _mend_presentation(self, packet: av.Packet[Any]) -> None:
        """Put the presentation time of a frame near its decoding time, if it is far away."""
        if packet.pts is None or packet.dts is None:
            return
        stream, delay = packet.stream, packet.pts - packet.dts
        most = max(_LONGEST_DELAY_NS, _LONGEST_DELAY * length_ns(packet.duration or 0, stream))
        if abs(length_ns(delay, stream)) <= most:
            self._delays[stream.index] = delay
            return
        packet.pts = packet.dts + self._delays.get(stream.index, 0)
        self._damaged.append(self._ends.get(stream.index, 0))


def _shift(packet: av.Packet[Any], offset_ns: int) -> None:
    base = packet.stream.time_base
    assert base is not None
    offset = round(offset_ns * base.denominator / (base.numerator * NS))
    if packet.pts is not None:
        packet.pts += offset
    if packet.dts is not None:
        packet.dts += offset
