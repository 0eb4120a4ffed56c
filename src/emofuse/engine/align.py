"""Alignment: estimates of all modalities, at their own pace, into slots of equal length."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.details import Details, FaceDetails
from ..core.estimates import (
    SPEAKER,
    Affect,
    Estimate,
    Modality,
    Probabilities,
    Subject,
    SubjectKind,
)
from ..core.media import Watermark
from ..core.protocols import Slot
from ..core.time import Span


def pool(estimates: Sequence[Estimate], span: Span) -> Estimate:
    """Summarise one modality's estimates of one subject over a span.

    Probabilities, affect and embeddings are averaged, weighted by overlap with the span ×
    quality; quality by overlap. Details are those of the best single piece of evidence,
    but for the mouth's motion, of which the mean is kept.
    """
    if len(estimates) == 1:
        return replace(estimates[0], span=span)
    overlap = np.array([e.span.overlap_ns(span) for e in estimates], dtype=np.float64)
    quality = np.array([e.quality for e in estimates])
    weights = overlap * quality
    if not weights.any():
        weights = overlap
    share = weights / weights.sum()
    p = np.stack([e.probabilities.values for e in estimates])
    best = estimates[int(weights.argmax())]
    return replace(
        best,
        span=span,
        probabilities=Probabilities(best.probabilities.taxonomy, share @ p),
        quality=min(1.0, float(overlap @ quality / overlap.sum())),
        affect=Affect.mean([e.affect for e in estimates], share.tolist()),
        embedding=_mean_embedding(estimates, share),
        details=_pooled_details(estimates, best),
    )


def _pooled_details(estimates: Sequence[Estimate], best: Estimate) -> Details | None:
    if not isinstance(best.details, FaceDetails):
        return best.details
    faces = (e.details for e in estimates if isinstance(e.details, FaceDetails))
    motion = [face.mouth for face in faces if face.mouth is not None]
    return replace(best.details, mouth=sum(motion) / len(motion)) if motion else best.details


def _mean_embedding(
    estimates: Sequence[Estimate], share: NDArray[np.float64]
) -> NDArray[np.float32] | None:
    embeddings = [e.embedding for e in estimates if e.embedding is not None]
    if len(embeddings) < len(estimates):
        return None
    mean: NDArray[np.float32] = (share @ np.stack(embeddings)).astype(np.float32)
    return mean


def tells_of_speaker(modality: Modality) -> bool:
    """Whether a modality tells of a speaker rather than of a face."""
    return modality.spec.subject is SubjectKind.SPEAKER


def sole_face(faces: Collection[Subject]) -> Subject:
    """Say to whom a voice belongs: the face, if exactly one is seen, else an unknown speaker."""
    return next(iter(faces)) if len(faces) == 1 else SPEAKER


class Aligner:
    """Collects estimates and yields a `Slot` per subject and hop once all modalities got there.

    Slots lie at multiples of `hop_ns`. A slot is emitted as soon as every
    modality's progress has passed its end; the last one is clipped to the end of
    the stream. Estimates finer than a slot (`pooled`) come out as one per slot,
    the others as they came in, before the slots that hold them. Voices stay with the
    unknown speaker here; see `engine.active_speaker`.

    Args:
        hop_ns: length of a slot.
        modalities: those to wait for.
        pooled: those whose estimates are finer than a slot; default: as the table of
            modalities says.
    """

    def __init__(
        self,
        hop_ns: int,
        modalities: Collection[Modality],
        pooled: Collection[Modality] | None = None,
    ) -> None:
        if hop_ns <= 0:
            raise ValueError(f"a slot needs a positive length, got {hop_ns} ns")
        self._hop_ns = hop_ns
        self._modalities = tuple(modalities)
        some = pooled if pooled is not None else (m for m in modalities if m.spec.pooled)
        self._pooled = frozenset(some)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._pending: list[Estimate] = []
        self._progress = dict.fromkeys(self._modalities, 0)
        self._next = 0  # number of the first slot not yet emitted

    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Slot | Watermark]:
        """Take an estimate, or progress of one modality; yield the slots that are complete."""
        if isinstance(item, Estimate):
            self._pending.append(item)
            if item.modality not in self._pooled:
                yield item
        elif isinstance(item.track, Modality) and item.track in self._progress:
            known = self._progress[item.track]
            self._progress[item.track] = max(known, item.upto_ns)
            yield from self._emit_until(min(self._progress.values()))

    def flush(self) -> Iterator[Estimate | Slot | Watermark]:
        """Yield the remaining slots, the last one clipped to the end of the stream."""
        end = max([*self._progress.values(), *(e.span.end_ns for e in self._pending)], default=0)
        yield from self._emit_until(end)
        if self._next * self._hop_ns < end:
            yield from self._emit(Span(self._next * self._hop_ns, end))
            yield Watermark(Modality.FUSED, end)

    def _emit_until(self, upto_ns: int) -> Iterator[Estimate | Slot | Watermark]:
        ready = upto_ns // self._hop_ns
        if ready <= self._next:
            return
        while self._next < ready and self._pending:
            start = self._next * self._hop_ns
            yield from self._emit(Span(start, start + self._hop_ns))
            self._next += 1
        self._next = ready  # nothing pending: the empty stretch needs no visit
        yield Watermark(Modality.FUSED, ready * self._hop_ns)

    def _emit(self, span: Span) -> Iterator[Estimate | Slot]:
        here = [e for e in self._pending if e.span.overlap_ns(span)]
        self._pending = [e for e in self._pending if e.span.end_ns > span.end_ns]
        groups: dict[tuple[Subject, Modality], list[Estimate]] = {}
        for e in here:
            groups.setdefault((e.subject, e.modality), []).append(e)
        evidence = {key: pool(group, span) for key, group in groups.items()}
        for (_, modality), estimate in evidence.items():
            if modality in self._pooled:
                yield estimate
        yield from _slots(span, evidence)


def _slots(span: Span, evidence: dict[tuple[Subject, Modality], Estimate]) -> Iterator[Slot]:
    """Gather each subject's evidence."""
    by_subject: dict[Subject, dict[Modality, Estimate]] = {}
    for (subject, modality), estimate in evidence.items():
        by_subject.setdefault(subject, {})[modality] = estimate
    for subject in sorted(by_subject):
        yield Slot(subject, span, by_subject[subject])
