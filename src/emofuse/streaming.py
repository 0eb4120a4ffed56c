"""The engine, live: what is pushed comes back as measurements, and nobody waits for anybody.

A `LiveSession` runs the very stages that a file goes through, each branch of
them in a thread of its own: a slow voice or words model never holds up the face.

    with LiveSession(analyzer, live_info()) as session:
        session.push(frame)                  # never blocks
        for measurement in session.poll():   # what is known by now
            ...
"""

from __future__ import annotations

import queue
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from .analyzer import Analyzer, AnalyzerConfig
from .core.estimates import SPEAKER, Estimate, Modality, Subject
from .core.media import (
    AudioChunk,
    AudioInfo,
    Frame,
    MediaInfo,
    MediaKind,
    Note,
    Packet,
    Progress,
    Track,
    Utterance,
    VideoInfo,
)
from .core.protocols import Fuser, Slot
from .core.time import NS, Span, ns_to_samples, to_ns
from .engine.align import VOICE, sole_face
from .engine.branch import Branch
from .engine.pipeline import Chain
from .engine.smooth import ExponentialSmoother
from .face.config import Between, DetectorName

TRACKS: Mapping[type, Track] = {
    Frame: Track.VIDEO,
    AudioChunk: Track.AUDIO,
    Utterance: Track.TEXT,
}
"""The track that each kind of packet belongs to."""

_TICK = 0.1  # seconds after which the collector looks at the clock even if nothing came
_KEPT = 2048  # latencies and stamps that are remembered
_COMPLAIN_NS = 5 * NS  # a complaint is repeated after this long at the earliest


class MeasurementKind(str, Enum):
    """What a measurement is good for."""

    FRAME = "frame"
    """A face in one picture, raw, as soon as the model has answered."""
    NOW = "now"
    """What face, voice and words say together at this moment, for a display: the latest
    evidence of each, fused and smoothed. It may be revised."""
    TIMELINE = "timeline"
    """An estimate that stays: what the same media as a file would give too."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """An estimate that came live.

    Args:
        kind: what it is good for.
        estimate: the estimate; its span counts from the session's start.
        latency_ns: from the push of the last packet that it tells about until now.
    """

    kind: MeasurementKind
    estimate: Estimate
    latency_ns: int


Event = Measurement | Progress | Note
"""What a session says.

`Progress(Modality.FACE, …)` follows the `FRAME` measurements of every picture, also of
one without a face; voice and words likewise. `Progress(Modality.FUSED, …)`: the
timeline is complete so far.
"""


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """How much a session keeps waiting, and for how long it waits.

    Args:
        frames: pictures that may wait for the face; more, and the oldest is dropped.
        sound_seconds: sound that may wait for each who listens; more, and the
            oldest is dropped.
        patience_seconds: a track that is this far behind the clock counts as
            silent (muted, unplugged); what it still brings from before is dropped.
            None: it is waited for.
        overdue_seconds: a modality whose results are this far behind the clock is
            not waited for in the fused timeline. None: it is.
        face_seconds: how long a face seen last counts in what is said `NOW`.
        voice_seconds: the same of voice and words, from when they were known.
        smoothing_seconds: half-life of the past in what is said `NOW`.
        unread: events kept for who does not fetch them; more, and the oldest go.

    Raises:
        ValueError: if a number is out of range.
    """

    frames: int = 1
    sound_seconds: float = 5.0
    patience_seconds: float | None = 1.0
    overdue_seconds: float | None = 20.0
    face_seconds: float = 0.5
    voice_seconds: float = 3.0
    smoothing_seconds: float = 0.3
    unread: int = 4096

    def __post_init__(self) -> None:
        given = (self.frames, self.sound_seconds, self.unread, self.face_seconds)
        waits = [w for w in (self.patience_seconds, self.overdue_seconds) if w is not None]
        if not all(n > 0 for n in (*given, *waits)):
            raise ValueError(f"room and patience must be > 0, got {self}")
        if not (self.voice_seconds >= 0 and self.smoothing_seconds >= 0):
            raise ValueError(f"memory and smoothing must be >= 0, got {self}")


def live_config(config: AnalyzerConfig | None = None) -> AnalyzerConfig:
    """Return settings that answer at once, made of those for files.

    The quick detector that finds landmarks looks at every third picture, and optical
    flow carries its finds along; nothing waits for a batch to fill; the voice model
    hears nothing of the future; speech is recognised in short pieces.
    """
    config = config or AnalyzerConfig()
    return replace(
        config,
        fps=25.0,
        max_side=min(config.max_side, 640),
        max_wait_seconds=0.0,
        lookahead_seconds=0.0,
        face=replace(
            config.face, detector=DetectorName.COMPACT, detect_every=3, between=Between.FLOW
        ),
        transcribe=replace(
            config.transcribe, longest_seconds=min(config.transcribe.longest_seconds, 6.0)
        ),
    )


def live_info(
    name: str = "live",
    *,
    video: bool = True,
    audio: bool = True,
    size: tuple[int, int] = (640, 480),
    fps: float = 25.0,
    rate: int = 16_000,
) -> MediaInfo:
    """Describe a live medium.

    Args:
        name: what it is called in results.
        video: whether pictures will come.
        audio: whether sound will come.
        size: width and height of the pictures; they may turn out otherwise.
        fps: pictures per second.
        rate: sampling rate of the sound in Hz.
    """
    return MediaInfo(
        name,
        MediaKind.VIDEO if video else MediaKind.AUDIO,
        video=VideoInfo(*size, fps, "raw") if video else None,
        audio=AudioInfo(rate, 1, "pcm") if audio else None,
    )


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something took lately: median and 95th percentile in ms, and how often it was."""

    p50: float
    p95: float
    count: int


@dataclass(frozen=True, slots=True)
class Counters:
    """How a session is doing.

    Args:
        latency: modality → from the push of the last packet that a result tells
            about to the result. Face: pictures; speech and words: from the end of
            the stretch that they tell about; fused: from the slot's end.
        work: branch → one step of its stages.
        waiting: branch → packets in front of it.
        dropped_frames: pictures that a newer one replaced.
        dropped_sound_seconds: sound that was too much.
        late: packets that came after their track had counted as silent.
        unread: events that nobody fetched in time.
    """

    latency: Mapping[str, Delay]
    work: Mapping[str, Delay]
    waiting: Mapping[str, int]
    dropped_frames: int
    dropped_sound_seconds: float
    late: int
    unread: int


class LiveSession:
    """Analyses packets as they come, each modality in a thread of its own.

    Fed without drops it makes the timeline that `Analyzer.analyze` makes of the
    same media. Whatever is too much is dropped and counted; memory is bounded.
    A branch that fails says so in a `Note` and goes on keeping time, so that the
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
        config: LiveConfig = LiveConfig(),
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        self.info = info
        self.errors: dict[str, Exception] = {}
        self._config, self._listener = config, listener
        self._pushing = threading.Lock()
        self._stamps = {track: _Stamps() for track in info.tracks}
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._roots = [_Worker(b, config, self._results.put) for b in analyzer.branches(info)]
        self._workers = [worker for root in self._roots for worker in root]
        self._now = _Now(analyzer.fuser(info), config)
        self._joint = Chain(*analyzer.joint(info))
        leaves = [w.branch for w in self._workers if w.branch.modality is not None]
        self._progress = {b.modality: 0 for b in leaves if b.modality is not None}
        self._tracks = {b.modality: b.track for b in leaves}
        self._latency: dict[Modality, deque[int]] = {m: deque(maxlen=_KEPT) for m in Modality}
        self._late = self._unread = self._dropped_told_ns = 0
        self._complaints: dict[str, int] = {}
        self._collector = threading.Thread(target=self._collect, name="emofuse-live", daemon=True)
        for thread in (*self._workers, self._collector):
            thread.start()

    def push(self, packet: Packet) -> None:
        """Take a picture, sound, an utterance or progress. Never blocks, from any thread.

        Within a track packets must come in order of time; what starts earlier
        than was known to be over is cut or dropped, and counted as late. After
        `finish` or `close` nothing is taken any more.
        """
        if isinstance(packet, Note):
            self._say(packet)
            return
        track = packet.track if isinstance(packet, Progress) else TRACKS[type(packet)]
        if not isinstance(track, Track) or track not in self._stamps:
            return
        with self._pushing:
            self._push(track, packet)

    def finish(self) -> None:
        """End the stream: what waits is still analysed, then the iterator ends."""
        with self._pushing:
            for root in self._roots:
                root.inbox.end()

    def close(self, timeout: float = 2.0) -> None:
        """Stop without analysing what waits; harmless when called twice.

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
            latency={m.value: _delay(ns) for m, ns in self._latency.items() if ns},
            work={w.branch.name: _delay(w.took) for w in self._workers if w.took},
            waiting={w.branch.name: len(w.inbox) for w in self._workers},
            dropped_frames=sum(inbox.dropped_frames for inbox in inboxes),
            dropped_sound_seconds=sum(inbox.dropped_sound_ns for inbox in inboxes) / NS,
            late=self._late,
            unread=self._unread,
        )

    def _push(self, track: Track, packet: Frame | AudioChunk | Utterance | Progress) -> None:
        stamps = self._stamps[track]
        kept = _after(packet, stamps.upto_ns)
        if kept is not packet and not isinstance(packet, Utterance):
            self._late += not isinstance(packet, Progress)
        if kept is None:
            return
        stamps.add(_end_ns(kept) if not isinstance(kept, Utterance) else kept.span.start_ns)
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
                if item is _END:
                    running -= 1
                elif item is not None:
                    self._take(item)
                self._look_at_the_clock()
            self._tell(self._joint.flush)
        finally:
            self._ended.set()
            self._events.put(None)

    def _take(self, item: Estimate | Progress | _Failure) -> None:
        if isinstance(item, _Failure):
            self._fail(item.branch, item.error)
            return
        if isinstance(item, Progress):
            assert isinstance(item.track, Modality)
            self._progress[item.track] = max(self._progress[item.track], item.upto_ns)
            self._say(item)
        else:
            self._show(item)
        self._tell(self._joint.feed, item)

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
            silent_ns = now_ns - to_ns(self._config.patience_seconds)
            for track, stamps in self._stamps.items():
                # Not at every tick: progress costs the branches a step each.
                if silent_ns - stamps.upto_ns > _TICK * NS:
                    with self._pushing:
                        self._push(track, Progress(track, silent_ns))
        if self._config.overdue_seconds is not None:
            overdue_ns = now_ns - to_ns(self._config.overdue_seconds)
            for modality, upto_ns in self._progress.items():
                if overdue_ns - upto_ns > _TICK * NS:
                    self._progress[modality] = overdue_ns
                    self._complain("overdue", f"{modality.value} is too slow to be waited for")
                    self._tell(self._joint.feed, Progress(modality, overdue_ns))
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
        self._say(Note(code, message, self._now_ns()))
        return True

    def _fail(self, branch: str, error: Exception) -> None:
        self.errors[branch] = error
        message = f"{branch} is no longer analysed: {error or type(error).__name__}"
        self._say(Note("branch-failed", message, self._now_ns()))


@dataclass(frozen=True, slots=True)
class _Failure:
    branch: str
    error: Exception


_END, _STOP = object(), object()


def _end_ns(packet: Frame | AudioChunk | Utterance | Progress) -> int:
    if isinstance(packet, Progress):
        return packet.upto_ns
    return packet.at.end_ns if isinstance(packet, Frame) else packet.span.end_ns


def _after(
    packet: Frame | AudioChunk | Utterance | Progress, upto_ns: int
) -> Frame | AudioChunk | Utterance | Progress | None:
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
    if isinstance(packet, Progress) and packet.upto_ns <= upto_ns:
        return None
    if isinstance(packet, Utterance) and packet.span.start_ns < upto_ns:
        return None
    return packet


def _delay(times_ns: deque[int]) -> Delay:
    ms = np.array(list(times_ns)) / 1e6
    p50, p95 = np.percentile(ms, [50, 95])
    return Delay(round(float(p50), 1), round(float(p95), 1), len(ms))


class _Stamps:
    """When a track's packets were pushed."""

    def __init__(self) -> None:
        self.upto_ns = 0  # nothing that starts earlier is taken any more
        self.pushed_ns = 0  # when the newest packet came, by the monotonic clock
        self._ends: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def add(self, end_ns: int) -> None:
        self.upto_ns, self.pushed_ns = max(self.upto_ns, end_ns), time.monotonic_ns()
        self._ends.append((self.upto_ns, self.pushed_ns))

    def when(self, time_ns: int) -> int | None:
        """Return when the packet came that reached `time_ns`; None if none did yet."""
        ends = list(self._ends)
        at = bisect_left(ends, (time_ns, 0))
        return ends[at][1] if at < len(ends) else None


class _Inbox:
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
        with self._ready:
            if self._over:
                return
            last = self._items[-1] if self._items else None
            if isinstance(item, Progress) and isinstance(last, Progress):
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
        """Wait for the next item; `_END` after the last."""
        with self._ready:
            while not self._items:
                if self._over:
                    return _END
                self._ready.wait()
            item = self._items.popleft()
            self._count(item, -1)
            return item

    def _count(self, item: Any, sign: int) -> None:
        if isinstance(item, Frame):
            self._held_frames += sign
        elif isinstance(item, AudioChunk):
            self._held_ns += sign * item.span.duration_ns

    def _drop(self, kind: type, too_much: Callable[[], bool]) -> None:
        while too_much():
            oldest = next(item for item in self._items if isinstance(item, kind))
            self._items.remove(oldest)
            self._count(oldest, -1)
            self.dropped_frames += kind is Frame
            self.dropped_sound_ns += oldest.span.duration_ns if kind is AudioChunk else 0


class _Worker(threading.Thread):
    """Runs one branch's stage; what it yields goes to its followers or to the collector.

    If the stage fails, the branch only keeps time from then on.
    """

    def __init__(self, branch: Branch, config: LiveConfig, collect: Callable[[Any], None]) -> None:
        super().__init__(name=f"emofuse-{branch.name}", daemon=True)
        self.branch, self.inbox = branch, _Inbox(config)
        self.took: deque[int] = deque(maxlen=_KEPT)
        self._followers = [_Worker(b, config, collect) for b in branch.followers]
        self._collect = collect
        self._failed = self._stopped = False

    def __iter__(self) -> Iterator[_Worker]:
        yield self
        for follower in self._followers:
            yield from follower

    def stop(self) -> None:
        """Do nothing more."""
        self._stopped = True
        self.inbox.end(drop=True)

    def run(self) -> None:
        while (item := self.inbox.get()) is not _END:
            began = time.perf_counter_ns()
            if self._failed:
                self._keep_time(item)
            else:
                self._work(self.branch.stage.feed, item)
            if not isinstance(item, Progress):
                self.took.append(time.perf_counter_ns() - began)
        if not (self._failed or self._stopped):
            self._work(self.branch.stage.flush)
        for follower in self._followers:
            follower.inbox.end()
        if not self._followers:
            self._collect(_END)

    def _work(self, step: Callable[..., Any], *item: Any) -> None:
        try:
            for out in step(*item):
                if self._stopped:
                    return
                self._send(out)
        except Exception as error:
            self._failed = True
            self._collect(_Failure(self.branch.name, error))
            if item:
                self._keep_time(item[0])

    def _keep_time(self, item: Frame | AudioChunk | Utterance | Progress) -> None:
        self._send(Progress(self.branch.modality or self.branch.track, _end_ns(item)))

    def _send(self, item: Any) -> None:
        if not self._followers:
            self._collect(item)
        for follower in self._followers:
            follower.inbox.put(item)


@dataclass(slots=True)
class _Now:
    """Fuses the latest evidence about everybody, for a display."""

    fuser: Fuser
    config: LiveConfig
    _latest: dict[tuple[Subject, Modality], tuple[int, Estimate]] = field(default_factory=dict)
    _ends: dict[Subject, int] = field(default_factory=dict)
    _smoother: ExponentialSmoother = field(init=False)

    def __post_init__(self) -> None:
        self._smoother = ExponentialSmoother(to_ns(self.config.smoothing_seconds))

    def feed(self, e: Estimate) -> Iterator[Estimate]:
        """Take one modality's estimate; yield what it changes."""
        now_ns = time.monotonic_ns()
        self._latest[e.subject, e.modality] = now_ns, e
        self._forget(now_ns)
        faces = {subject for subject, modality in self._latest if modality is Modality.FACE}
        owner = sole_face(faces) if e.modality in VOICE else e.subject
        if e.modality in VOICE and owner in faces:
            return  # it shows with the next picture of that face
        end_ns = max(e.span.end_ns, self._ends.get(owner, 0))
        self._ends[owner] = end_ns
        slot = Slot(owner, Span(e.span.start_ns, end_ns), self._evidence(owner, faces))
        fused = self.fuser.fuse(slot)
        if fused is not None:
            for smooth in self._smoother.feed(fused):
                assert isinstance(smooth, Estimate)
                yield replace(smooth, embedding=None)

    def _evidence(self, owner: Subject, faces: set[Subject]) -> dict[Modality, Estimate]:
        voice_of = sole_face(faces)
        return {
            modality: estimate
            for (subject, modality), (_, estimate) in sorted(
                self._latest.items(), key=lambda known: known[1][0]
            )
            if subject == owner or (modality in VOICE and owner in (voice_of, subject))
        }

    def _forget(self, now_ns: int) -> None:
        memory = {m: to_ns(self.config.voice_seconds) for m in VOICE}
        memory[Modality.FACE] = to_ns(self.config.face_seconds)
        self._latest = {
            key: (known_ns, e)
            for key, (known_ns, e) in self._latest.items()
            if now_ns - known_ns <= memory[key[1]]
        }
        if len(self._ends) > 64:  # people come and go
            alive = {subject for subject, _ in self._latest} | {SPEAKER}
            self._ends = {s: end for s, end in self._ends.items() if s in alive}
