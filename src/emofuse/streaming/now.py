"""What is said of everybody at this moment, for a display."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..core.estimates import SPEAKER, Estimate, Modality, Subject
from ..core.modality import modalities
from ..core.protocols import Fuser, Slot
from ..core.time import Span, to_ns
from ..engine.align import sole_face, tells_of_speaker
from ..engine.pipeline import Chain
from ..engine.smooth import ExponentialSmoother
from ..fusion.rejection import Rejection
from .config import LiveConfig


@dataclass(slots=True)
class Now:
    """Fuses the latest evidence about everybody, for a display.

    A voice belongs to the face that is alone, or to the one among several that the
    timeline gave the voice to last.

    Args:
        fuser: joins a person's modalities.
        config: how long evidence counts.
        abstain: marks what is uncertain.
    """

    fuser: Fuser
    config: LiveConfig
    abstain: Rejection
    _latest: dict[tuple[Subject, Modality], tuple[int, Estimate]] = field(default_factory=dict)
    _ends: dict[Subject, int] = field(default_factory=dict)
    _speaker: tuple[int, Subject] | None = None
    _stages: Chain = field(init=False)

    def __post_init__(self) -> None:
        smoother = ExponentialSmoother(to_ns(self.config.smoothing_seconds))
        self._stages = Chain(smoother, self.abstain)

    def learn(self, e: Estimate) -> None:
        """Take an estimate of the timeline: it may tell who speaks."""
        if e.modality is Modality.FUSED and e.attribution is not None:
            self._speaker = time.monotonic_ns(), e.subject

    def feed(self, e: Estimate) -> Iterator[Estimate]:
        """Take one modality's estimate; yield what it changes."""
        now_ns = time.monotonic_ns()
        self._latest[e.subject, e.modality] = now_ns, e
        self._forget(now_ns)
        faces = {subject for subject, modality in self._latest if modality is Modality.FACE}
        speaker = self._owner_of_voice(faces, now_ns)
        owner = speaker if tells_of_speaker(e.modality) else e.subject
        if tells_of_speaker(e.modality) and owner in faces:
            return  # it shows with the next picture of that face
        end_ns = max(e.span.end_ns, self._ends.get(owner, 0))
        self._ends[owner] = end_ns
        evidence = {
            modality: latest
            for (subject, modality), (_, latest) in self._latest.items()
            if (speaker if tells_of_speaker(modality) else subject) == owner
        }
        fused = self.fuser.fuse(Slot(owner, Span(e.span.start_ns, end_ns), evidence))
        if fused is not None:
            for now in self._stages.feed(fused):
                yield replace(now, embedding=None)

    def _owner_of_voice(self, faces: set[Subject], now_ns: int) -> Subject:
        if len(faces) > 1 and self._speaker is not None:
            known_ns, subject = self._speaker
            if subject in faces and now_ns - known_ns <= to_ns(self.config.voice_seconds):
                return subject
        return sole_face(faces)

    def _forget(self, now_ns: int) -> None:
        seen, heard = to_ns(self.config.face_seconds), to_ns(self.config.voice_seconds)
        memory = {m: heard if tells_of_speaker(m) else seen for m in modalities()}
        self._latest = {
            key: (known_ns, e)
            for key, (known_ns, e) in self._latest.items()
            if now_ns - known_ns <= memory[key[1]]
        }
        if len(self._ends) > 64:  # people come and go
            alive = {subject for subject, _ in self._latest} | {SPEAKER}
            self._ends = {s: end for s, end in self._ends.items() if s in alive}
