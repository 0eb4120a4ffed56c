"""Reading ahead in a second thread, so that decoding and analysis share two cores."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress

from ..core.media import MediaInfo, Packet
from ..core.protocols import Source

END = object()


class Prefetch:
    """Reads another source ahead in a thread of its own.

    Packets come out in the same order; at most `depth` of them wait in memory.
    An error of the source is raised where its packet would have come. The
    source belongs to this object and is closed with it.

    Args:
        source: what to read.
        depth: packets to read ahead; a few tenths of a second of media are enough.
    """

    def __init__(self, source: Source, depth: int = 64) -> None:
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
            for packet in self._source.packets():
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
