"""What two people who turn out to be one say together: their slots, fused anew.

The analysis took them for two and fused the face of one and the voice of the other apart. When a
hand says that they are one, the evidence of each slot goes through the stages of the analysis
again: fusion, smoothing, rejection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config.loader import construct
from ..core.estimates import Estimate, Modality, Subject
from ..core.media import Watermark
from ..core.protocols import Slot
from ..core.time import Span, to_ns
from ..core.timeline import Provenance, Timeline
from ..engine.align import pool, tells_of_speaker
from ..engine.pipeline import Chain, Fuse
from ..engine.smooth import SmoothConfig, make_smoother
from ..errors import InputError

if TYPE_CHECKING:
    from ..models.store import Store

_SAME = 1e-3
"""Probabilities nearer than this are those that were found."""


class Fusion:
    """Fuses evidence as a timeline's analysis did.

    Args:
        timeline: as it was found; its provenance names models and settings.
        store: where their cards are; default: `Store()`.

    Raises:
        EmofuseError: if a model or a setting of it is not known here.
    """

    def __init__(self, timeline: Timeline, store: Store | None = None) -> None:
        from ..fusion.config import FusionConfig
        from ..fusion.factory import make_fuser
        from ..fusion.rejection import Rejection, RejectionConfig
        from ..models.store import Store

        provenance, store = timeline.provenance, store or Store()
        fusion = _settings(provenance, "fusion", FusionConfig)
        if fusion.learned:
            raise InputError(f"{fusion.strategy} needs what models made of the evidence")
        present = [m for m in provenance.models if m is not Modality.FUSED]
        models = {m: store.card(provenance.models[m]) for m in present}
        slot_ns = to_ns(provenance.settings.get("slot_seconds", 0.5))
        self._stages = Chain(
            Fuse(make_fuser(fusion, models=models, store=store)),
            make_smoother(_settings(provenance, "smoothing", SmoothConfig), slot_ns),
            Rejection(_settings(provenance, "rejection", RejectionConfig), present),
        )

    def __call__(self, slots: Iterable[Slot]) -> list[Estimate]:
        """Fuse one subject's slots, given in order of time."""
        self._stages.reset()
        out: list[Any] = []
        for slot in slots:
            out += self._stages.feed(slot)
            out += self._stages.feed(Watermark(Modality.FUSED, slot.span.end_ns))
        out += self._stages.flush()
        return [e for e in out if isinstance(e, Estimate)]


def _settings(provenance: Provenance, section: str, kind: type[Any]) -> Any:
    return construct(kind, provenance.settings.get(section, {}), section)


class Merging:
    """Fuses the slots of people who are merged.

    Args:
        timeline: as it was found.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._fusion: Fusion | None = None

    def fused(
        self, subject: Subject, first: Sequence[Estimate], second: Sequence[Estimate]
    ) -> list[Estimate]:
        """Return the fused estimates of somebody who was two people.

        What a hand labelled stays. Where both had evidence, or the past of a slot is another
        one now, the result is that of all evidence (`source: hand`); everything else stays as
        it was found. Nothing is returned where they never had a result in the same slot.

        Args:
            subject: who they are.
            first: the fused estimates of one.
            second: those of the other.

        Raises:
            EmofuseError: if this cannot be fused here, see `Fusion`.
        """
        if not {e.span for e in first} & {e.span for e in second}:
            return []
        if self._fusion is None:
            self._fusion = Fusion(self._timeline)
        held: dict[Span, list[Estimate]] = {}
        for e in (*first, *second):
            held.setdefault(e.span, []).append(e)
        evidence = self._evidence(subject, held)
        fused = self._fusion(Slot(subject, span, evidence[span]) for span in sorted(held))
        return [_chosen(e, held[e.span]) for e in fused]

    def _lanes(self) -> dict[Modality, _Lane]:
        rows: dict[Modality, list[Estimate]] = {}
        for e in self._timeline:  # in order of their starts
            if e.modality is not Modality.FUSED:
                rows.setdefault(e.modality, []).append(e)
        return {modality: _Lane(some) for modality, some in rows.items()}

    def _evidence(
        self, subject: Subject, held: Mapping[Span, Sequence[Estimate]]
    ) -> dict[Span, dict[Modality, Estimate]]:
        """Put together what the modalities said in each slot; of two voices the better one."""
        lanes = self._lanes()
        out: dict[Span, dict[Modality, Estimate]] = {}
        for span, some in held.items():
            slot = out.setdefault(span, {})
            for e in some:
                found = e.machine or e
                for modality, part in _parts(found, lanes):
                    if modality not in slot or part.quality > slot[modality].quality:
                        slot[modality] = replace(part, subject=subject)
        return out


class _Lane:
    """Estimates of one modality in order of their starts."""

    def __init__(self, rows: Sequence[Estimate]) -> None:
        self._rows = rows
        self._longest_ns = max(e.span.duration_ns for e in rows)

    def during(self, span: Span) -> list[Estimate]:
        """Return those that overlap a span."""
        first = bisect_left(self._rows, span.start_ns - self._longest_ns, key=_start)
        end = bisect_left(self._rows, span.end_ns, key=_start)
        return [e for e in self._rows[first:end] if e.span.overlap_ns(span)]


def _start(e: Estimate) -> int:
    return e.span.start_ns


def _parts(e: Estimate, lanes: Mapping[Modality, _Lane]) -> Iterator[tuple[Modality, Estimate]]:
    """Yield what each modality said in a fused estimate, with its quality and details."""
    for modality, probabilities in e.fusion.probabilities.items() if e.fusion else ():
        here = lanes[modality].during(e.span) if modality in lanes else []
        own = [x for x in here if x.subject == e.subject]
        if tells_of_speaker(modality):  # a voice may have been given to a face
            own = own or here
        if not own:
            raise InputError(f"the result holds no {modality.value} of {e.subject} at {e.span}")
        yield modality, replace(pool(own, e.span), probabilities=probabilities)


def _chosen(e: Estimate, held: Sequence[Estimate]) -> Estimate:
    """Say what a slot's result is: a hand's label, what was found, or what is fused anew."""
    hand = next((h for h in held if h.set_by_hand), None)
    if hand is not None:
        return hand.given_to(e.subject)
    best = max(held, key=lambda h: len(h.fusion.probabilities) if h.fusion else 0)
    same = np.abs(e.probabilities.values - best.probabilities.values).max() < _SAME
    if len(held) == 1 and same:
        return best if best.subject == e.subject else best.given_to(e.subject)
    return replace(e, machine=best.machine or best)
