"""What a timeline says, in a few numbers and plain words. Pure.

The terminal, the pages and the server all say what this says: nothing of it is
computed a second time elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..core.details import GroupDetails, TextDetails
from ..core.estimates import (
    SOMEBODY,
    Affect,
    Estimate,
    Modality,
    RejectionReason,
    Subject,
    SubjectKind,
)
from ..core.media import Diagnostic, MediaKind
from ..core.modality import modalities, name_of
from ..core.time import NS, Span, clock
from ..core.timeline import Timeline
from ..errors import InputError

UNCERTAIN = "uncertain"

_Key = TypeVar("_Key")

HIGHLIGHTS = 6
"""Most expressive moments of a group that are shown."""

_PLACE = {
    SubjectKind.GROUP: 0,
    SubjectKind.PERSON: 1,
    SubjectKind.FACE: 2,
    SubjectKind.SPEAKER: 3,
    SubjectKind.VOICE: 4,
}

_FIRST = 8
"""People whom everybody shows at once: the longest present."""


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
        shares: label → part of the subject's time for which it is the result, largest
            first. Uncertain time is nobody's: with `uncertain` they sum to 1.
        runs: consecutive equal labels as one, in order of time; uncertain time is left out.
        confidence: mean probability of the machine's top label, by time.
        quality: mean quality of the evidence, by time.
        present_ns: how long there was any evidence.
        coverage: `present_ns` as a part of the medium's length, in [0, 1].
        doubts: reason → part of the subject's time that is uncertain for it, largest
            first; empty if nothing is.
        best: the most frequent best guess, uncertain or not.
        affect: mean valence and arousal, by time, if a model tells them.
        name: what a transcript, or by hand somebody, calls them; else empty.
        by_hand: part of the subject's time whose label was set by hand, in [0, 1].
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
    best: str = ""
    affect: Affect | None = None
    name: str = ""
    by_hand: float = 0.0

    @property
    def label(self) -> str:
        """The label with the largest share; ``uncertain`` if there is none."""
        return next(iter(self.shares), UNCERTAIN)

    @property
    def uncertain(self) -> float:
        """Part of the subject's time that is uncertain, in [0, 1]."""
        return sum(self.doubts.values())


@dataclass(frozen=True, slots=True)
class Mood:
    """What is told of a group beside the shares of its moods.

    Args:
        faces: how many were found, by time.
        read: which share of them could be read, in [0, 1].
        dispersion: how far people differed, by time, in [0, 1]; None if there never were two.
        highlights: its most expressive moments, in order of time: short, sure and not neutral.
    """

    faces: float
    read: float
    dispersion: float | None
    highlights: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A timeline in short.

    Args:
        file: path or name of the medium.
        kind: what it is.
        duration_ns: its length.
        people: longest present first, voices last.
        notes: as in the timeline.
        facts: what is known of the medium, e.g. ``picture 640 × 480``.
        mood: of the group, if it was asked for.
        faceless: part of the picture's time in which no face was found, in [0, 1]; None
            without a picture, or where faces were not looked for.
    """

    file: str
    kind: MediaKind
    duration_ns: int
    people: tuple[Person, ...]
    notes: tuple[Diagnostic, ...]
    facts: tuple[str, ...] = ()
    mood: Mood | None = None
    faceless: float | None = None

    @property
    def timed(self) -> bool:
        """Whether there is a length that shares of time can be taken of."""
        return self.duration_ns > 0 and self.kind is not MediaKind.IMAGE

    @property
    def shown(self) -> tuple[Person, ...]:
        """The people in the order to show them: the group, eight by number, then the others."""
        first = sorted(self.people[:_FIRST], key=lambda p: (not _is_group(p.subject), p.subject))
        return (*first, *self.people[_FIRST:])


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
        _person(subject, basis, estimates, timeline)
        for subject, all_estimates in by_subject.items()
        for basis, estimates in _basis(all_estimates, any_fused)
    ]
    people.sort(key=lambda p: (_PLACE[p.subject.kind], -p.present_ns, p.subject))
    summary = Summary(
        file=timeline.media.path or timeline.media.name,
        kind=timeline.media.kind,
        duration_ns=timeline.duration_ns,
        people=tuple(people),
        notes=timeline.notes,
        mood=_mood([e for e in timeline if _is_group(e.subject)]),
        faceless=_faceless(timeline),
    )
    return replace(summary, facts=tuple(_facts(timeline, summary)))


def to_mapping(summary: Summary) -> dict[str, Any]:
    """Return a summary as plain types, as the result files and the pages hold it."""
    return {
        "facts": list(summary.facts),
        "modalities": {m.value: name_of(m) for m in modalities()},
        "group": summary.mood and _mood_mapping(summary.mood),
        "people": [_person_mapping(p, summary) for p in summary.shown],
    }


def _person_mapping(p: Person, summary: Summary) -> dict[str, Any]:
    return {
        "subject": str(p.subject),
        "name": p.name or person_name(p.subject, summary.kind),
        "says": describe(p, timed=summary.timed),
        "facts": list(describe_evidence(p, summary)),
        "label": p.label,
        "shares": {label: round(share, 4) for label, share in p.shares.items()},
        "uncertain": round(p.uncertain, 4),
        "by_hand": round(p.by_hand, 4),
        "reasons": {reason.value: round(part, 4) for reason, part in p.doubts.items()},
        "confidence": round(p.confidence, 4),
        "quality": round(p.quality, 4),
        **_affect_mapping(p.affect),
        "present": round(p.present_ns / NS, 3),
        "coverage": round(p.coverage, 4),
        "modalities": [m.value for m in p.modalities],
        "moments": [_run_mapping(run) for run in p.runs],
    }


def _mood_mapping(mood: Mood) -> dict[str, Any]:
    return {
        "faces": round(mood.faces, 2),
        "read": round(mood.read, 4),
        "dispersion": None if mood.dispersion is None else round(mood.dispersion, 4),
        "highlights": [_run_mapping(run) for run in mood.highlights],
    }


def _run_mapping(run: Run) -> dict[str, Any]:
    return {
        "label": run.label,
        "start": run.span.start,
        "end": run.span.end,
        "confidence": round(run.confidence, 4),
    }


def _affect_mapping(affect: Affect | None) -> dict[str, Any]:
    if affect is None:
        return {}
    rounded = {"valence": round(affect.valence, 4), "arousal": round(affect.arousal, 4)}
    return {"affect": rounded}


def person_name(subject: Subject, kind: MediaKind = MediaKind.VIDEO) -> str:
    """Name a subject for people: ``Person 1``, ``Face 2`` (whose it is nobody can say), ``Voice``.

    Who speaks in a text is its ``Text``.
    """
    if subject.kind is SubjectKind.PERSON:
        return f"Person {subject.number}"
    if subject.kind is SubjectKind.FACE:
        return f"Face {subject.number}"
    if subject.kind is SubjectKind.GROUP:
        return "Group"
    if kind is MediaKind.TEXT:
        return "Text"
    if subject == SOMEBODY:
        return "Unknown voice"
    return "Voice" if subject.number == 1 else f"Voice {subject.number}"


def people_by_name(summary: Summary) -> tuple[Person, ...]:
    """Return everybody in the order to show them, each with a name for people."""
    return tuple(
        replace(p, name=p.name or person_name(p.subject, summary.kind)) for p in summary.shown
    )


def find_subjects(timeline: Timeline, who: str) -> tuple[Subject, ...]:
    """Return whom an id (``"face-1"``) or a name for people (``"Face 1"``) means.

    Raises:
        InputError: if there is nobody of that name.
    """
    named = {p.subject: p.name for p in people_by_name(summarise(timeline))}
    known = {s: named.get(s) or person_name(s, timeline.media.kind) for s in timeline.subjects}
    found = tuple(s for s, name in known.items() if who.lower() in (str(s), name.lower()))
    if not found:
        there = ", ".join(f"{s} ({name})" for s, name in known.items()) or "nobody"
        raise InputError(f"no person {who!r}; there is {there}")
    return found


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
    if not timed:
        sure = f"{round(100 * person.confidence)} % sure"
        return (
            f"uncertain, perhaps {person.best} ({sure})"
            if person.doubts
            else f"{person.label} ({sure})"
        )
    share = round(100 * person.shares.get(person.label, person.uncertain))
    main = (
        f"{person.label} throughout"
        if share == 100
        else f"{_how_often(share, person)} {person.label} ({share} %)"
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
    contradicts = reason is RejectionReason.CONTRADICTION
    named = "contradictions" if contradicts else reason.value.replace("-", " ")
    if len(person.doubts) > 1:
        named = f"mostly {named}" if most > person.uncertain / 2 else f"{named} and other reasons"
    return f"{max(1, round(100 * person.uncertain))} % uncertain: {named}"


def describe_evidence(person: Person, summary: Summary) -> Iterator[str]:
    """Say how long a person was there, how sure the result is, and what it is based on."""
    if _is_group(person.subject) and summary.mood:
        yield from _describe_mood(summary.mood, summary.timed)
    elif summary.timed:
        if summary.kind is not MediaKind.TEXT:
            yield f"{_verb(person, summary)} for {_of_whole(person, summary)}"
        if person.by_hand < 1:
            yield f"mean confidence {person.confidence:.0%}"
    if not _is_group(person.subject):
        yield f"evidence quality {person.quality:.0%}"
    if person.affect is not None:
        yield f"valence {person.affect.valence:+.2f}, arousal {person.affect.arousal:+.2f}"
    if summary.timed and (doubt := describe_doubt(person)):
        yield doubt
    if person.by_hand:
        yield f"{person.by_hand:.0%} set by hand" if summary.timed else "set by hand"
    if person.modalities:
        yield "from " + " + ".join(name_of(m) for m in person.modalities)


def count_of_faces(mood: Mood) -> str:
    """Write how many faces a group has, e.g. ``2.5 faces``."""
    return f"{mood.faces:.3g} {'face' if mood.faces == 1 else 'faces'}"


def _describe_mood(mood: Mood, timed: bool) -> Iterator[str]:
    """Say how many faces a mood rests on, and how far people differ."""
    yield f"on average {count_of_faces(mood)}" if timed else count_of_faces(mood)
    if mood.faces:
        yield f"{mood.read:.0%} of them read"
    if mood.dispersion is not None:
        yield f"dispersion between people {mood.dispersion:.2f}"


def _verb(person: Person, summary: Summary) -> str:
    if person.subject.kind.has_face:
        return "seen"
    return "heard apart from any face" if len(summary.people) > 1 else "heard"


def _of_whole(person: Person, summary: Summary) -> str:
    present, whole = short_clock(person.present_ns), short_clock(summary.duration_ns)
    return f"{present} of {whole} ({person.coverage:.0%})"


def _facts(timeline: Timeline, summary: Summary) -> Iterator[str]:
    """Say what is known of the medium."""
    media = timeline.media
    if summary.timed:
        yield clock(timeline.duration_ns)
    if media.video:
        fps = f", {media.video.fps:.3g} fps" if media.video.fps else ""
        yield f"picture {media.video.width} × {media.video.height}{fps}"
    elif media.kind is MediaKind.AUDIO:
        yield "no picture"
    if media.audio:
        yield f"sound {media.audio.rate / 1000:.3g} kHz"
    elif media.kind is MediaKind.VIDEO:
        yield "no sound"
    if media.video or media.kind is MediaKind.IMAGE:
        kinds = [p.subject.kind for p in summary.people]
        people, faces = (kinds.count(k) for k in (SubjectKind.PERSON, SubjectKind.FACE))
        if people:
            yield "1 person" if people == 1 else f"{people} people"
        if faces or not people:
            yield count(faces, "unknown face" if people else "face") if faces else "no faces found"
    if media.kind is not MediaKind.IMAGE:
        yield _words_source(timeline)


def _words_source(timeline: Timeline) -> str:
    """Say where the words come from: a given text is exact, a recognised one is not."""
    given, recogniser = timeline.media.text, timeline.provenance.components.get("asr")
    if not timeline.of(Modality.TEXT):
        return "no words"
    if timeline.media.kind is MediaKind.TEXT:
        return "a text, timed as if read aloud"
    if given:
        source = "the file's own subtitles" if given == "subtitles" else given
        return f"words from {source}"
    return f"words recognized by {recogniser}, with errors" if recogniser else "with words"


def count(n: int, noun: str) -> str:
    """Write ``1 face`` or ``2 faces``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


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
    order = (Modality.FUSED,) if any_fused else tuple(m for m in modalities() if m in present)
    basis = next((m for m in order if m in present), None)
    return [] if basis is None else [(basis, [e for e in estimates if e.modality is basis])]


def _person(
    subject: Subject, basis: Modality, estimates: Sequence[Estimate], timeline: Timeline
) -> Person:
    # A still picture has no length: then every estimate counts alike.
    weights = [e.span.duration_ns for e in estimates]
    if not any(weights):
        weights = [1] * len(weights)
    total = sum(weights)
    shares: dict[str, float] = {}
    best: dict[str, float] = {}
    doubts: dict[RejectionReason, float] = {}
    for e, weight in zip(estimates, weights, strict=True):
        part = weight / total
        best[e.label] = best.get(e.label, 0.0) + part
        if e.uncertain:
            doubts[e.uncertain.reason] = doubts.get(e.uncertain.reason, 0.0) + part
        else:
            shares[e.label] = shares.get(e.label, 0.0) + part
    parts = {
        m for e in estimates for m in (e.fusion.modality_weights if e.fusion else (e.modality,))
    }
    present_ns = _covered_ns(e.span for e in estimates)
    return Person(
        subject=subject,
        basis=basis,
        modalities=tuple(m for m in modalities() if m in parts),
        shares=_largest_first(shares),
        runs=runs_of(e for e in estimates if not e.uncertain),
        confidence=_mean_confidence(estimates, weights),
        quality=sum(e.quality * w for e, w in zip(estimates, weights, strict=True)) / total,
        present_ns=present_ns,
        coverage=min(1.0, present_ns / timeline.duration_ns) if timeline.duration_ns else 1.0,
        doubts=_largest_first(doubts),
        best=next(iter(_largest_first(best))),
        affect=Affect.mean([e.affect for e in estimates], weights),
        name=timeline.names.get(subject) or _name_of(subject, estimates),
        by_hand=sum(w for e, w in zip(estimates, weights, strict=True) if e.set_by_hand) / total,
    )


def _mean_confidence(estimates: Sequence[Estimate], weights: Sequence[int]) -> float:
    """Average the machine's confidence: a hand's labels have none, unless there are no others."""
    by_hand = all(e.set_by_hand for e in estimates)
    total = weighted = 0.0
    for e, weight in zip(estimates, weights, strict=True):
        if by_hand or not e.set_by_hand:
            total, weighted = total + weight, weighted + weight * e.confidence
    return weighted / (total or 1.0)


def _name_of(subject: Subject, estimates: Iterable[Estimate]) -> str:
    """Return the one name that a transcript gives a speaker; a face may be given others' words."""
    if subject.kind is not SubjectKind.SPEAKER:
        return ""
    told = {words.speaker for e in estimates if (words := e.find_details(TextDetails))}
    return (next(iter(told)) or "") if len(told) == 1 else ""


def _mood(estimates: Sequence[Estimate]) -> Mood | None:
    """Summarise the estimates of a group; None if there are none."""
    if not estimates:
        return None
    told = [(e, e.find_details(GroupDetails) or GroupDetails()) for e in estimates]
    weights = [max(e.span.duration_ns, 1) for e in estimates]
    found = sum((d.faces or 0) * w for (_, d), w in zip(told, weights, strict=True))
    read = sum((d.read or 0) * w for (_, d), w in zip(told, weights, strict=True))
    spread = [
        (d.dispersion, w)
        for (_, d), w in zip(told, weights, strict=True)
        if d.dispersion is not None
    ]
    return Mood(
        faces=found / sum(weights),
        read=read / found if found else 0.0,
        dispersion=sum(x * w for x, w in spread) / sum(w for _, w in spread) if spread else None,
        highlights=highlights(estimates),
    )


def highlights(estimates: Iterable[Estimate], most: int = HIGHLIGHTS) -> tuple[Run, ...]:
    """Return the most expressive moments of a group, in order of time.

    Those are sure and not neutral; the more probable such a mood, the more expressive, and the
    earlier of equals first.
    """
    sure = [e for e in estimates if e.label != "neutral" and not e.uncertain]
    best = sorted(sure, key=lambda e: (-e.confidence, e.span))[:most]
    chosen = sorted(best, key=lambda e: e.span)
    return tuple(Run(e.label, e.span, e.confidence) for e in chosen)


def _faceless(timeline: Timeline) -> float | None:
    """Return the part of the picture's time without a face; of a still picture 0 or 1."""
    pictured = timeline.media.video is not None or timeline.media.kind is MediaKind.IMAGE
    if not pictured or Modality.FACE not in timeline.provenance.models:
        return None
    spans = [e.span for e in timeline.of(Modality.FACE)]
    if not timeline.duration_ns or timeline.media.kind is MediaKind.IMAGE:
        return 0.0 if spans else 1.0
    return max(0.0, 1 - _covered_ns(spans) / timeline.duration_ns)


def _is_group(subject: Subject) -> bool:
    return subject.kind is SubjectKind.GROUP


def _largest_first(shares: Mapping[_Key, float]) -> dict[_Key, float]:
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _covered_ns(spans: Iterable[Span]) -> int:
    """Length of the union of spans that come ordered by start."""
    covered = upto = 0
    for span in spans:
        covered += max(0, span.end_ns - max(span.start_ns, upto))
        upto = max(upto, span.end_ns)
    return covered


def _bridged(runs: Iterable[Run]) -> list[Run]:
    """Merge runs of one label that are at most a second apart: to a reader, one moment."""
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


def _how_often(share: int, person: Person) -> str:
    if share >= 50:
        return "mostly"
    return "most often" if 100 * person.uncertain <= share else "sometimes"


def _weight(run: Run) -> float:
    return run.span.duration_ns * run.confidence
