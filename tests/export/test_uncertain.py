"""Every sink shows what is uncertain, and why."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.synthetic import timeline

from emofuse.cli import display as show
from emofuse.core.estimates import Modality, Rejected, RejectionReason
from emofuse.core.timeline import Timeline
from emofuse.export.csv import write_csv
from emofuse.export.html import render_report
from emofuse.export.json import read_json, write_json
from emofuse.export.summary import describe_doubt, summarise


@pytest.fixture
def doubted() -> Timeline:
    """A quarter of the fused estimates is uncertain, mostly because a face is small."""
    whole = timeline(12)
    n = 0
    estimates = []
    for e in whole:
        if e.modality is Modality.FUSED:
            n += 1
            reason = RejectionReason.FACE_TOO_SMALL if n % 8 else RejectionReason.CONTRADICTION
            e = replace(e, uncertain=Rejected(reason)) if n % 4 == 0 or n % 6 == 0 else e
        estimates.append(e)
    return replace(whole, estimates=tuple(estimates))


def reasons(t: Timeline) -> list[str]:
    return [e.uncertain.reason.value if e.uncertain else "" for e in t]


def test_json_keeps_it(doubted: Timeline, tmp_path: Path) -> None:
    write_json(doubted, tmp_path / "t.json")
    assert reasons(read_json(tmp_path / "t.json")) == reasons(doubted)
    raw = json.loads((tmp_path / "t.json").read_text())["estimates"]
    assert [e.get("uncertain", "") for e in raw] == reasons(doubted)


def test_a_reason_of_later_days_is_still_a_doubt(doubted: Timeline, tmp_path: Path) -> None:
    write_json(doubted, tmp_path / "t.json")
    text = (tmp_path / "t.json").read_text().replace('"face-too-small"', '"wears-a-mask"')
    (tmp_path / "t.json").write_text(text)
    back = read_json(tmp_path / "t.json")
    assert [bool(r) for r in reasons(back)] == [bool(r) for r in reasons(doubted)]
    assert "low-confidence" in reasons(back)


def test_csv_and_frames_have_a_column(doubted: Timeline, tmp_path: Path) -> None:
    write_csv(doubted, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as f:
        assert [row["uncertain"] for row in csv.DictReader(f)] == reasons(doubted)
    assert doubted.to_frame()["uncertain"].fillna("").tolist() == reasons(doubted)


def test_the_summary_says_how_much_and_why(doubted: Timeline) -> None:
    person = summarise(doubted).people[0]
    fused = doubted.of(Modality.FUSED, person.subject)
    marked = [e for e in fused if e.uncertain]
    part = sum(e.span.duration_ns for e in marked) / sum(e.span.duration_ns for e in fused)
    assert person.uncertain == pytest.approx(part)
    told = describe_doubt(person)
    assert told.startswith(f"{round(100 * part)} % uncertain: ")
    assert describe_doubt(replace(person, doubts={RejectionReason.NO_FACE: 0.12})) == (
        "12 % uncertain: no face"
    )
    mixed = {RejectionReason.TOO_NOISY: 0.1, RejectionReason.CONTRADICTION: 0.02}
    assert describe_doubt(replace(person, doubts=mixed)) == "12 % uncertain: mostly too noisy"
    even = {RejectionReason.TOO_NOISY: 0.1, RejectionReason.CONTRADICTION: 0.1}
    assert describe_doubt(replace(person, doubts=even)) == (
        "20 % uncertain: too noisy and other reasons"
    )
    assert describe_doubt(summarise(timeline(4)).people[0]) == ""


def test_the_printed_table_says_it(doubted: Timeline) -> None:
    screen = show.stdout()
    with screen.capture() as printed:
        screen.print(show.people(summarise(doubted)))
    assert "uncertain" in printed.get().replace("\n", " ")


def test_the_page_holds_reasons(doubted: Timeline) -> None:
    html = render_report(doubted)
    data = json.loads(
        re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1]  # type: ignore[index]
    )
    lanes = [lane for lane in data["lanes"] if lane["modality"] == "fused"]
    told = {r for lane in lanes for r in lane.get("uncertain", [])}
    assert told == {None, "face-too-small", "contradiction"}
    facts = [fact for person in data["summary"]["people"] for fact in person["facts"]]
    assert any("uncertain: mostly face too small" in fact for fact in facts)
