"""What is said of everybody at this moment, for a display."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..core.estimates import SPEAKER, Estimate, Modality, Subject
from ..core.protocols import Fuser, Slot
from ..core.time import Span, to_ns
from ..engine.align import VOICE, sole_face
from ..engine.smooth import ExponentialSmoother
from .config import LiveConfig


@dataclass(slots=True)
class Now:
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
