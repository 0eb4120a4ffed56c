"""Stretches of one label for formats that hold intervals: ELAN, Praat, subtitles, RTTM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core.details import TextDetails
from ..core.estimates import Modality, Subject
from ..core.modality import modalities, name_of
from ..core.time import Span
from ..core.timeline import Timeline
from .summary import person_name, runs_of, summarise


@dataclass(frozen=True, slots=True)
class Tier:
    """A row of intervals.

    Args:
        subject: whom it is about.
        person: what people call them.
        name: of the tier, unique in a timeline, e.g. ``"Face 1 voice"``.
        kind: a modality's id, ``"fused"``, or ``"said"`` for what was said.
        intervals: what holds when, in order; they do not overlap.
    """

    subject: Subject
    person: str
    name: str
    kind: str
    intervals: tuple[tuple[Span, str], ...]


def tiers_of(timeline: Timeline) -> Iterator[Tier]:
    """Yield the tiers of each person: the result, what each modality said, and the words.

    Uncertain stretches of the result are called ``uncertain``.
    """
    names = {p.subject: p.name for p in summarise(timeline).people}
    for subject in timeline.subjects:
        person = names.get(subject) or person_name(subject, timeline.media.kind)
        for modality in (Modality.FUSED, *modalities()):
            estimates = timeline.of(modality, subject)
            if estimates:
                sure = [e for e in estimates if not e.uncertain]
                unsure = [e for e in estimates if e.uncertain]
                runs = [(run.span, run.label) for run in runs_of(sure)]
                runs += [(span, "uncertain") for span in _joined([e.span for e in unsure])]
                yield Tier(
                    subject,
                    person,
                    f"{person} {name_of(modality)}",
                    modality.value,
                    _without_overlaps(runs),
                )
        said = [
            (e.span, details.text)
            for e in timeline.of(Modality.TEXT, subject)
            if (details := e.find_details(TextDetails)) and details.text
        ]
        if said:
            yield Tier(subject, person, f"{person} said", "said", _without_overlaps(said))


def _joined(spans: list[Span]) -> Iterator[Span]:
    """Join spans that touch; they come by start."""
    held: Span | None = None
    for span in spans:
        if held is not None and span.start_ns <= held.end_ns:
            held = Span(held.start_ns, max(held.end_ns, span.end_ns))
        else:
            if held is not None:
                yield held
            held = span
    if held is not None:
        yield held


def _without_overlaps(intervals: list[tuple[Span, str]]) -> tuple[tuple[Span, str], ...]:
    """Order intervals and let each end where the next one starts; empty ones go."""
    ordered = sorted(intervals, key=lambda item: item[0])
    out = []
    for n, (span, label) in enumerate(ordered):
        end = span.end_ns
        if n + 1 < len(ordered):
            end = min(end, ordered[n + 1][0].start_ns)
        if end > span.start_ns:
            out.append((Span(span.start_ns, end), label))
    return tuple(out)
