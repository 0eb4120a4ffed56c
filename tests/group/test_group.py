"""The mood of a group, of real photos and films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import emofuse
from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.details import FaceDetails, GroupDetails
from emofuse.core.estimates import Estimate, Modality, Probabilities, RejectionReason, Subject
from emofuse.core.labels import CANONICAL
from emofuse.core.modality import SubjectKind
from emofuse.core.time import NS, Span
from emofuse.core.timeline import Timeline
from emofuse.errors import InputError, ModelError
from emofuse.export.csv import write_csv
from emofuse.export.json import read_json, write_json
from emofuse.export.summary import summarise
from emofuse.group.config import GroupConfig
from emofuse.group.mood import WIDTH, Evidence, rows, stack
from emofuse.models.registry import load

GROUP = Subject(SubjectKind.GROUP)
FACES = (Modality.FACE,)


@pytest.fixture(scope="module")
def analyze() -> Callable[..., Timeline]:
    kept: dict[GroupConfig, Analyzer] = {}

    def run(path: Path, **group: object) -> Timeline:
        config = GroupConfig(enabled=True, **group)  # type: ignore[arg-type]
        if config not in kept:
            kept[config] = Analyzer(AnalyzerConfig(modalities=FACES, group=config))
        return kept[config].analyze(path)

    return run


def group_of(timeline: Timeline) -> list[tuple[Estimate, GroupDetails]]:
    found = timeline.of(Modality.FUSED, GROUP)
    return [(e, e.find_details(GroupDetails) or GroupDetails()) for e in found]


def face(label: str, number: int = 1, sure: float = 0.9, quality: float = 0.8) -> Estimate:
    p = np.full(len(CANONICAL), (1 - sure) / (len(CANONICAL) - 1))
    p[CANONICAL.index(label)] = sure
    details = FaceDetails((0.1 * number, 0.4, 0.08, 0.1), 90.0, 0.9)
    subject = Subject(SubjectKind.FACE, number)
    scores = Probabilities(CANONICAL, p)
    return Estimate(subject, Span(0, NS), scores, Modality.FACE, quality, "mine", details=details)


# ---------------------------------------------------------------- media


def test_photo_of_one_person_has_a_mood_and_no_dispersion(analyze, media):
    ((told, details),) = group_of(analyze(media / "portrait.jpg"))
    assert told.probabilities.taxonomy.labels == ("positive", "neutral", "negative")
    assert (details.faces, details.read, details.dispersion) == (1, 1, None)
    assert told.quality == 1.0


def test_film_has_a_mood_each_second(analyze, media):
    timeline = analyze(media / "two_people.mp4")
    spans = [e.span for e, _ in group_of(timeline)]
    assert [s.start_ns for s in spans] == [0, NS, 2 * NS]
    assert spans[-1].end_ns == 3 * NS
    assert [d.faces for _, d in group_of(timeline)] == [2, 2, 2]
    assert all(0 <= d.dispersion <= 1 for _, d in group_of(timeline) if d.dispersion is not None)


def test_seconds_without_a_face_are_uncertain_and_not_missing(analyze, media):
    told = group_of(analyze(media / "comes_and_goes.mp4"))
    assert len(told) == 7
    empty = [e for e, d in told if d.faces == 0]
    assert [e.span.start_ns // NS for e in empty] == [3, 4] or len(empty) == 3
    assert {e.uncertain.reason for e in empty if e.uncertain} == {RejectionReason.NO_FACE}
    assert all(e.uncertain for e in empty)


def test_scenes_are_told_from_cut_to_cut(analyze, media, tmp_path):
    import av

    cut = tmp_path / "cut.mp4"
    one = np.asarray(Image.open(media / "portrait.jpg").convert("RGB").resize((320, 240)))
    with av.open(cut, "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.width, stream.height = 320, 240
        for i in range(28):
            picture = one if i < 12 else np.ascontiguousarray(255 - one[::-1])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        out.mux(stream.encode())
    told = group_of(analyze(cut, scenes=True))
    assert [round(e.span.start, 2) for e, _ in told] == [0.0, 1.5]
    assert [d.scene for _, d in told] == [1, 2]


def test_two_hundred_faces_are_all_looked_at(analyze, media, tmp_path):
    whole = Image.open(media / "portrait.jpg").convert("RGB")
    timeline = Analyzer(AnalyzerConfig(modalities=FACES)).analyze(media / "portrait.jpg")
    left, top, width, height = timeline.of(Modality.FACE)[0].find_details(FaceDetails).box
    middle = (left + width / 2) * whole.width, (top + height / 2) * whole.height
    reach = 0.9 * width * whole.width
    box = (*(m - reach for m in middle), *(m + reach for m in middle))
    one = whole.crop(tuple(map(round, box))).resize((64, 64))
    crowd = Image.new("RGB", (64 * 20, 64 * 10))
    for i in range(200):
        crowd.paste(one, (64 * (i % 20), 64 * (i // 20)))
    crowd.save(tmp_path / "crowd.png")
    ((_, details),) = group_of(analyze(tmp_path / "crowd.png"))
    assert details.faces == 200
    assert details.dispersion is not None
    assert details.dispersion < 0.2


def test_photo_without_a_face_says_so(analyze, tmp_path):
    Image.new("RGB", (320, 240), "gray").save(tmp_path / "wall.png")
    ((told, details),) = group_of(analyze(tmp_path / "wall.png"))
    assert told.uncertain is not None
    assert told.uncertain.reason is RejectionReason.NO_FACE
    assert details.faces == 0


def test_film_of_three_frames_is_told(analyze, tmp_path, media):
    import av

    path = tmp_path / "short.mp4"
    one = np.asarray(Image.open(media / "portrait.jpg").convert("RGB").resize((320, 240)))
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.width, stream.height = 320, 240
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(one)))
        out.mux(stream.encode())
    assert len(group_of(analyze(path))) == 1


def test_sound_alone_is_judged_by_the_voice(media):
    config = AnalyzerConfig(modalities=(Modality.SPEECH,))
    timeline = emofuse.analyze(media / "speech.ogg", config=config, group=True)
    told = group_of(timeline)
    assert told
    assert any(d.voice for _, d in told)
    assert all(d.faces == 0 for _, d in told)
    assert "no-picture" in {note.code for note in timeline.notes}


def test_public_door_takes_group(media):
    assert group_of(emofuse.analyze(media / "portrait.jpg", group=True))
    assert not group_of(emofuse.analyze(media / "portrait.jpg"))
    with pytest.raises(InputError, match="give its path"):
        emofuse.analyze(text="well", group=True)


def test_model_of_something_else_is_refused(analyze, media):
    with pytest.raises(ModelError, match="no model of groups"):
        analyze(media / "portrait.jpg", model="face-v4")
    with pytest.raises(InputError, match=r"group.read must lie"):
        GroupConfig(read=2)


# ---------------------------------------------------------------- results


def test_json_and_csv_hold_everything(analyze, media, tmp_path):
    timeline = analyze(media / "two_people.mp4")
    write_json(timeline, tmp_path / "t.json")
    back = read_json(tmp_path / "t.json")
    assert [d for _, d in group_of(back)] == [d for _, d in group_of(timeline)]
    write_csv(timeline, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text().splitlines()
    header = text[0].split(",")
    row = dict(zip(header, next(r for r in text if "group-1" in r).split(","), strict=True))
    assert row["faces"] == "2"
    assert float(row["positive"]) + float(row["neutral"]) + float(row["negative"]) == pytest.approx(
        1, abs=1e-4
    )


def test_summary_puts_the_group_first(analyze, media):
    summary = summarise(analyze(media / "two_people.mp4"))
    assert summary.shown[0].subject == GROUP
    assert summary.mood is not None
    assert summary.mood.faces == pytest.approx(2)
    assert len(summary.people) == 3


# ---------------------------------------------------------------- the model


@pytest.fixture(scope="module")
def model():
    return load("group-v1")


def mood(model, *faces: Estimate) -> Probabilities:
    return model.infer([model.prepare(Evidence(faces))])[0].probabilities


def test_order_and_padding_change_nothing(model):
    some = [face("happy", 1), face("sad", 2), face("happy", 3, 0.6), face("neutral", 4)]
    together = model.infer([model.prepare(Evidence(some)), model.prepare(Evidence(some[:1]))])
    turned = mood(model, *some[::-1])
    np.testing.assert_allclose(together[0].probabilities.values, turned.values, atol=1e-5)
    np.testing.assert_allclose(
        together[1].probabilities.values, mood(model, some[0]).values, atol=1e-5
    )


def test_what_most_people_show_is_the_mood(model):
    for label, expected in (("happy", "positive"), ("neutral", "neutral"), ("angry", "negative")):
        assert mood(model, *(face(label, n) for n in range(1, 6))).label == expected


def test_poor_faces_count_less(model):
    clear = [face("happy", n) for n in (1, 2)]
    angry = [face("angry", n) for n in (3, 4, 5)]
    poor = [replace(e, quality=0.06) for e in angry]
    assert mood(model, *clear, *poor)["positive"] > mood(model, *clear, *angry)["positive"]


def test_unreadable_faces_are_counted_and_not_read():
    small = replace(face("happy"), details=FaceDetails((0.1, 0.1, 0.01, 0.01), 12.0, 0.9))
    evidence = Evidence([small, face("sad", 2)])
    assert [e.subject.number for e in evidence.read] == [2]
    assert rows(evidence).shape == (2, WIDTH)
    assert stack([rows(evidence), rows(Evidence([]))]).shape == (2, 2, WIDTH)


def test_dispersion_is_how_far_people_differ():
    alike = Evidence([face("happy", n, 1.0) for n in (1, 2)])
    opposed = Evidence([face("happy", 1, 1.0), face("angry", 2, 1.0)])
    assert alike.dispersion == pytest.approx(0, abs=1e-6)
    assert opposed.dispersion == pytest.approx(1, abs=1e-6)
