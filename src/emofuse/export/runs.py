"""Stretches of one label for formats that hold intervals: ELAN, Praat, subtitles, RTTM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..core.details import TextDetails
from ..core.estimates import Estimate, Modality, Subject
from ..core.modality import modalities, name_of
from ..core.time import NS, Span
from ..core.timeline import Remark, RemarkKind, Timeline
from .summary import person_name, runs_of, summarise

_MARK_NS = NS // 10
"""Length of a mark, which has none, where only intervals can be written."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A row of intervals.

    Args:
        subject: whom it is about; None: everybody.
        person: what people call them.
        name: of the tier, unique in a timeline, e.g. ``"Face 1 voice"``.
        kind: a modality's id, ``"fused"``, ``"said"`` for what was said, ``"overlap"``, or a
            `RemarkKind`.
        intervals: what holds when, in order; they do not overlap.
    """

    subject: Subject | None
    person: str
    name: str
    kind: str
    intervals: tuple[tuple[Span, str], ...]


def tiers_of(timeline: Timeline) -> Iterator[Tier]:
    """Yield the tiers of each person: the result, what each modality said, and the words.

    Uncertain stretches of the result are called ``uncertain``. Where two people may speak at once,
    and what was put down by hand follows, a tier each for marks, notes and what was left out.
    """
    names = names_of(timeline)
    lanes: dict[tuple[Subject, Modality], list[Estimate]] = {}
    for e in timeline:
        lanes.setdefault((e.subject, e.modality), []).append(e)
    for subject in timeline.subjects:
        person = names[subject]
        for modality in (Modality.FUSED, *modalities()):
            estimates = lanes.get((subject, modality))
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
            for e in lanes.get((subject, Modality.TEXT), ())
            if (details := e.find_details(TextDetails)) and details.text
        ]
        if said:
            yield Tier(subject, person, f"{person} said", "said", _without_overlaps(said))

    overlaps = timeline.people.overlaps if timeline.people is not None else ()
    if overlaps:
        spans = tuple((o.span, "possible overlap") for o in overlaps)
        yield Tier(None, "", "Possible overlaps", "overlap", spans)
    yield from _remark_tiers(timeline, names)


def names_of(timeline: Timeline) -> dict[Subject, str]:
    """Return what people call each subject; of several of one name all are told apart."""
    told = {p.subject: p.name for p in summarise(timeline).people}
    names = {
        s: timeline.names.get(s) or told.get(s) or person_name(s, timeline.media.kind)
        for s in timeline.subjects
    }
    count = Counter(names.values())
    return {s: name if count[name] == 1 else f"{name} ({s})" for s, name in names.items()}


def _remark_tiers(timeline: Timeline, names: Mapping[Subject, str]) -> Iterator[Tier]:
    titles = {
        RemarkKind.MARK: "Marks",
        RemarkKind.NOTE: "Notes",
        RemarkKind.EXCLUDED: "Left out",
    }
    for kind, title in titles.items():
        found = [
            (Span(r.span.start_ns, max(r.span.end_ns, r.span.start_ns + _MARK_NS)), _said(r, names))
            for r in timeline.remarks
            if r.kind is kind
        ]
        if found:
            yield Tier(None, "", title, kind.value, _without_overlaps(found))


def _said(remark: Remark, names: Mapping[Subject, str]) -> str:
    who = "" if remark.subject is None else names.get(remark.subject, str(remark.subject))
    return ": ".join(part for part in (who, remark.text) if part) or remark.kind.value


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
