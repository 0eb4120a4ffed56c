"""From what passes through an analysis to the mood of the group, moment by moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ..core.details import GroupDetails
from ..core.estimates import (
    Estimate,
    Modality,
    Probabilities,
    Rejected,
    RejectionReason,
    Subject,
    SubjectKind,
)
from ..core.media import Diagnostic, Frame, MediaInfo, MediaKind, Packet, Watermark
from ..core.time import Span, to_ns
from ..engine.align import pool
from ..errors import ModelError
from ..face.track import CUT, layout, layout_change
from ..models.store import Store
from .config import GroupConfig
from .keyframes import difference, shrunk
from .mood import MOODS, Evidence, MoodRecogniser
from .recogniser import GroupRecogniser
from .window import ClipWindow

GROUP = Subject(SubjectKind.GROUP)
"""Everybody in the picture."""


class MoodEstimator(Protocol):
    """Says what a group's mood is in one moment.

    Attributes:
        model_id: the model that is asked.
        seconds: length of a moment, unless another is wanted.
        longest: seconds of the longest moment.
    """

    model_id: str
    seconds: float
    longest: float

    def see(self, packet: Packet) -> None:
        """Take note of a packet of the medium."""
        ...

    def estimate(self, evidence: Evidence) -> Probabilities | None:
        """Return the mood of a moment, which follows the last one; None: nothing to go by."""
        ...


class AggregatedMood:
    """Asks the default model, which goes by what the models of faces and voices say."""

    seconds, longest = 1.0, 60.0

    def __init__(self, recogniser: MoodRecogniser) -> None:
        self._recogniser, self.model_id = recogniser, recogniser.model_id

    def see(self, packet: Packet) -> None:
        """Nothing of the media themselves is needed."""

    def estimate(self, evidence: Evidence) -> Probabilities | None:
        """Return the mood; None where there is neither a readable face nor a voice."""
        row = self._recogniser.prepare(evidence)
        if len(row) == 1 and not row[0, 2]:
            return None
        return self._recogniser.infer([row])[0].probabilities


class StreamMood:
    """Asks a model of four streams, which looks and listens for itself."""

    seconds, longest = 5.0, 10.0  # its frames are held meanwhile; clips to learn from last 5 s

    def __init__(self, recogniser: GroupRecogniser, store: Store) -> None:
        self._recogniser, self.model_id = recogniser, recogniser.model_id
        self._window = ClipWindow(recogniser.preparation, store)
        self._last: deque[Probabilities] = deque(maxlen=recogniser.history)

    def see(self, packet: Packet) -> None:
        """Keep what the streams look at and listen to."""
        self._window.add(packet)

    def estimate(self, evidence: Evidence) -> Probabilities | None:
        """Return the mood; None where there is nothing to see or hear."""
        clip = self._window.clip(evidence.span)
        if not set(clip.streams) & set(self._recogniser.preparation.streams):
            return None
        now = self._recogniser.infer([self._recogniser.prepare(clip)])[0].probabilities
        self._last.append(now)
        return Probabilities(now.taxonomy, np.mean([p.values for p in self._last], axis=0))


def make_mood_estimator(recogniser: Any, store: Store) -> MoodEstimator:
    """Make the estimator for a model.

    Raises:
        ModelError: if it is no model of groups.
    """
    if isinstance(recogniser, MoodRecogniser):
        return AggregatedMood(recogniser)
    if isinstance(recogniser, GroupRecogniser):
        return StreamMood(recogniser, store)
    raise ModelError(
        f"the model {recogniser.model_id!r} is no model of groups; expected group-v1, or one that "
        "`emofuse train group` made"
    )


class GroupStage:
    """Watches an analysis and tells the mood of the group, moment by moment.

    Packets go to `see` before what the analysis makes of them comes to `feed`. A moment is told
    when all that is known of it has come; nothing is held that is older.

    Args:
        config: how.
        estimator: says what the mood is.
        info: of the medium.
    """

    def __init__(self, config: GroupConfig, estimator: MoodEstimator, info: MediaInfo) -> None:
        self._config, self._estimator = config, estimator
        self._photo = info.kind is MediaKind.IMAGE
        self._length_ns = to_ns(config.seconds or estimator.seconds)
        self._longest_ns = to_ns(estimator.longest)
        self._start_ns = self._end_ns = 0  # of the next moment; of the frames so far
        self._cuts: list[int] = []  # times of those that lie ahead
        self._scene = 1
        self._before: tuple[Any, Any] | None = None
        self._moved: list[tuple[int, float]] = []
        self._known: list[Estimate] = []

    def see(self, packet: Packet) -> None:
        """Take note of a packet of the medium."""
        self._estimator.see(packet)
        if not isinstance(packet, Frame):
            return
        now, before = (layout(packet.image), shrunk(packet.image)), self._before
        self._before, self._end_ns = now, max(self._end_ns, packet.at.end_ns)
        if before is None:
            return
        if layout_change(before[0], now[0]) > CUT:
            self._cuts.append(packet.at.start_ns)
        else:  # what differs by a cut did not move
            self._moved.append((packet.at.start_ns, difference(before[1], now[1])))

    def feed(self, item: Frame | Estimate | Watermark | Diagnostic) -> Iterator[Estimate]:
        """Take what the analysis yields; yield the group's estimates that are due."""
        if isinstance(item, Estimate):
            if item.modality in (Modality.FACE, Modality.SPEECH):
                self._known.append(item)
        elif isinstance(item, Watermark) and item.track is Modality.FUSED and not self._photo:
            while (end_ns := self._next_end()) <= min(item.upto_ns, self._end_ns):
                yield self._tell(Span(self._start_ns, end_ns))

    def flush(self) -> Iterator[Estimate]:
        """Yield the rest, as if the medium ended here."""
        last_ns = max([self._end_ns, *(e.span.end_ns for e in self._known)])
        while self._start_ns < last_ns:
            end_ns = last_ns if self._photo else min(self._next_end(), last_ns)
            yield self._tell(Span(self._start_ns, end_ns))

    def _next_end(self) -> int:
        if not self._config.scenes:
            return (self._start_ns // self._length_ns + 1) * self._length_ns
        latest_ns = self._start_ns + self._longest_ns
        return min([latest_ns, *(cut for cut in self._cuts if cut > self._start_ns)])

    def _tell(self, span: Span) -> Estimate:
        """Estimate the mood of a moment, then forget the moment."""
        evidence = self._evidence(span)
        mood = self._estimator.estimate(evidence)
        read, faces = len(evidence.read), len(evidence.faces)
        dispersion = evidence.dispersion
        while self._cuts and self._cuts[0] <= span.start_ns:
            self._cuts.pop(0)
            self._scene += 1
        told = Estimate(
            subject=GROUP,
            span=span,
            probabilities=mood or Probabilities(MOODS, np.full(len(MOODS), 1 / len(MOODS))),
            modality=Modality.FUSED,
            quality=read / faces if faces else 0.0,
            model_id=self._estimator.model_id,
            details=GroupDetails(
                faces=faces,
                read=read,
                dispersion=None if dispersion is None else round(dispersion, 4),
                voice=bool(evidence.voices),
                scene=self._scene,
            ),
            uncertain=_doubt(mood, faces, read, self._config),
        )
        self._start_ns = span.end_ns
        self._known = [e for e in self._known if e.span.end_ns > span.end_ns]
        self._moved = [moved for moved in self._moved if moved[0] >= span.end_ns]
        return told

    def _evidence(self, span: Span) -> Evidence:
        by_face: dict[Subject, list[Estimate]] = {}
        voices = []
        for e in self._known:
            if not e.span.overlap_ns(span):
                continue
            if e.modality is Modality.FACE:
                by_face.setdefault(e.subject, []).append(e)
            else:
                voices.append(e)
        moved = [by for at, by in self._moved if span.start_ns <= at < span.end_ns]
        return Evidence(
            faces=[pool(some, span) for some in by_face.values()],
            voices=voices,
            span=span,
            motion=float(np.mean(moved)) if moved else 0.0,
        )


def _doubt(
    mood: Probabilities | None, faces: int, read: int, config: GroupConfig
) -> Rejected | None:
    """Say why a mood is uncertain; None if it is not."""
    if mood is None and not faces:
        return Rejected(RejectionReason.NO_FACE)
    if mood is None or (faces and read / faces < config.read):
        return Rejected(RejectionReason.FEW_FACES)
    if mood.confidence < config.confidence:
        return Rejected(RejectionReason.LOW_CONFIDENCE)
    return None
