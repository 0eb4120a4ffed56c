"""A file played at its own pace, as if it were a camera and a microphone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from ..core.media import AudioChunk, Frame, MediaInfo, Packet, Track, Utterance, Watermark
from ..core.protocols import Source
from ..core.time import Span, ns_to_samples, to_ns

PIECE_NS = to_ns(0.04)
"""Longest piece of audio that comes at once, as from a microphone."""

LATE_NS = to_ns(0.1)
"""A frame that is decoded this late is left out, as a camera would have left it out."""

STALE_NS = to_ns(0.5)
"""But one comes at least so often."""


class Paced:
    """Delivers another source's packets when their time has come.

    A frame comes when it starts, audio when its last sample was recorded. See `Device`.

    Args:
        opener: opens what is to be played, each time anew.
        loop: play it again and again.

    Raises:
        InputError: if it cannot be opened.
    """

    origin_ns: int | None = None

    def __init__(self, opener: Callable[[], Source], loop: bool = False) -> None:
        self._opener, self._loop = opener, loop
        self._stop = threading.Event()
        self._shown_ns = 0
        self._playing = False
        self._source = opener()

    @property
    def info(self) -> MediaInfo:
        """What is known before reading; what is played live has no declared end."""
        return replace(self._source.info, duration_ns=None)

    def packets(self) -> Iterator[Packet]:
        """Yield the source's packets in real time."""
        if self.origin_ns is None:
            self.origin_ns = time.monotonic_ns()
        self._playing = True
        try:
            offset_ns = time.monotonic_ns() - self.origin_ns
            while not self._stop.is_set():
                offset_ns = yield from self._play(offset_ns)
                if not self._loop:
                    return
                self._source.close()
                self._source = self._opener()
        finally:
            self._source.close()

    def close(self) -> None:
        """End the play; harmless when called twice, and from another thread than plays."""
        self._stop.set()
        if not self._playing:  # else who plays closes it: files mind being closed while read
            self._source.close()

    def _play(self, offset_ns: int) -> Generator[Packet, None, int]:
        """Play the source once; return when it ended."""
        end_ns = offset_ns
        for packet in self._source.packets():
            for piece in _pieces(packet):
                later = _later(piece, offset_ns)
                if self._stop.wait(self._wait(later)):
                    return end_ns
                end_ns = max(end_ns, _due_ns(later))
                if not (isinstance(later, Frame) and self._is_late(later)):
                    yield later
        return end_ns

    def _is_late(self, frame: Frame) -> bool:
        assert self.origin_ns is not None
        now_ns = time.monotonic_ns()
        late = now_ns - self.origin_ns - frame.at.start_ns > LATE_NS
        if late and now_ns - self._shown_ns < STALE_NS:
            return True
        self._shown_ns = now_ns
        return False

    def _wait(self, packet: Packet) -> float:
        assert self.origin_ns is not None
        due_ns = self.origin_ns + _due_ns(packet)
        return max(0.0, (due_ns - time.monotonic_ns()) / 1e9)


def _due_ns(packet: Packet) -> int:
    if isinstance(packet, Frame):
        return packet.at.start_ns
    if isinstance(packet, (AudioChunk, Utterance)):
        return packet.span.end_ns
    return packet.upto_ns if isinstance(packet, Watermark) else 0


def _pieces(packet: Packet) -> Iterator[Packet]:
    if not isinstance(packet, AudioChunk):
        yield packet
        return
    step = max(1, PIECE_NS * packet.rate // to_ns(1))
    for at in range(0, len(packet.samples), step):
        yield AudioChunk(packet.samples[at : at + step], packet.rate, packet.first + at)


def _later(packet: Packet, by_ns: int) -> Packet:
    if not by_ns:
        return packet
    if isinstance(packet, Frame):
        return Frame(packet.image, Span(packet.at.start_ns + by_ns, packet.at.end_ns + by_ns))
    if isinstance(packet, AudioChunk):
        first = packet.first + ns_to_samples(by_ns, packet.rate)
        return AudioChunk(packet.samples, packet.rate, first)
    if isinstance(packet, Watermark) and isinstance(packet.track, Track):
        return Watermark(packet.track, packet.upto_ns + by_ns)
    if isinstance(packet, Utterance):
        span = Span(packet.span.start_ns + by_ns, packet.span.end_ns + by_ns)
        return replace(packet, span=span, words=())
    return packet
