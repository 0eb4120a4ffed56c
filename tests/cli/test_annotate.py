"""`emofuse annotate` and `emofuse agreement`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from tests.export.synthetic import pictures, timeline

from emofuse.annotations import Annotations
from emofuse.annotations.edits import Confirm, Name, SetLabel
from emofuse.cli.main import main
from emofuse.export.html import write_report
from emofuse.export.json import read_json, write_json

FOUND = timeline(24)
NASTY = '=HYPERLINK("x")</script><script>alert(1)</script>'


@pytest.fixture
def result(tmp_path: Path) -> Path:
    write_json(FOUND, tmp_path / "out/timeline.json")
    write_report(FOUND, tmp_path / "out/timeline.html", pictures(24))
    return tmp_path / "out"


def saved(path: Path, *edits) -> str:
    path.write_text(Annotations.of(FOUND).with_edits(edits).to_json(), encoding="utf-8")
    return str(path)


def test_edits_are_applied_listed_undone_and_exported(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (result / "timeline.json").read_bytes()
    label = SetLabel(subject="face-1", start=2, end=4, label="contempt", author="Eve")
    file = saved(tmp_path / "mine.json", Name(subject="face-1", name=NASTY), label)
    assert main(["annotate", str(result), "--apply", file, "--format", "csv"]) == 0
    assert "edits added: 2, in force: 2" in capsys.readouterr().out
    rows = list(csv.DictReader((result / "timeline.csv").open(encoding="utf-8")))
    by_hand = [row for row in rows if row["source"] == "hand"]
    assert [(row["start"], row["label"]) for row in by_hand] == [
        (f"{t:.3f}", "contempt") for t in (2, 2.5, 3, 3.5)
    ]
    assert {row["name"] for row in rows if row["subject"] == "face-1"} == {f"'{NASTY}"}
    assert main(["annotate", str(result), "--apply", file]) == 0
    assert "edits added: 0, in force: 2" in capsys.readouterr().out
    assert main(["annotate", str(result), "--undo", "last"]) == 0
    assert main(["annotate", str(result), "--list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"Eve +label: .*label contempt \(undone\)", listed)
    assert (result / "timeline.json").read_bytes() == before


def test_the_page_gets_the_edits_and_keeps_its_pictures(result: Path, tmp_path: Path) -> None:
    file = saved(tmp_path / "mine.json", Name(subject="face-1", name=NASTY))
    assert main(["annotate", str(result), "--apply", file, "--format", "html"]) == 2
    assert main(["annotate", str(result), "--format", "html", "--overwrite"]) == 0
    page = (result / "timeline.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert data["edits"][0]["name"] == NASTY
    assert len(data["thumbnails"]) == 12


def test_an_edited_json_holds_both(result: Path, tmp_path: Path) -> None:
    file = saved(
        tmp_path / "mine.json", SetLabel(subject="face-1", start=2, end=3, label="contempt")
    )
    assert main(["annotate", str(result), "--apply", file, "--format", "json"]) == 2
    to = tmp_path / "edited"
    assert main(["annotate", str(result), "--format", "json", "--out", str(to)]) == 0
    changed = [e for e in read_json(to / "timeline.json") if e.machine]
    assert [e.label for e in changed] == ["contempt"] * 2
    assert [e.machine.label for e in changed if e.machine] == [
        e.label for e in FOUND.fused if e.span.start in (2, 2.5) and str(e.subject) == "face-1"
    ]


def test_edits_of_another_result_are_refused(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Annotations.of(timeline(20, path="party.mp4"))
    file = tmp_path / "other.json"
    file.write_text(other.to_json(), encoding="utf-8")
    assert main(["annotate", str(result), "--apply", str(file)]) == 2
    said = capsys.readouterr().err
    assert "are of 'party.mp4'" in said
    assert "Traceback" not in said
    assert not (result / "annotations.json").exists()


def test_agreement_is_measured_over_results(
    result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agreement", str(tmp_path)]) == 2
    assert "nothing to compare" in capsys.readouterr().err
    file = saved(
        tmp_path / "mine.json",
        Confirm(subject="face-1", start=0, end=9),
        SetLabel(subject="face-1", start=0, end=2, label="contempt"),
    )
    assert main(["annotate", str(result), "--apply", file]) == 0
    capsys.readouterr()
    assert main(["agreement", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["slots"], told["same"]) == (18, 14)
    assert main(["agreement", str(result)]) == 0
    shown = capsys.readouterr().out
    assert "18 slots of 1 people in 1 files" in shown
    assert "few" in shown
