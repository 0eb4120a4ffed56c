"""Formats that hold intervals, read back by other readers than those that wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.export.synthetic import crowd, timeline

from emofuse.core.estimates import Modality
from emofuse.core.timeline import Timeline
from emofuse.export import exporters
from emofuse.export.runs import tiers_of
from emofuse.text.transcripts import read_transcript

NAMES = ("elan", "textgrid", "vtt", "srt", "rttm")


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, Timeline], Path]:
    def write(name: str, made: Timeline) -> Path:
        kind = exporters()[name]
        exporter = kind(tmp_path / f"timeline{kind.suffix}")
        exporter.write(made)
        exporter.close()
        return exporter.path

    return write


def test_thousands_of_people_have_their_tiers() -> None:
    made = crowd(3_000)
    assert len(list(tiers_of(made))) == len(made.subjects) == 3_000


def test_tiers_cover_every_person_and_do_not_overlap() -> None:
    made = timeline(24)
    tiers = list(tiers_of(made))
    assert {t.subject for t in tiers} == set(made.subjects)
    assert {"fused", "face", "said"} <= {t.kind for t in tiers}
    assert len({t.name for t in tiers}) == len(tiers)
    for tier in tiers:
        ends = [span.end_ns for span, _ in tier.intervals]
        starts = [span.start_ns for span, _ in tier.intervals]
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    for subject in made.subjects:
        fused = made.of(Modality.FUSED, subject)
        covered = sum(
            span.duration_ns
            for t in tiers
            if t.kind == "fused" and t.subject == subject
            for span, _ in t.intervals
        )
        assert covered == sum(e.span.duration_ns for e in fused)


@pytest.mark.parametrize("name", ["elan", "textgrid"])
def test_annotations_come_back(name: str, written: Callable[[str, Timeline], Path]) -> None:
    made = timeline(24)
    back = read_transcript(written(name, made))
    expected = [
        (tier.person if name == "elan" else tier.name, round(span.start, 3), " ".join(text.split()))
        for tier in tiers_of(made)
        for span, text in tier.intervals
    ]
    found = [(u.speaker, round(u.span.start, 3), u.text) for u in back]
    assert len(found) == len(expected)
    clean = [item for item in expected if "<" not in item[2]]  # a reader of cues drops markup
    assert set(clean) <= set(found)


@pytest.mark.parametrize("name", ["vtt", "srt"])
def test_subtitles_come_back(name: str, written: Callable[[str, Timeline], Path]) -> None:
    path = written(name, timeline(24))
    back = read_transcript(path)
    assert not back.notes
    assert {u.speaker for u in back} >= {"Face 1", "Face 2"}
    assert any(u.text == "(neutral)" for u in back)
    assert any("long journey" in u.text for u in back)


def test_names_and_words_cannot_break_a_format(written: Callable[[str, Timeline], Path]) -> None:
    made = timeline(8, lines=('He said "--> </v> & <b>" twice.\n\n2', "\x07]]>"))
    for name in NAMES:
        path = written(name, made)
        if name != "rttm":
            assert len(read_transcript(path)) > 3


def test_rttm_has_a_line_for_each_stretch(written: Callable[[str, Timeline], Path]) -> None:
    made = timeline(24)
    lines = written("rttm", made).read_text().splitlines()
    form = r"SPEAKER \S+ 1 \d+\.\d{3} \d+\.\d{3} <NA> <NA> \S+ <NA> <NA>"
    assert lines
    assert all(re.fullmatch(form, line) for line in lines)
    heard = sum(float(line.split()[4]) for line in lines)
    speech = [t for t in tiers_of(made) if t.kind == "speech"]
    assert heard == pytest.approx(
        sum(s.duration_ns for t in speech for s, _ in t.intervals) / 1e9, abs=0.01
    )
