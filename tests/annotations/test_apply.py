"""Edits by hand: what they do, that nothing is lost, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.export.synthetic import crowd, face, timeline

from emofuse.annotations import Annotations, append, apply, load_result, read_annotations
from emofuse.annotations.edits import (
    Confirm,
    Exclude,
    Mark,
    Merge,
    Name,
    Note,
    SetLabel,
    Split,
    Undo,
)
from emofuse.annotations.log import EditConflictError
from emofuse.core.estimates import Estimate, LabelSource, Modality
from emofuse.core.labels import CANONICAL
from emofuse.core.timeline import RemarkKind, Timeline
from emofuse.errors import InputError
from emofuse.export.json import read_json, write_json
from emofuse.export.runs import tiers_of
from emofuse.export.summary import summarise

FOUND = timeline(24)
PEOPLE = st.sampled_from(["face-1", "face-2", "speaker-1", "face-3", "face-9"])
TIMES = st.floats(0, 24).map(lambda t: round(t, 2))
STRETCHES = st.tuples(TIMES, TIMES).map(lambda pair: {"start": min(pair), "end": max(pair)})
EDITS = st.one_of(
    st.builds(Name, subject=PEOPLE, name=st.text(max_size=20)),
    st.builds(Merge, subject=PEOPLE, into=PEOPLE),
    st.builds(Split, subject=PEOPLE, at=TIMES, into=st.sampled_from(["face-3", "face-4"])),
    st.builds(
        lambda s, **rest: SetLabel(**s, **rest),
        STRETCHES,
        subject=PEOPLE,
        label=st.sampled_from(CANONICAL.labels),
    ),
    st.builds(lambda s, **rest: Confirm(**s, **rest), STRETCHES, subject=PEOPLE),
    st.builds(lambda s, **rest: Exclude(**s, **rest), STRETCHES, subject=st.none() | PEOPLE),
    st.builds(Mark, at=TIMES, text=st.text(max_size=20)),
    st.builds(lambda s, **rest: Note(**s, **rest), STRETCHES, text=st.text(max_size=20)),
)
ANY = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))


def edited(*edits, found: Timeline = FOUND) -> Timeline:
    return apply(found, Annotations.of(found).with_edits(edits))


def said(timeline: Timeline, subject) -> list[str]:
    return [e.label for e in timeline.of(Modality.FUSED, subject)]


def original(e: Estimate) -> Estimate:
    return e.machine or e


def state(t: Timeline):
    return [(e.span, e.subject, e.modality, e.label, e.source) for e in t], t.names, t.remarks


@ANY
@given(st.lists(EDITS, max_size=12))
def test_what_was_found_is_never_lost(edits) -> None:
    result = edited(*edits)
    found = set(map(id, FOUND))
    kept = [id(original(e)) for e in result]
    assert set(kept) <= found
    assert len(set(kept)) == len(kept)
    removed = [e for e in edits if isinstance(e, Exclude | Merge)]
    if not removed:
        assert set(kept) == found
    for e in result:
        assert (e.source is LabelSource.HAND) == (e.probabilities is not original(e).probabilities)
        assert e.source is LabelSource.MACHINE or e.uncertain is None


@ANY
@given(st.lists(EDITS, min_size=1, max_size=8), st.data())
def test_undone_is_as_if_never_made_and_redone_is_as_made(edits, data) -> None:
    gone = data.draw(st.integers(0, len(edits) - 1))
    undo = Undo(of=edits[gone].id)
    assert state(edited(*edits, undo)) == state(edited(*edits[:gone], *edits[gone + 1 :]))
    assert state(edited(*edits, undo, Undo(of=undo.id))) == state(edited(*edits))


@ANY
@given(st.lists(EDITS, max_size=8))
def test_files_hold_all_of_it(tmp_path: Path, edits) -> None:
    annotations = Annotations.of(FOUND).with_edits(edits)
    path = tmp_path / "annotations.json"
    path.write_text(annotations.to_json(), encoding="utf-8")
    assert read_annotations(path) == annotations
    result = apply(FOUND, annotations)
    write_json(result, tmp_path / "edited.json", overwrite=True)
    read = read_json(tmp_path / "edited.json")
    assert state(read) == state(result)
    assert [(original(e).subject, original(e).label) for e in read] == [
        (original(e).subject, original(e).label) for e in result
    ]


def test_a_label_holds_over_its_stretch_alone() -> None:
    result = edited(SetLabel(subject="face-1", start=2.0, end=3.9, label="contempt"))
    changed = [e for e in result if e.source is LabelSource.HAND]
    assert [(e.span.start, e.label, e.confidence) for e in changed] == [
        (t, "contempt", 1.0) for t in (2.0, 2.5, 3.0, 3.5)
    ]
    assert {e.modality for e in changed} == {Modality.FUSED}
    person = summarise(result).people[0]
    assert person.by_hand == pytest.approx(4 / len(result.of(Modality.FUSED, face(1))))
    assert "contempt" in person.shares
    assert person.confidence == pytest.approx(
        sum(e.confidence for e in result.of(Modality.FUSED, face(1)) if not e.machine)
        / sum(not e.machine for e in result.of(Modality.FUSED, face(1)))
    )


def test_a_split_and_a_merge_make_the_same_person_again() -> None:
    apart = edited(Split(subject="face-1", at=8, into="face-3"))
    before, after = said(apart, face(1)), said(apart, face(3))
    assert before + after == said(FOUND, face(1))
    assert len(before) == 16
    again = edited(
        Split(subject="face-1", at=8, into="face-3"), Merge(subject="face-3", into="face-1")
    )
    assert said(again, face(1)) == said(FOUND, face(1))
    assert face(3) not in again.subjects


def test_two_faces_in_one_picture_are_two_people() -> None:
    with pytest.raises(InputError, match=r"both seen at 0:0\d\.\d, so they are two people"):
        append_in_memory(Merge(subject="face-2", into="face-1"))


def append_in_memory(*edits) -> None:
    from emofuse.annotations.apply import check

    check(FOUND, Annotations.of(FOUND).with_edits(edits))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Name(subject="face-7", name="x"), "there is no face-7; there are face-1, face-2"),
        (SetLabel(subject="face-1", start=0, end=2, label="bored"), "it has neutral, happy"),
        (SetLabel(subject="face-1", start=11, end=12, label="sad"), "has no result during"),
        (Split(subject="face-1", at=0, into="face-3"), "nothing to split"),
        (Split(subject="face-1", at=9, into="face-2"), "a face of a number that nobody has"),
        (Merge(subject="face-1", into="face-1"), "two different people"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(edit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        append_in_memory(edit)


def test_what_an_undoing_makes_impossible_is_told() -> None:
    split = Split(subject="face-1", at=8, into="face-3")
    result = edited(split, Name(subject="face-3", name="Bo"), Undo(of=split.id))
    assert [n.code for n in result.notes] == ["edit-left-out"]
    assert "face-3" in result.notes[0].message
    assert not result.names


def test_exclusions_marks_notes_and_names_reach_the_exports() -> None:
    result = edited(
        Name(subject="face-1", name="Anna"),
        Name(subject="face-2", name="Anna"),
        Exclude(start=0, end=4),
        Mark(at=10, text="the question"),
        Note(start=11, end=13, text="looks away", subject="face-2"),
    )
    assert min(e.span.start for e in result.fused) == 4.0
    tiers = {tier.name: tier for tier in tiers_of(result)}
    assert "Anna (face-1) result" in tiers
    assert "Anna (face-2) result" in tiers
    assert [text for _, text in tiers["Marks"].intervals] == ["the question"]
    assert tiers["Notes"].intervals[0][1] == "Anna (face-2): looks away"
    assert [r.kind for r in result.remarks] == [
        RemarkKind.EXCLUDED,
        RemarkKind.MARK,
        RemarkKind.NOTE,
    ]


def test_two_editors_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    mine, yours = Name(subject="face-1", name="Anna"), Name(subject="face-2", name="Bo")
    before = Annotations.of(FOUND).etag
    append(path, [mine], FOUND, before)
    with pytest.raises(EditConflictError, match="changed by somebody else"):
        append(path, [yours], FOUND, before)
    assert append(path, [yours], FOUND, read_annotations(path).etag).edits == (mine, yours)
    assert append(path, [mine, yours], FOUND).edits == (mine, yours)  # a file applied twice


def test_an_edit_that_cannot_be_done_changes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    append(path, [Mark(at=3)], FOUND)
    before = path.read_bytes()
    with pytest.raises(InputError, match="no face-9"):
        append(path, [Mark(at=4), Name(subject="face-9", name="x")], FOUND)
    with pytest.raises(InputError, match="there is no edit 'nothing' to undo"):
        append(path, [Undo(of="nothing")], FOUND)
    assert path.read_bytes() == before


def test_annotations_of_another_file_or_result_are_refused(tmp_path: Path) -> None:
    write_json(FOUND, tmp_path / "timeline.json")
    path = tmp_path / "annotations.json"
    other = timeline(24, path="party.mp4")
    again = replace(other, estimates=other.estimates[1:])
    for text, message in [
        (Annotations.of(again).to_json(), "are of 'party.mp4', this is a result of"),
        (Annotations.of(timeline(20)).to_json(), "on another result of"),
        (json.dumps({"schema": "emofuse/timeline"}), "expected the schema 'emofuse/annotations'"),
        (Annotations.of(FOUND).to_json().replace('"version": 1', '"version": 2'), "version 2 of"),
        ("[1", "not valid JSON"),
        ("[]", "got"),
        (Annotations.of(FOUND).with_edits([Mark(at=1)]).to_json().replace('"mark"', '"jump"'),
         "edits.0"),
    ]:  # fmt: skip
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            load_result(tmp_path)


def test_ten_thousand_people_and_edits() -> None:
    found = crowd(10_000)
    assert len(found.subjects) == 10_000
    names = [Name(subject=str(s), name=f"Person {s.number}") for s in found.subjects]
    assert len(edited(*names, found=found).names) == 10_000
