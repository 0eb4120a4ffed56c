"""Reading ahead in a second thread, so that decoding and analysis share two cores."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np

from ..core.media import AudioChunk, MediaInfo, Packet, Track, Watermark
from ..core.protocols import Source
from ..core.time import NS

END = object()

CHUNK_NS = NS // 10
"""Shorter pieces of sound are joined: each costs as much as it would as a longer one."""


class Prefetch:
    """Reads another source ahead in a thread of its own.

    Packets come out in the same order, short pieces of sound joined; at most `depth` of
    them wait in memory. An error of the source is raised where its packet would have come. The
    source belongs to this object and is closed with it.

    Args:
        source: what to read.
        depth: packets to read ahead; a few tenths of a second of media are enough.
    """

    def __init__(self, source: Source, depth: int = 24) -> None:
        if depth < 1:
            raise ValueError(f"need depth >= 1, got {depth}")
        self._source = source
        self._queue: queue.Queue[Packet | BaseException | object] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="emofuse-prefetch", daemon=True)

    @property
    def info(self) -> MediaInfo:
        """What is known before reading."""
        return self._source.info

    def packets(self) -> Iterator[Packet]:
        """Yield the source's packets. Leaving early stops the thread."""
        if self._stop.is_set():
            return
        self._thread.start()
        try:
            while (item := self._queue.get()) is not END:
                if isinstance(item, BaseException):
                    raise item
                yield item  # type: ignore[misc]
        finally:
            self._halt()

    def close(self) -> None:
        """Stop the thread and close the source; harmless when called twice."""
        self._halt()
        self._source.close()

    def _read(self) -> None:
        try:
            for packet in joined(self._source.packets()):
                self._queue.put(packet)
                if self._stop.is_set():
                    return
            self._queue.put(END)
        except BaseException as error:
            self._queue.put(error)

    def _halt(self) -> None:
        """Stop the thread, taking from the queue what it may be waiting to put."""
        self._stop.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get(timeout=0.02)


def joined(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Join neighbouring pieces of sound up to a tenth of a second; pass on all else.

    Codecs deliver some 20 ms at a time. What is held goes out before progress of the
    sound is told.
    """
    held: list[AudioChunk] = []
    try:
        for packet in packets:
            if held and _parts(packet, held[-1]):
                yield _join(held)
            if not isinstance(packet, AudioChunk):
                yield packet
                continue
            held.append(packet)
            if (packet.end - held[0].first) * NS >= CHUNK_NS * packet.rate:
                yield _join(held)
    except Exception:
        if held:
            yield _join(held)
        raise
    if held:
        yield _join(held)


def _parts(packet: Packet, last: AudioChunk) -> bool:
    """Whether sound that ends with `last` has to go out before a packet."""
    if isinstance(packet, AudioChunk):
        continues = (packet.rate, packet.first, packet.channel) == (
            last.rate,
            last.end,
            last.channel,
        )
        return not continues
    return isinstance(packet, Watermark) and packet.track is Track.AUDIO


def _join(held: list[AudioChunk]) -> AudioChunk:
    """Empty a list of neighbouring pieces and return them as one."""
    first = held[0]
    samples = first.samples if len(held) == 1 else np.concatenate([c.samples for c in held])
    held.clear()
    return AudioChunk(samples, first.rate, first.first, first.channel)
