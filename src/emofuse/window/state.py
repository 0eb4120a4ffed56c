"""What the window shows: kept up to date by the devices' threads and the session's."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.details import FaceDetails
from ..core.estimates import Estimate, Modality, Subject, SubjectKind
from ..core.media import AudioChunk, Diagnostic, Frame, Packet, Watermark
from ..core.time import NS, to_ns
from ..engine.align import tells_of_speaker
from ..streaming import Event, Measurement, MeasurementKind

WAVE_SECONDS = 4.0
"""How much sound the waveform shows."""

WAVE_RATE = 100
"""Peaks a second that are kept of it."""

FACE_NS = to_ns(0.6)
"""How long a face is shown that is not seen any more."""

VOICE_NS = to_ns(5.0)
"""How long the latest voice estimate and sentence are shown."""

NOTE_NS = to_ns(6.0)
"""How long a note is shown."""

_EASE_NS = to_ns(0.06)  # time in which a box covers most of the way to where it is found


@dataclass(slots=True)
class Person:
    """Somebody on the screen.

    Args:
        subject: who.
        seen_ns: when the last evidence came, by the monotonic clock.
        frame: the face in the latest picture analyzed, raw.
        now: what is said of the person at this moment.
        box: where the face is drawn: x, y, width, height in fractions of the picture.
    """

    subject: Subject
    seen_ns: int = 0
    frame: Estimate | None = None
    now: Estimate | None = None
    box: NDArray[np.float64] | None = None
    _drawn_ns: int = 0

    @property
    def estimate(self) -> Estimate | None:
        """The best that is known."""
        return self.now or self.frame

    def ease(self, now_ns: int) -> None:
        """Move the drawn box towards where the face was found: boxes must not jitter."""
        face = None if self.frame is None else self.frame.find_details(FaceDetails)
        if face is None or face.box is None:
            return
        target = np.array(face.box, np.float64)
        if self.box is None or now_ns - self._drawn_ns > NS // 2:
            self.box = target
        else:
            way = 1.0 - 0.5 ** ((now_ns - self._drawn_ns) / (_EASE_NS / 2))
            self.box = self.box + way * (target - self.box)
        self._drawn_ns = now_ns


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and when it was taken, by the monotonic clock."""

    image: NDArray[np.uint8]
    at_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one drawing of the window needs."""

    picture: Picture | None
    people: tuple[Person, ...]
    voice: Estimate | None
    words: Estimate | None
    wave: NDArray[np.float32]
    notes: tuple[str, ...]


@dataclass(slots=True)
class LiveState:
    """What is known at this moment; every method may be called from any thread.

    Args:
        origin_ns: the monotonic clock at the session's time 0; set when it starts.
    """

    origin_ns: int = field(default_factory=time.monotonic_ns)
    _picture: Picture | None = None
    _count: int = 0
    _people: dict[Subject, Person] = field(default_factory=dict)
    _voice: tuple[int, Estimate] | None = None
    _words: tuple[int, Estimate] | None = None
    _wave: deque[float] = field(default_factory=lambda: deque(maxlen=int(WAVE_SECONDS * WAVE_RATE)))
    _rest: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    _notes: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=3))
    _fresh: threading.Condition = field(default_factory=threading.Condition)

    def see(self, packet: Packet) -> None:
        """Take what a device delivers."""
        with self._fresh:
            if isinstance(packet, Frame):
                self._count += 1
                at_ns = self.origin_ns + packet.at.start_ns
                self._picture = Picture(packet.image, at_ns, self._count)
                self._fresh.notify_all()
            elif isinstance(packet, AudioChunk):
                self._hear(packet)
            elif isinstance(packet, Diagnostic):
                self._note(packet.message)

    def hear(self, event: Event) -> None:
        """Take what the session says."""
        with self._fresh:
            if isinstance(event, Diagnostic):
                self._note(event.message)
            elif isinstance(event, Measurement):
                self._measure(event)
            elif isinstance(event, Watermark):
                return

    def tell(self, text: str) -> None:
        """Show a note of the window's own."""
        with self._fresh:
            self._note(text)

    def wait(self, number: int, timeout: float) -> None:
        """Wait for a picture after `number`, or for the timeout in seconds."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._count > number, timeout)

    def snapshot(self) -> Snapshot:
        """Return what is to be drawn now."""
        now_ns = time.monotonic_ns()
        with self._fresh:
            self._people = {
                s: p for s, p in self._people.items() if now_ns - p.seen_ns <= _memory(s)
            }
            for person in self._people.values():
                person.ease(now_ns)
            while self._notes and now_ns - self._notes[0][0] > NOTE_NS:
                self._notes.popleft()
            return Snapshot(
                self._picture,
                tuple(_told_apart(self._people)),
                _recent(self._voice, now_ns),
                _recent(self._words, now_ns),
                np.array(self._wave, np.float32),
                tuple(text for _, text in self._notes),
            )

    def _hear(self, chunk: AudioChunk) -> None:
        """Keep the peaks of a waveform, a hundred a second."""
        samples = np.concatenate((self._rest, chunk.samples))
        step = max(1, chunk.rate // WAVE_RATE)
        whole = len(samples) // step * step
        self._wave.extend(np.abs(samples[:whole]).reshape(-1, step).max(axis=1).tolist())
        self._rest = samples[whole:]

    def _measure(self, m: Measurement) -> None:
        now_ns, e = time.monotonic_ns(), m.estimate
        if m.kind is not MeasurementKind.TIMELINE:
            person = self._people.setdefault(e.subject, Person(e.subject))
            person.seen_ns = now_ns
            if m.kind is MeasurementKind.FRAME:
                person.frame = e
            else:
                person.now = e
        elif e.modality is Modality.SPEECH:
            self._voice = now_ns, e
        elif e.modality is Modality.TEXT:
            self._words = now_ns, e

    def _note(self, text: str) -> None:
        self._notes.append((time.monotonic_ns(), text))


def _told_apart(people: Mapping[Subject, Person]) -> Iterator[Person]:
    """Yield everybody in order, but no voice that has been given to a face meanwhile."""
    blends = [p.now.fusion for s, p in people.items() if s.kind is SubjectKind.FACE and p.now]
    given = any(tells_of_speaker(m) for blend in blends if blend for m in blend.probabilities)
    for subject in sorted(people):
        if subject.kind is SubjectKind.FACE or not given:
            yield people[subject]


def _memory(subject: Subject) -> int:
    return FACE_NS if subject.kind is SubjectKind.FACE else VOICE_NS


def _recent(known: tuple[int, Estimate] | None, now_ns: int) -> Estimate | None:
    return known[1] if known is not None and now_ns - known[0] <= VOICE_NS else None


@dataclass(frozen=True, slots=True)
class Status:
    """The small print: what the window says about itself.

    Args:
        latency_ms: modality → median time from evidence to result.
        age_ms: how old the picture on the screen was when it was shown.
        dropped: pictures that were not analyzed.
        fps: pictures shown a second.
        recording_seconds: length of the recording so far; None: there is none.
        talking: share of the two seconds of push-to-talk that are over; None: not talking.
        paused: whether everything stands still.
        push_to_talk: whether sound is analyzed on demand only.
        sound: whether there is a microphone.
    """

    latency_ms: Mapping[str, float] = field(default_factory=dict)
    age_ms: float = 0.0
    dropped: int = 0
    fps: float = 0.0
    recording_seconds: float | None = None
    talking: float | None = None
    paused: bool = False
    push_to_talk: bool = False
    sound: bool = True
