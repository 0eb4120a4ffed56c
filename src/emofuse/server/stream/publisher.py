"""The engine's events become messages to the client."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.estimates import Estimate, Modality
from ...core.identity import Heard, Identified
from ...core.media import Diagnostic, Watermark
from ...core.time import NS
from ..http.errors import ApiError
from ..metrics import Metrics
from .messages import Outbox, estimate_message

if TYPE_CHECKING:
    from ...streaming import Event


@dataclass(slots=True)
class StreamCounts:
    """What came in on a stream, and what became of it."""

    frames: int = 0
    analyzed: int = 0
    skipped: int = 0  # frames that a newer one replaced before they were decoded
    audio_ns: int = 0


@dataclass(frozen=True, slots=True)
class PushedFrame:
    """A frame that was pushed into the engine."""

    number: int
    time_ns: int
    end_ns: int
    arrived: float


class EventPublisher:
    """Queues messages about the engine's events and about invalid input.

    Args:
        outbox: takes the messages.
        metrics: counts analyzed frames.
        counts: keeps count of them.
    """

    def __init__(self, outbox: Outbox, metrics: Metrics, counts: StreamCounts) -> None:
        self._outbox, self._metrics, self._counts = outbox, metrics, counts
        self._pushed: deque[PushedFrame] = deque(maxlen=256)
        self._faces: dict[int, list[dict[str, Any]]] = {}  # by the end of their frame
        self.errors = 0

    def expect(self, frame: PushedFrame) -> None:
        """Note a frame that is being pushed, in order of time."""
        self._pushed.append(frame)

    def report(self, error: ApiError) -> None:
        """Tell the client what was wrong with a message."""
        self.errors += 1
        self._outbox.put({"type": "error", **error.body, "fatal": False})

    def take(self, event: Event) -> None:
        """Turn an event of the engine into messages; called on the event loop."""
        if isinstance(event, Diagnostic):
            at = None if event.at_ns is None else round(event.at_ns / NS, 3)
            self._outbox.put(
                {"type": "note", "code": event.code, "message": event.message, "time": at}
            )
        elif isinstance(event, Watermark):
            if event.track is Modality.FACE:
                self._publish_faces(event.upto_ns)
        elif isinstance(event, Identified):
            who = {"subject": str(event.subject), "person": str(event.person)}
            self._outbox.put({"type": "identity", **who})
        elif isinstance(event, Heard):
            self._outbox.put(
                {
                    "type": "voice",
                    "subject": str(event.subject),
                    "start": round(event.span.start, 3),
                    "end": round(event.span.end, 3),
                    "overlap": event.overlap,
                }
            )
        else:
            self._measured(event.kind.value, event.estimate, event.latency_ns)

    def _measured(self, kind: str, estimate: Estimate, latency_ns: int) -> None:
        message = estimate_message(estimate)
        if kind == "frame":
            self._faces.setdefault(estimate.span.end_ns, []).append(message)
        elif kind == "now":
            self._publish("provisional", [message], latency_ns / 1e6)
        elif estimate.modality is not Modality.FACE:  # those were published with their frames
            self._publish(estimate.modality.value, [message], latency_ns / 1e6)

    def _publish_faces(self, upto_ns: int) -> None:
        """Publish the frames that are done: each that shows faces, and the newest in any case."""
        newest: PushedFrame | None = None
        published_newest = False
        while self._pushed and self._pushed[0].end_ns <= upto_ns:
            newest = self._pushed.popleft()
            faces = self._faces.pop(newest.end_ns, None)
            published_newest = faces is not None
            if faces is not None:
                self._publish_frame(newest, faces)
        if newest is not None and not published_newest:
            self._publish_frame(newest, [])
        self._faces = {end: faces for end, faces in self._faces.items() if end > upto_ns}

    def _publish_frame(self, frame: PushedFrame, faces: list[dict[str, Any]]) -> None:
        seconds = time.perf_counter() - frame.arrived
        self._counts.analyzed += 1
        self._metrics.frames.labels("analyzed").inc()
        self._metrics.stream_latency.observe(seconds)
        where = {"number": frame.number, "time": round(frame.time_ns / NS, 6)}
        self._publish("face", faces, seconds * 1000, **where)

    def _publish(
        self, kind: str, estimates: list[dict[str, Any]], latency_ms: float, **more: Any
    ) -> None:
        message = {"type": "measurement", "kind": kind, **more}
        message["latency_ms"] = round(latency_ms, 1)
        self._outbox.put(message | {"estimates": estimates})
