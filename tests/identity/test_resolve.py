"""Who is who: tracks become people, voices their owners', and what is not known stays unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.identity.made import direction, face, face_embedding, person, voice_embeddings

from emofuse.core.details import TextDetails
from emofuse.core.estimates import (
    SOMEBODY,
    SPEAKER,
    Estimate,
    FusionDetails,
    Modality,
    Probabilities,
    Subject,
    SubjectKind,
)
from emofuse.core.identity import Identified, People, Person
from emofuse.core.labels import CANONICAL
from emofuse.core.time import Span
from emofuse.identity.across import same_people, without_embeddings
from emofuse.identity.config import IdentityConfig
from emofuse.identity.resolve import Identifier

HAPPY = Probabilities(CANONICAL, np.eye(8)[1])
FACE, SPEECH, TEXT, FUSED = Modality.FACE, Modality.SPEECH, Modality.TEXT, Modality.FUSED


def estimate(
    subject: Subject, start: float, end: float, modality: Modality, quality: float = 0.5
) -> Estimate:
    return Estimate(subject, Span.of_seconds(start, end), HAPPY, modality, quality, "model")


def fused(
    subject: Subject, start: float, end: float, *parts: Modality, link: float | None = None
) -> Estimate:
    weights = {m: 1 / len(parts) for m in parts}
    details = FusionDetails(weights, 0.0, dict.fromkeys(parts, HAPPY))
    e = estimate(subject, start, end, FUSED)
    return replace(e, fusion=details, attribution=link)


def dialogue() -> tuple[Identifier, list[Estimate]]:
    """Two faces, cut back and forth; the second one speaks on while the first is shown."""
    found = Identifier(IdentityConfig())
    for item in (face_embedding(1, 0, 0), face_embedding(2, 1, 4), face_embedding(3, 0, 8)):
        found.feed(item)
    for item in voice_embeddings([(0, 4, 0), (4, 12, 1)]):
        found.feed(item)
    estimates = []
    for k in range(12):
        track = face(1 + k // 4)
        given = k < 8
        estimates.append(estimate(track, k, k + 1, FACE))
        estimates.append(estimate(SPEAKER, k, k + 1, SPEECH))
        parts = (FACE, SPEECH) if given else (FACE,)
        estimates.append(fused(track, k, k + 1, *parts, link=0.9 if given else None))
        if not given:
            estimates.append(fused(SPEAKER, k, k + 1, SPEECH))
    for e in estimates:
        found.feed(e)
    return found, estimates


def subjects(estimates: list[Estimate], modality: Modality) -> list[str]:
    some = sorted((e.span, str(e.subject)) for e in estimates if e.modality is modality)
    return [name for _, name in some]


def test_a_voice_off_the_screen_is_the_persons_whose_voice_it_is() -> None:
    found, estimates = dialogue()
    who = found.resolve()
    told = list(who.applied(estimates))
    assert subjects(told, FACE) == ["person-1"] * 4 + ["person-2"] * 4 + ["person-1"] * 4
    assert subjects(told, SPEECH) == ["person-1"] * 4 + ["person-2"] * 8
    assert subjects(told, FUSED)[8:10] == ["person-1", "person-2"], "seen, and heard off screen"
    first, second = who.people.known
    assert first.tracks == (face(1), face(3))
    assert first.voice
    assert second.voice
    assert len(told) == len(estimates)


def test_without_prints_all_stays_as_it_was() -> None:
    _, estimates = dialogue()
    told = list(Identifier(IdentityConfig()).resolve().applied(estimates))
    assert [e.subject for e in told] == [e.subject for e in estimates]


def test_voices_without_faces_are_speakers_in_order() -> None:
    found = Identifier(IdentityConfig())
    for item in voice_embeddings([(0, 4, 3), (4, 9, 1), (9, 12, 3)]):
        found.feed(item)
    heard = [estimate(SPEAKER, k, k + 1, SPEECH) for k in range(12)]
    who = found.resolve()
    names = subjects(list(who.applied(heard)), SPEECH)
    assert names == ["speaker-1"] * 4 + ["speaker-2"] * 5 + ["speaker-1"] * 3
    assert [str(p.subject) for p in who.people.known] == ["speaker-1", "speaker-2"]


def test_a_voice_that_was_never_embedded_is_somebodys() -> None:
    found = Identifier(IdentityConfig())
    for item in voice_embeddings([(0, 4, 3)]):
        found.feed(item)
    (e,) = found.resolve().applied([estimate(SPEAKER, 20, 21, SPEECH)])
    assert e.subject == SOMEBODY


def test_a_transcript_that_names_its_speakers_is_believed() -> None:
    found, estimates = dialogue()
    named = Subject(SubjectKind.SPEAKER, 2)
    words = replace(estimate(named, 0, 2, TEXT), details=TextDetails("Well.", "Mary"))
    told = list(found.resolve().applied([*estimates, words]))
    assert subjects(told, TEXT) == ["speaker-2"]
    assert set(subjects(told, SPEECH)) == {"speaker-1"}


def test_the_voice_is_nobodys_on_the_screen_who_was_not_found_speaking() -> None:
    """One person is seen, and heard where his mouth was found still: that is not known."""
    found = Identifier(IdentityConfig())
    found.feed(face_embedding(1, 0, 0))
    for item in voice_embeddings([(0, 8, 1)]):
        found.feed(item)
    estimates = [fused(face(1), k, k + 1, FACE, SPEECH, link=0.9) for k in range(5)]
    estimates += [fused(face(1), k, k + 1, FACE) for k in range(5, 8)]
    estimates += [fused(SPEAKER, k, k + 1, SPEECH) for k in range(5, 8)]
    for e in estimates:
        found.feed(e)
    told = subjects(list(found.resolve().applied(estimates)), FUSED)
    assert told == ["person-1"] * 5 + ["person-1", "speaker-0"] * 3


def test_a_cut_within_a_slot_leaves_one_estimate_a_person() -> None:
    found = Identifier(IdentityConfig())
    found.feed(face_embedding(1, 0, 0))
    found.feed(face_embedding(2, 0, 1))
    better = replace(estimate(face(2), 0, 1, FACE), quality=0.9)
    (e,) = found.resolve().applied([estimate(face(1), 0, 1, FACE), better])
    assert (e.subject, e.quality) == (person(1), 0.9)


def test_live_a_late_merge_is_told_and_numbers_stay() -> None:
    found = Identifier(IdentityConfig())

    def after(*args: object, **kwargs: object) -> list[Identified]:
        found.feed(face_embedding(*args, **kwargs))  # type: ignore[arg-type]
        return list(found.news())

    assert after(1, 0, 0) == [Identified(face(1), person(1))]
    assert after(2, 1, 2) == [Identified(face(2), person(2))]
    assert after(3, 0, 4, off=0.9) == [Identified(face(3), person(3))]
    for k in range(20):  # better views: it was person 1 after all
        told = after(3, 0, 5 + k)
        if told:
            break
    assert told == [Identified(face(3), person(1))]
    assert after(4, 2, 60) == [Identified(face(4), person(3))], "a number nobody has is free"


def known(n: int, **embeddings: np.ndarray) -> Person:
    kind = SubjectKind.PERSON if "face" in embeddings else SubjectKind.SPEAKER
    return Person(Subject(kind, n), embeddings=embeddings)


def test_the_same_people_are_found_in_other_files() -> None:
    both = known(1, face=direction(0), voice=direction(4))
    files = [
        ("a.mp4", People((both, known(2, face=direction(1))))),
        ("b.mp4", People((known(1, face=direction(1)), known(2, face=direction(0))))),
        ("c.wav", People((known(1, voice=direction(4)), known(2, voice=direction(5))))),
    ]
    found = same_people(files, IdentityConfig())
    table = [(a.person, a.file[0], str(a.subject)) for a in found]
    assert table == [
        (1, "a", "person-1"),
        (1, "b", "person-2"),
        (1, "c", "speaker-1"),
        (2, "a", "person-2"),
        (2, "b", "person-1"),
        (3, "c", "speaker-2"),
    ]


def test_two_people_of_one_file_are_never_one_in_others() -> None:
    twins = People((known(1, face=direction(0)), known(2, face=direction(0))))
    found = same_people(
        [("a", twins), ("b", People((known(1, face=direction(0)),)))], IdentityConfig()
    )
    homes = {(a.file, a.subject.number): a.person for a in found}
    assert homes["a", 1] != homes["a", 2]
    assert homes["b", 1] in (homes["a", 1], homes["a", 2])


def test_nobody_anywhere_is_an_empty_table() -> None:
    assert same_people([("a", People())], IdentityConfig()) == []


@pytest.mark.parametrize("asked", [False, True])
def test_embeddings_are_kept_only_if_asked(asked: bool) -> None:
    found = Identifier(IdentityConfig(embeddings=asked))
    found.feed(face_embedding(1, 0))
    for item in voice_embeddings([(0, 4, 1)]):
        found.feed(item)
    people = found.resolve().people
    assert [set(p.embeddings) for p in people.known] == (
        [{"face"}, {"voice"}] if asked else [set()] * 2
    )
    stripped = without_embeddings(people)
    assert stripped is not None
    assert not any(p.embeddings for p in stripped.known)
