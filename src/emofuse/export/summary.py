"""What a timeline says, in a few numbers and plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.estimates import Estimate, Modality, RejectionReason, Subject, SubjectKind
from ..core.media import Diagnostic, MediaKind
from ..core.time import NS, Span
from ..core.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of time with one label throughout; `confidence` is its mean over the stretch."""

    label: str
    span: Span
    confidence: float


@dataclass(frozen=True, slots=True)
class Person:
    """One subject in short.

    Args:
        subject: whom it is about.
        basis: the modality that the figures are taken from: fused where there is
            such a result.
        modalities: those that had a say.
        shares: label → part of the subject's time, largest first; they sum to 1.
        runs: consecutive equal labels as one, in order of time.
        confidence: mean probability of the top label, by time.
        quality: mean quality of the evidence, by time.
        present_ns: how long there was any evidence.
        coverage: `present_ns` as a part of the medium's length, in [0, 1].
        doubts: reason → part of the subject's time that is uncertain for it, largest
            first; empty if nothing is.
    """

    subject: Subject
    basis: Modality
    modalities: tuple[Modality, ...]
    shares: Mapping[str, float]
    runs: tuple[Run, ...]
    confidence: float
    quality: float
    present_ns: int
    coverage: float
    doubts: Mapping[RejectionReason, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The label with the largest share."""
        return next(iter(self.shares))

    @property
    def uncertain(self) -> float:
        """Part of the subject's time that is uncertain, in [0, 1]."""
        return sum(self.doubts.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """A timeline in short: its file, length, people (longest present first) and notes."""

    file: str
    kind: MediaKind
    duration_ns: int
    people: tuple[Person, ...]
    notes: tuple[Diagnostic, ...]


def summarise(timeline: Timeline) -> Summary:
    """Summarise a timeline per person.

    A subject whose evidence went into somebody else's fused result (a voice that
    belongs to a face) and who has no fused result of their own is left out.
    """
    by_subject: dict[Subject, list[Estimate]] = {}
    for e in timeline:
        by_subject.setdefault(e.subject, []).append(e)
    any_fused = any(e.modality is Modality.FUSED for e in timeline)
    people = [
        _person(subject, basis, estimates, timeline.duration_ns)
        for subject, all_estimates in by_subject.items()
        for basis, estimates in _basis(all_estimates, any_fused)
    ]
    people.sort(key=lambda p: (p.subject.kind is not SubjectKind.FACE, -p.present_ns, p.subject))
    return Summary(
        file=timeline.media.path or timeline.media.name,
        kind=timeline.media.kind,
        duration_ns=timeline.duration_ns,
        people=tuple(people),
        notes=timeline.notes,
    )


def person_name(subject: Subject, kind: MediaKind = MediaKind.VIDEO) -> str:
    """Name a subject for people: ``Face 2``, ``Voice``; who speaks in a text is its ``Text``."""
    if subject.kind is SubjectKind.FACE:
        return f"Face {subject.number}"
    if subject.kind is SubjectKind.GROUP:
        return "Everybody"
    if kind is MediaKind.TEXT:
        return "Text"
    return "Voice" if subject.number == 1 else f"Voice {subject.number}"


def runs_of(estimates: Iterable[Estimate]) -> tuple[Run, ...]:
    """Merge estimates of one subject and modality that touch and share their label."""
    runs: list[Run] = []
    for e in estimates:
        last = runs[-1] if runs else None
        if last and last.label == e.label and e.span.start_ns <= last.span.end_ns:
            old, new = max(last.span.duration_ns, 1), max(e.span.duration_ns, 1)
            span = Span(last.span.start_ns, max(last.span.end_ns, e.span.end_ns))
            confidence = (last.confidence * old + e.confidence * new) / (old + new)
            runs[-1] = Run(e.label, span, confidence)
        else:
            runs.append(Run(e.label, e.span, e.confidence))
    return tuple(runs)


def describe(person: Person, *, timed: bool = True, most: int = 4) -> str:
    """Say in plain words what a person expressed, e.g. ``mostly neutral (62 %), happy 0:04–0:09``.

    Args:
        person: from `summarise`.
        timed: False for what has no time (a picture).
        most: at most so many moments other than the main label are named: the longest.
    """
    share = round(100 * person.shares[person.label])
    if not timed:
        return f"{person.label} ({round(100 * person.confidence)} % sure)"
    main = (
        f"{person.label} throughout"
        if share == 100
        else f"{_mostly(share)} {person.label} ({share} %)"
    )
    others = _bridged(r for r in person.runs if r.label != person.label)
    others = sorted(sorted(others, key=_weight, reverse=True)[:most], key=lambda r: r.span)
    moments = [f"{r.label} {short_span(r.span)}" for r in others]
    return ", ".join([main, *moments])


def describe_doubt(person: Person) -> str:
    """Say how much is uncertain and why, e.g. ``12 % uncertain: mostly face too small``; or ""."""
    if not person.doubts:
        return ""
    reason, most = next(iter(person.doubts.items()))
    named = reason.value.replace("-", " ")
    if len(person.doubts) > 1:
        named = f"mostly {named}" if most > person.uncertain / 2 else f"{named} and other reasons"
    return f"{max(1, round(100 * person.uncertain))} % uncertain: {named}"


def short_clock(time_ns: int) -> str:
    """Write a time as ``m:ss`` or ``h:mm:ss``, to the nearest second."""
    minutes, seconds = divmod(round(time_ns / NS), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def short_span(span: Span) -> str:
    """Write a span as ``0:04–0:09``; one time if both ends round to the same second."""
    start, end = short_clock(span.start_ns), short_clock(span.end_ns)
    return start if start == end else f"{start}–{end}"


def _basis(estimates: Sequence[Estimate], any_fused: bool) -> list[tuple[Modality, list[Estimate]]]:
    """Pick the estimates that speak for a subject: fused, else the first modality there is."""
    present = {e.modality for e in estimates}
    order = (Modality.FUSED,) if any_fused else tuple(m for m in Modality if m in present)
    basis = next((m for m in order if m in present), None)
    return [] if basis is None else [(basis, [e for e in estimates if e.modality is basis])]


def _person(
    subject: Subject, basis: Modality, estimates: Sequence[Estimate], duration_ns: int
) -> Person:
    # A still picture has no length: then every estimate counts alike.
    weights = [e.span.duration_ns for e in estimates]
    if not any(weights):
        weights = [1] * len(weights)
    total = sum(weights)
    shares: dict[str, float] = {}
    for e, weight in zip(estimates, weights, strict=True):
        shares[e.label] = shares.get(e.label, 0.0) + weight / total
    doubts: dict[RejectionReason, float] = {}
    for e, weight in zip(estimates, weights, strict=True):
        if e.uncertain:
            reason = e.uncertain.reason
            doubts[reason] = doubts.get(reason, 0.0) + weight / total
    parts = {
        m for e in estimates for m in (e.fusion.modality_weights if e.fusion else (e.modality,))
    }
    present_ns = _covered_ns(e.span for e in estimates)
    return Person(
        subject=subject,
        basis=basis,
        modalities=tuple(m for m in Modality if m in parts),
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
        runs=runs_of(estimates),
        confidence=sum(e.confidence * w for e, w in zip(estimates, weights, strict=True)) / total,
        quality=sum(e.quality * w for e, w in zip(estimates, weights, strict=True)) / total,
        present_ns=present_ns,
        coverage=min(1.0, present_ns / duration_ns) if duration_ns else 1.0,
        doubts=dict(sorted(doubts.items(), key=lambda item: -item[1])),
    )


def _covered_ns(spans: Iterable[Span]) -> int:
    """Length of the union of spans that come ordered by start."""
    covered = upto = 0
    for span in spans:
        covered += max(0, span.end_ns - max(span.start_ns, upto))
        upto = max(upto, span.end_ns)
    return covered


def _bridged(runs: Iterable[Run]) -> list[Run]:
    """LabelAlignment runs of one label that are at most a second apart: to a reader, one moment."""
    out: list[Run] = []
    latest: dict[str, int] = {}  # label → index of its last run in `out`
    for run in runs:
        i = latest.get(run.label)
        if i is not None and run.span.start_ns - out[i].span.end_ns <= NS:
            out[i] = Run(run.label, Span(out[i].span.start_ns, run.span.end_ns), run.confidence)
        else:
            latest[run.label] = len(out)
            out.append(run)
    return out


def _mostly(share: int) -> str:
    return "mostly" if share >= 50 else "most often"


def _weight(run: Run) -> float:
    return run.span.duration_ns * run.confidence
