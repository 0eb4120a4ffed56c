"""One thread for each branch, and what waits in front of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.media import AudioChunk, Frame, Track, Utterance, Watermark
from ..core.time import to_ns
from ..engine.branch import Branch
from .config import LiveConfig

TRACKS: Mapping[type, Track] = {
    Frame: Track.VIDEO,
    AudioChunk: Track.AUDIO,
    Utterance: Track.TEXT,
}
"""The track that each kind of packet belongs to."""

KEPT = 2048
"""Latencies and stamps that are remembered."""

END = object()
"""After the last packet."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a branch."""

    branch: str
    error: Exception


def end_of(packet: Frame | AudioChunk | Utterance | Watermark) -> int:
    """Return up to which time a packet tells of its track, in nanoseconds."""
    if isinstance(packet, Watermark):
        return packet.upto_ns
    return packet.at.end_ns if isinstance(packet, Frame) else packet.span.end_ns


class Inbox:
    """What waits for one thread. Who puts never waits; when it is full the oldest goes."""

    def __init__(self, config: LiveConfig) -> None:
        self.dropped_frames = self.dropped_sound_ns = 0
        self._frames, self._sound_ns = config.frames, to_ns(config.sound_seconds)
        self._held_frames = self._held_ns = 0
        self._items: deque[Any] = deque()
        self._over = False
        self._ready = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any) -> None:
        """Take an item at the end of the queue, at the expense of the oldest if it is full."""
        with self._ready:
            if self._over:
                return
            last = self._items[-1] if self._items else None
            if isinstance(item, Watermark) and isinstance(last, Watermark):
                self._items.pop()  # the newer promise holds the older
            self._items.append(item)
            self._count(item, 1)
            if isinstance(item, Frame):
                self._drop(Frame, lambda: self._held_frames > self._frames)
            elif isinstance(item, AudioChunk):
                self._drop(AudioChunk, lambda: self._held_ns > self._sound_ns)
            self._ready.notify()

    def end(self, *, drop: bool = False) -> None:
        """Take nothing more; what is held still comes out, unless it is dropped."""
        with self._ready:
            self._over = True
            if drop:
                self._items.clear()
            self._ready.notify()

    def get(self) -> Any:
        """Wait for the next item; `END` after the last."""
        with self._ready:
            while not self._items:
                if self._over:
                    return END
                self._ready.wait()
            item = self._items.popleft()
            self._count(item, -1)
            return item

    def _count(self, item: Any, sign: int) -> None:
        if isinstance(item, Frame):
            self._held_frames += sign
        elif isinstance(item, AudioChunk):
            self._held_ns += sign * item.span.duration_ns

    def _drop(self, kind: type[Frame] | type[AudioChunk], too_much: Callable[[], bool]) -> None:
        while too_much():
            oldest = next(item for item in self._items if isinstance(item, kind))
            self._items.remove(oldest)
            self._count(oldest, -1)
            if isinstance(oldest, Frame):
                self.dropped_frames += 1
            else:
                self.dropped_sound_ns += oldest.span.duration_ns


class Worker(threading.Thread):
    """Runs one branch's stage; what it yields goes to its followers or to the collector.

    If the stage fails, the branch only keeps time from then on.
    """

    def __init__(self, branch: Branch, config: LiveConfig, collect: Callable[[Any], None]) -> None:
        super().__init__(name=f"emofuse-{branch.name}", daemon=True)
        self.branch, self.inbox = branch, Inbox(config)
        self.took: deque[int] = deque(maxlen=KEPT)
        self._followers = [Worker(b, config, collect) for b in branch.followers]
        self._collect = collect
        self._failed = self._stopped = self._was_paused = False
        self.paused = False
        """Whether it only keeps time for now; set from any thread."""

    def __iter__(self) -> Iterator[Worker]:
        yield self
        for follower in self._followers:
            yield from follower

    def stop(self) -> None:
        """Do nothing more."""
        self._stopped = True
        self.inbox.end(drop=True)

    def run(self) -> None:
        """Work until the inbox ends."""
        while (item := self.inbox.get()) is not END:
            began = time.perf_counter_ns()
            if self._failed:
                self._keep_time(item)
            elif self.paused:
                self._skip(item)
            else:
                self._was_paused = False
                self._work(self.branch.stage.feed, item)
            if not isinstance(item, Watermark):
                self.took.append(time.perf_counter_ns() - began)
        if not (self._failed or self._stopped):
            self._work(self.branch.stage.flush)
        for follower in self._followers:
            follower.inbox.end()
        if not self._followers:
            self._collect(END)

    def _work(self, step: Callable[..., Any], *item: Any) -> None:
        try:
            for out in step(*item):
                if self._stopped:
                    return
                self._send(out)
        except Exception as error:
            self._failed = True
            self._collect(Failure(self.branch.name, error))
            if item:
                self._keep_time(item[0])

    def _skip(self, item: Any) -> None:
        """Forget what the stage holds, since its time is now declared to be over."""
        if not self._was_paused:
            self.branch.stage.reset()
            self._was_paused = True
        self._keep_time(item)

    def _keep_time(self, item: Frame | AudioChunk | Utterance | Watermark) -> None:
        self._send(Watermark(self.branch.modality or self.branch.track, end_of(item)))

    def _send(self, item: Any) -> None:
        if not self._followers:
            self._collect(item)
        for follower in self._followers:
            follower.inbox.put(item)
