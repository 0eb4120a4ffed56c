"""What is said: the engine's events become messages."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.estimates import Estimate, Modality
from ...core.media import Diagnostic, Watermark
from ...core.time import NS
from ..http.errors import ApiError
from ..metrics import Metrics
from .messages import Outbox, estimate_message

if TYPE_CHECKING:
    from ...streaming import Event


@dataclass(slots=True)
class MetricState:
    """What came, and what became of it."""

    pictures: int = 0
    analyzed: int = 0
    skipped: int = 0  # pictures that a newer one replaced before they were decoded
    sound_ns: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that was pushed."""

    number: int
    time_ns: int
    end_ns: int
    arrived: float


class EventPublisher:
    """Puts into an outbox what the engine says, and what is wrong with what came.

    Args:
        outbox: takes the messages.
        metrics: is told of analyzed pictures.
        tally: counts them.
    """

    def __init__(self, outbox: Outbox, metrics: Metrics, tally: MetricState) -> None:
        self._outbox, self._metrics, self._tally = outbox, metrics, tally
        self._shown: deque[Shown] = deque(maxlen=256)
        self._faces: dict[int, list[dict[str, Any]]] = {}  # by the end of their picture
        self.mistakes = 0

    def show(self, picture: Shown) -> None:
        """Note a picture that is being pushed, in order of time."""
        self._shown.append(picture)

    def complain(self, error: ApiError) -> None:
        """Say what is wrong with something that came."""
        self.mistakes += 1
        self._outbox.put({"type": "error", **error.body, "fatal": False})

    def take(self, event: Event) -> None:
        """Turn what the engine says into messages; on the event loop."""
        if isinstance(event, Diagnostic):
            at = None if event.at_ns is None else round(event.at_ns / NS, 3)
            self._outbox.put(
                {"type": "note", "code": event.code, "message": event.message, "time": at}
            )
        elif isinstance(event, Watermark):
            if event.track is Modality.FACE:
                self._tell_faces(event.upto_ns)
        else:
            self._measured(event.kind.value, event.estimate, event.latency_ns)

    def _measured(self, kind: str, estimate: Estimate, latency_ns: int) -> None:
        said = estimate_message(estimate)
        if kind == "frame":
            self._faces.setdefault(estimate.span.end_ns, []).append(said)
        elif kind == "now":
            self._tell("provisional", [said], latency_ns / 1e6)
        elif estimate.modality is not Modality.FACE:  # those were told with their pictures
            self._tell(estimate.modality.value, [said], latency_ns / 1e6)

    def _tell_faces(self, upto_ns: int) -> None:
        """Tell of the pictures that are settled: each with faces, and the newest in any case."""
        newest: Shown | None = None
        told_newest = False
        while self._shown and self._shown[0].end_ns <= upto_ns:
            newest = self._shown.popleft()
            faces = self._faces.pop(newest.end_ns, None)
            told_newest = faces is not None
            if faces is not None:
                self._tell_picture(newest, faces)
        if newest is not None and not told_newest:
            self._tell_picture(newest, [])
        self._faces = {end: faces for end, faces in self._faces.items() if end > upto_ns}

    def _tell_picture(self, shown: Shown, faces: list[dict[str, Any]]) -> None:
        seconds = time.perf_counter() - shown.arrived
        self._tally.analyzed += 1
        self._metrics.frames.labels("analyzed").inc()
        self._metrics.stream_latency.observe(seconds)
        where = {"number": shown.number, "time": round(shown.time_ns / NS, 6)}
        self._tell("face", faces, seconds * 1000, **where)

    def _tell(
        self, kind: str, estimates: list[dict[str, Any]], latency_ms: float, **more: Any
    ) -> None:
        message = {"type": "measurement", "kind": kind, **more}
        message["latency_ms"] = round(latency_ms, 1)
        self._outbox.put(message | {"estimates": estimates})
