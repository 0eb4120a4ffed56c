"""Who is who in a medium: faces, voices, and which voice is whose."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import SOMEBODY, SPEAKER, Estimate, Modality, Subject, SubjectKind
from ..core.identity import Heard, Identified, IdentityEmbedding, People, Person, Unsure
from ..core.time import NS, Span
from .config import IdentityConfig
from .faces import FaceTracks, Group
from .live import LiveVoices
from .voices import Turn, Voices

_SECONDS, _SHARE = 1.0, 0.6
"""How long a voice must have been given to somebody's face to be theirs, and what part of
all the time for which it was given to anybody's."""

_MOST_GIVEN = 20_000
"""Slots in which a face was given the voice that are remembered live: almost three hours."""

_UNMEASURED = 0.5  # attribution of a voice that a lone face has because nobody looked


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """Who is who.

    Args:
        people: everybody.
        faces: face track → person; tracks of which nobody can say are left out.
        turns: whose voice is heard when, in order of time; they do not overlap.
    """

    people: People
    faces: dict[Subject, Subject] = field(default_factory=dict)
    turns: tuple[tuple[Span, Subject], ...] = ()

    def applied(self, estimates: Iterable[Estimate]) -> Iterator[Estimate]:
        """Yield estimates under the names of people.

        Face tracks become their person. What was heard (``speaker-1``) becomes whose voice it
        is; of a transcript that names its speakers, and of people who are on the screen in that
        moment and were not found speaking, nothing is moved. Of two estimates about one
        person and moment that with more modalities, or of better evidence, stays: a cut fell
        into it.
        """
        estimates = list(estimates)
        voices = self._moves_voices(estimates)
        best: dict[tuple[Subject, Modality, Span], Estimate] = {}
        for e in estimates:
            if e.subject in self.faces:
                e = replace(e, subject=self.faces[e.subject])
                key = e.subject, e.modality, e.span
                if key not in best or _worth(e) > _worth(best[key]):
                    best[key] = e
            elif not (voices and e.subject == SPEAKER):
                yield e
        yield from best.values()
        for e in estimates if voices else ():
            if e.subject == SPEAKER:
                owner = self.speaker_at(e.span)
                if e.modality is Modality.FUSED and (owner, e.modality, e.span) in best:
                    owner = SOMEBODY
                yield replace(e, subject=owner)

    def _moves_voices(self, estimates: Sequence[Estimate]) -> bool:
        """Whether it is not known from elsewhere who speaks."""
        told = (e for e in estimates if e.subject.kind is SubjectKind.SPEAKER)
        return bool(self.turns) and all(e.subject == SPEAKER for e in told)

    def speaker_at(self, span: Span) -> Subject:
        """Say whose voice fills most of a span; somebody's if nobody is known to speak."""
        starts = [turn.start_ns for turn, _ in self.turns]
        seconds: dict[Subject, int] = {}
        for k in range(max(0, bisect_right(starts, span.start_ns) - 1), len(self.turns)):
            turn, subject = self.turns[k]
            if turn.start_ns >= span.end_ns:
                break
            seconds[subject] = seconds.get(subject, 0) + turn.overlap_ns(span)
        best = max(seconds, key=lambda s: seconds[s], default=SOMEBODY)
        return best if seconds.get(best) else SOMEBODY


def _worth(e: Estimate) -> tuple[int, float]:
    return len(e.fusion.probabilities) if e.fusion else 0, e.quality


class Identifier:
    """Collects what tells people apart while a medium is analyzed, and says who is who.

    Args:
        config: how.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._config = config
        self._faces, self._voices = FaceTracks(config), Voices(config)
        self._given: list[tuple[Subject, Span, float]] = []
        self._told: dict[Subject, Subject] = {}
        self._told_voices: dict[Subject, Subject] = {}
        self._live, self._due = LiveVoices(config), 0

    def feed(self, item: IdentityEmbedding | Estimate) -> None:
        """Take an embedding, or an estimate of the timeline."""
        if isinstance(item, Estimate):
            self._note_voice(item)
        elif item.subject.kind is SubjectKind.SPEAKER:
            self._voices.add(item)
        else:
            self._faces.add(item)

    def resolve(self) -> Resolution:
        """Say who is who in all that came."""
        groups = self._faces.groups()
        known = [k for k, group in enumerate(groups) if not group.maybe]
        person = {k: Subject(SubjectKind.PERSON, n) for n, k in enumerate(known, 1)}
        faces = {track: person[k] for k in known for track in groups[k].tracks}
        turns, means = self._voices.turns()
        owners = self._owners(turns, len(means), faces)
        speakers = self._named(turns, owners)
        people = [_seen(groups[k], person[k], owners, means, self._config) for k in known]
        people += _heard(speakers, means, self._config)
        unsure = tuple(
            Unsure(track, tuple(person[j] for j in group.maybe))
            for group in groups
            for track in group.tracks
            if group.maybe
        )
        return Resolution(
            People(tuple(people), unsure, self._voices.overlaps()),
            faces,
            tuple((turn.span, speakers.get(turn.speaker, SOMEBODY)) for turn in turns),
        )

    def _note_voice(self, e: Estimate) -> None:
        """Remember when a face was given the voice, and how surely."""
        heard = e.fusion is not None and Modality.SPEECH in e.fusion.probabilities
        if e.modality is Modality.FUSED and e.subject.kind is SubjectKind.FACE and heard:
            sure = _UNMEASURED if e.attribution is None else e.attribution
            self._given.append((e.subject, e.span, sure))

    def _owners(
        self, turns: Sequence[Turn], count: int, faces: dict[Subject, Subject]
    ) -> dict[int, Subject]:
        """Say which voices are whose: those that were mostly given to one person's face.

        Somebody may have two, if what they feel changes their voice that much.
        """
        people = sorted(set(faces.values()))
        if not (count and people):
            return {}
        given: NDArray[np.float64] = np.zeros((count, len(people)))
        at = 0
        for track, span, sure in sorted(self._given, key=lambda g: g[1]):
            while at < len(turns) and turns[at].span.end_ns <= span.start_ns:
                at += 1
            for turn in turns[at:]:
                if turn.span.start_ns >= span.end_ns:
                    break
                if track in faces and turn.speaker >= 0:
                    overlap = turn.span.overlap_ns(span) / NS
                    given[turn.speaker, people.index(faces[track])] += sure * overlap
        share = given / np.maximum(given.sum(axis=1, keepdims=True), 1e-9)
        return {
            voice: people[int(given[voice].argmax())]
            for voice in range(count)
            if given[voice].max() >= _SECONDS and share[voice].max() >= _SHARE
        }

    @staticmethod
    def _named(turns: Sequence[Turn], owners: dict[int, Subject]) -> dict[int, Subject]:
        """Name every voice: its person, or a speaker."""
        named, number = dict(owners), 0
        for turn in turns:
            if turn.speaker >= 0 and turn.speaker not in named:
                number += 1
                named[turn.speaker] = Subject(SubjectKind.SPEAKER, number)
        return named

    def news(self) -> Iterator[Identified]:
        """Say whose the faces are that were told otherwise before, or not at all.

        Numbers that were told stay: of two people who turn out to be one the lower is kept.
        What is told may be revised; `resolve` has the last word, and counts anew.
        """
        taken: set[Subject] = set()
        for group in self._faces.groups():
            if group.maybe:
                continue
            before = [self._told[t] for t in group.tracks if t in self._told]
            free = [person for person in before if person not in taken]
            person = min(free) if free else self._next_person()
            taken.add(person)
            for track in group.tracks:
                if self._told.get(track) != person:
                    self._told[track] = person
                    yield Identified(track, person)

    def heard(self, item: IdentityEmbedding) -> Iterator[Heard | Identified]:
        """Say whose voice an embedding is, live, and which voices turned out to be one."""
        yield from self._live.add(item)

    def voices(self, now: bool = False) -> Iterator[Identified]:
        """Say which voices are those of people who are seen, live, where that was not told yet.

        Args:
            now: whatever it costs; else only when there is a 20th more to go by.
        """
        if not now and len(self._given) < self._due:
            return
        if len(self._given) > _MOST_GIVEN:
            del self._given[: _MOST_GIVEN // 2]
        self._due = len(self._given) + 2 + len(self._given) // 20
        numbers = self._live.numbers()
        owners = self._owners(self._live.turns, len(numbers), self._told)
        for voice, person in owners.items():
            subject = Subject(SubjectKind.VOICE, numbers[voice])
            if self._told_voices.get(subject) != person:
                self._told_voices[subject] = person
                yield Identified(subject, person)

    def _next_person(self) -> Subject:
        highest = max((p.number for p in self._told.values()), default=0)
        return Subject(SubjectKind.PERSON, highest + 1)


def _seen(
    group: Group,
    person: Subject,
    owners: dict[int, Subject],
    means: Sequence[NDArray[np.float32]],
    config: IdentityConfig,
) -> Person:
    voices = [means[k] for k, owner in owners.items() if owner == person]
    embeddings = {"face": group.embedding}
    if voices:
        embeddings["voice"] = np.mean(voices, axis=0)
    kept = embeddings if config.embeddings or config.across_files else {}
    return Person(person, group.tracks, group.confidence, bool(voices), kept)


def _heard(
    speakers: dict[int, Subject], means: Sequence[NDArray[np.float32]], config: IdentityConfig
) -> Iterator[Person]:
    """Yield those who have a voice and no face."""
    for k, subject in sorted(speakers.items(), key=lambda item: item[1]):
        if subject.kind is SubjectKind.SPEAKER:
            kept = {"voice": means[k]} if config.embeddings or config.across_files else {}
            yield Person(subject, (), _clearness(k, means, config), True, kept)


def _clearness(k: int, means: Sequence[NDArray[np.float32]], config: IdentityConfig) -> float:
    """Say how far the likest other voice is from being this one's."""
    likest = max((float(means[k] @ m) for j, m in enumerate(means) if j != k), default=0.0)
    return round(float(np.clip((1 - likest) / (1 - config.same_voice) / 2, 0.0, 1.0)), 4)
