"""The engine, live."""

from __future__ import annotations

import queue
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..analyzer import Analyzer
from ..core.estimates import Estimate, Modality, SubjectKind
from ..core.identity import IdentityEmbedding
from ..core.media import (
    AudioChunk,
    Diagnostic,
    Frame,
    MediaInfo,
    Packet,
    Track,
    Utterance,
    Watermark,
)
from ..core.modality import modalities, name_of
from ..core.time import NS, Span, ns_to_samples, to_ns
from ..engine.pipeline import Chain
from ..fusion.rejection import Rejection
from .config import LiveConfig
from .events import Counters, Event, Measurement, MeasurementKind, delay
from .now import Now
from .worker import END, KEPT, TRACKS, Failure, Worker, end_of

_TICK = 0.1  # seconds after which the collector looks at the clock even if nothing came
_COMPLAIN_NS = 5 * NS  # a complaint is repeated after this long at the earliest
_STOP = object()


class LiveSession:
    """Analyzes packets as they come, each modality in a thread of its own.

    Fed without drops it makes the timeline that `Analyzer.analyze` makes of the
    same media. Whatever is too much is dropped and counted; memory is bounded.
    A branch that fails says so in a `Diagnostic` and goes on keeping time, so that the
    other modalities' results still come.

    Sessions may share an analyzer; its models are loaded once.

    Args:
        analyzer: whose models and settings are used; see `live_config`.
        info: describes what will be pushed; see `live_info`.
        config: room and patience.
        listener: is called with every event, in a thread of the session, instead
            of keeping them for `poll`. It must return soon.

    Raises:
        ModelError: if a model is missing or damaged.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        info: MediaInfo,
        config: LiveConfig | None = None,
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        self.info = info
        self.errors: dict[str, Exception] = {}
        self._config = config = config or LiveConfig()
        self._listener = listener
        self._pushing = threading.Lock()
        self._stamps = {track: PacketTimes() for track in info.tracks}
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._roots = [Worker(b, config, self._results.put) for b in analyzer.branches(info)]
        self._workers = [worker for root in self._roots for worker in root]
        self._identifier = analyzer.identifier(info)
        self._joint = Chain(*analyzer.joint(info))
        leaves = [w.branch for w in self._workers if w.branch.modality is not None]
        self._progress = {b.modality: 0 for b in leaves if b.modality is not None}
        self._tracks = {b.modality: b.track for b in leaves}
        abstain = Rejection(analyzer.config.rejection, tuple(self._progress))
        self._now = Now(analyzer.fuser(info), config, abstain)
        self._latency: dict[Modality, deque[int]] = {
            m: deque(maxlen=KEPT) for m in (*modalities(), Modality.FUSED)
        }
        self._late = self._unread = self._dropped_told_ns = 0
        self._complaints: dict[str, int] = {}
        self._collector = threading.Thread(target=self._collect, name="emofuse-live", daemon=True)
        for thread in (*self._workers, self._collector):
            thread.start()

    def push(self, packet: Packet) -> None:
        """Take a frame, sound, an utterance or progress. Never blocks, from any thread.

        Within a track packets must come in order of time; what starts earlier
        than was known to be over is cut or dropped, and counted as late. After
        `finish` or `close` nothing is taken any more.
        """
        if isinstance(packet, Diagnostic):
            self._say(packet)
            return
        track = packet.track if isinstance(packet, Watermark) else TRACKS[type(packet)]
        if not isinstance(track, Track) or track not in self._stamps:
            return
        with self._pushing:
            self._stamps[track].heard_ns = time.monotonic_ns()
            self._push(track, packet)

    def pause(self, modality: Modality, paused: bool) -> None:
        """Leave a modality out for a while, so that the others get the processor; or resume it.

        What it would have said meanwhile is missing; a `Diagnostic` tells of both.
        """
        for worker in self._workers:
            if worker.branch.modality is modality and worker.paused is not paused:
                worker.paused = paused
                name = name_of(modality)
                busy = f"{name} is paused: this machine is too busy for everything"
                code, text = ("paused", busy) if paused else ("resumed", f"{name} is read again")
                self._say(Diagnostic(f"{modality.value}-{code}", text, self._now_ns()))

    def finish(self) -> None:
        """End the stream: what waits is still analyzed, then the iterator ends."""
        with self._pushing:
            for root in self._roots:
                root.inbox.end()

    def close(self, timeout: float = 2.0) -> None:
        """Stop without analyzing what waits; harmless when called twice.

        Args:
            timeout: seconds to wait for models that are at work. One that is still
                at it then is left to end by itself.
        """
        for worker in self._workers:
            worker.stop()
        self._results.put(_STOP)
        deadline = time.monotonic() + timeout
        for thread in (*self._workers, self._collector):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def poll(self, timeout: float = 0.0) -> list[Event]:
        """Return what was said since the last call.

        Args:
            timeout: seconds to wait for the first event.
        """
        events: list[Event] = []
        while not self._ended.is_set() or not self._events.empty():
            try:
                event = self._events.get(timeout=0 if events or timeout <= 0 else timeout)
            except queue.Empty:
                break
            if event is None:
                break
            events.append(event)
        return events

    def __iter__(self) -> Iterator[Event]:
        """Yield events as they come, until the session has ended."""
        while not self._ended.is_set() or not self._events.empty():
            yield from self.poll(timeout=1.0)

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether nothing more will be said."""
        return self._ended.is_set()

    def counters(self) -> Counters:
        """Say how the session is doing."""
        inboxes = [worker.inbox for worker in self._workers]
        return Counters(
            latency={m.value: delay(ns) for m, ns in self._latency.items() if ns},
            work={w.branch.name: delay(w.took) for w in self._workers if w.took},
            waiting={w.branch.name: len(w.inbox) for w in self._workers},
            dropped_frames=sum(inbox.dropped_frames for inbox in inboxes),
            dropped_sound_seconds=sum(inbox.dropped_sound_ns for inbox in inboxes) / NS,
            late=self._late,
            unread=self._unread,
        )

    def _push(self, track: Track, packet: Frame | AudioChunk | Utterance | Watermark) -> None:
        stamps = self._stamps[track]
        kept = after(packet, stamps.upto_ns)
        if kept is not packet and not isinstance(packet, Utterance):
            self._late += not isinstance(packet, Watermark)
        if kept is None:
            if isinstance(packet, Frame) and Modality.FACE in self._progress:  # an answer, too
                self._results.put(Watermark(Modality.FACE, self._progress[Modality.FACE]))
            return
        stamps.add(end_of(kept) if not isinstance(kept, Utterance) else kept.span.start_ns)
        for root in self._roots:
            if root.branch.track is track:
                root.inbox.put(kept)

    def _now_ns(self) -> int:
        """The session's time: that of the newest packet, and what went by since."""
        newest = max(self._stamps.values(), key=lambda s: s.upto_ns, default=None)
        if newest is None or not newest.pushed_ns:
            return 0
        return newest.upto_ns + time.monotonic_ns() - newest.pushed_ns

    def _collect(self) -> None:
        """Bring the branches together; the only thread that speaks."""
        running = sum(worker.branch.modality is not None for worker in self._workers)
        try:
            while running:
                try:
                    item = self._results.get(timeout=_TICK)
                except queue.Empty:
                    item = None
                if item is _STOP:
                    return
                if item is END:
                    running -= 1
                elif item is not None:
                    self._take(item)
                self._look_at_the_clock()
            self._tell(self._joint.flush)
            self._attribute(None)
        finally:
            self._ended.set()
            self._events.put(None)

    def _take(self, item: Estimate | Watermark | Failure | IdentityEmbedding) -> None:
        if isinstance(item, Failure):
            self._fail(item.branch, item.error)
            return
        if isinstance(item, IdentityEmbedding):
            self._identify(item)
            return
        if isinstance(item, Watermark):
            assert isinstance(item.track, Modality)
            self._progress[item.track] = max(self._progress[item.track], item.upto_ns)
            self._say(item)
        else:
            self._show(item)
        self._tell(self._joint.feed, item)

    def _identify(self, item: IdentityEmbedding) -> None:
        """Say whose face or voice it is."""
        identifier = self._identifier
        if identifier is None:
            return
        if item.subject.kind is SubjectKind.SPEAKER:
            self._news(lambda: identifier.heard(item))
        else:
            identifier.feed(item)
            self._news(identifier.news)

    def _attribute(self, e: Estimate | None) -> None:
        """Learn whose face is given the voice, and say whose voices are; None: this is the end."""
        identifier = self._identifier
        if identifier is not None:
            if e is not None:
                identifier.feed(e)
            self._news(lambda: identifier.voices(now=e is None))

    def _news(self, news: Callable[[], Iterable[Event]]) -> None:
        try:
            for event in news():
                self._say(event)
        except Exception as error:
            self._identifier = None
            self._fail("identity", error)

    def _show(self, e: Estimate) -> None:
        """Say at once what is good for a display."""
        track = self._tracks[e.modality]
        if e.modality is Modality.FACE:
            self._measured(MeasurementKind.FRAME, replace(e, embedding=None), track)
        for now in self._fused(self._now.feed, e):
            self._measured(MeasurementKind.NOW, now, track)

    def _tell(self, step: Callable[..., Iterator[Any]], *item: Any) -> None:
        for out in self._fused(step, *item):
            if isinstance(out, Estimate):
                self._now.learn(out)
                self._attribute(out)
                self._measured(MeasurementKind.TIMELINE, out, self._tracks.get(out.modality))
            else:
                self._say(out)

    def _fused(self, step: Callable[..., Iterator[Any]], *item: Any) -> Iterator[Any]:
        """Run a step of fusion; without it there still are the single modalities' estimates."""
        if "fusion" in self.errors:
            return
        try:
            yield from step(*item)
        except Exception as error:
            self._fail("fusion", error)

    def _measured(self, kind: MeasurementKind, e: Estimate, track: Track | None) -> None:
        pushed = [s.when(e.span.end_ns) for t, s in self._stamps.items() if track in (None, t)]
        known = [ns for ns in pushed if ns is not None]
        latency_ns = time.monotonic_ns() - max(known) if known else 0
        raw = e.modality is Modality.FACE and kind is MeasurementKind.FRAME
        stays = e.modality is not Modality.FACE and kind is MeasurementKind.TIMELINE
        if known and (raw or stays):
            self._latency[e.modality].append(latency_ns)
        self._say(Measurement(kind, e, latency_ns))

    def _say(self, event: Event) -> None:
        if self._listener is not None:
            try:
                self._listener(event)
                return
            except Exception as error:
                self.errors["listener"], self._listener = error, None
        self._events.put(event)
        while self._events.qsize() > self._config.unread:
            with suppress(queue.Empty):  # who fetches may be quicker
                self._events.get_nowait()
                self._unread += 1

    def _look_at_the_clock(self) -> None:
        """Count tracks that bring nothing as silent, and wait for no model for ever."""
        now_ns = self._now_ns()
        if self._config.patience_seconds is not None:
            patience_ns = to_ns(self._config.patience_seconds)
            silent_ns, quiet_ns = now_ns - patience_ns, time.monotonic_ns() - patience_ns
            for track, stamps in self._stamps.items():
                # A track that lags and still delivers is waited for. And not at every tick:
                # progress costs the branches a step each.
                if stamps.heard_ns < quiet_ns and silent_ns - stamps.upto_ns > _TICK * NS:
                    with self._pushing:
                        self._push(track, Watermark(track, silent_ns))
        if self._config.overdue_seconds is not None:
            overdue_ns = now_ns - to_ns(self._config.overdue_seconds)
            for modality, upto_ns in self._progress.items():
                if overdue_ns - upto_ns > _TICK * NS:
                    self._progress[modality] = overdue_ns
                    self._complain("overdue", f"{modality.value} is too slow to be waited for")
                    self._tell(self._joint.feed, Watermark(modality, overdue_ns))
        dropped_ns = sum(worker.inbox.dropped_sound_ns for worker in self._workers)
        if dropped_ns > self._dropped_told_ns:
            text = f"{dropped_ns / NS:.1f} s of sound so far were left out: listening is too slow"
            if self._complain("sound-dropped", text):
                self._dropped_told_ns = dropped_ns

    def _complain(self, code: str, message: str) -> bool:
        """Say a note, but not again and again."""
        last_ns = self._complaints.get(code)
        if last_ns is not None and time.monotonic_ns() - last_ns < _COMPLAIN_NS:
            return False
        self._complaints[code] = time.monotonic_ns()
        self._say(Diagnostic(code, message, self._now_ns()))
        return True

    def _fail(self, branch: str, error: Exception) -> None:
        self.errors[branch] = error
        message = f"{branch} is no longer analyzed: {error or type(error).__name__}"
        self._say(Diagnostic("branch-failed", message, self._now_ns()))


def after(
    packet: Frame | AudioChunk | Utterance | Watermark, upto_ns: int
) -> Frame | AudioChunk | Utterance | Watermark | None:
    """Return the part of a packet after a time; None if nothing is left."""
    if isinstance(packet, Frame) and packet.at.start_ns < upto_ns:
        late = packet.at.end_ns <= upto_ns
        return None if late else Frame(packet.image, Span(upto_ns, packet.at.end_ns))
    if isinstance(packet, AudioChunk):
        cut = ns_to_samples(upto_ns, packet.rate) - packet.first
        if cut >= len(packet.samples):
            return None
        if cut > 0:
            return AudioChunk(packet.samples[cut:], packet.rate, packet.first + cut)
    if isinstance(packet, Watermark) and packet.upto_ns <= upto_ns:
        return None
    if isinstance(packet, Utterance) and packet.span.start_ns < upto_ns:
        return None
    return packet


class PacketTimes:
    """When a track's packets were pushed."""

    def __init__(self) -> None:
        self.upto_ns = 0  # nothing that starts earlier is taken any more
        self.pushed_ns = 0  # when the newest packet came, by the monotonic clock
        self.heard_ns = 0  # when the newest came from outside
        self._ends: deque[tuple[int, int]] = deque(maxlen=KEPT)

    def add(self, end_ns: int) -> None:
        """Note that a packet came that reaches up to a time."""
        self.upto_ns, self.pushed_ns = max(self.upto_ns, end_ns), time.monotonic_ns()
        self._ends.append((self.upto_ns, self.pushed_ns))

    def when(self, time_ns: int) -> int | None:
        """Return when the packet came that reached `time_ns`; None if none did yet."""
        ends = list(self._ends)
        at = bisect_left(ends, (time_ns, 0))
        return ends[at][1] if at < len(ends) else None
