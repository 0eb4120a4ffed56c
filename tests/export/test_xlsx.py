"""The workbook, read back by openpyxl."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
from tests.export.synthetic import timeline

from emofuse.core.details import TextDetails
from emofuse.core.estimates import Modality
from emofuse.export import xlsx
from emofuse.export.people import summary_rows
from emofuse.export.slots import slot_rows
from emofuse.export.xlsx import write_xlsx

openpyxl = pytest.importorskip("openpyxl")


def rows_of(path: Path, sheet: str) -> list[dict]:
    head, *rows = openpyxl.load_workbook(path, read_only=True)[sheet].iter_rows(values_only=True)
    return [dict(zip_longest(head, row)) for row in rows]


def test_the_sheets_hold_the_timeline(tmp_path: Path) -> None:
    made, path = timeline(12), tmp_path / "t.xlsx"
    write_xlsx(made, path)
    assert openpyxl.load_workbook(path).sheetnames == ["people", "slots", "words", "settings"]
    slots = rows_of(path, "slots")
    expected = list(slot_rows(made))
    assert len(slots) == len(expected)
    for got, row in zip(slots, expected, strict=True):
        assert {k: got[k] for k in ("person", "slot", "start", "present", "label")} == {
            k: row.get(k) for k in ("person", "slot", "start", "present", "label")
        }
        assert got["p_happy"] == pytest.approx(row.get("p_happy"))
    people = rows_of(path, "people")
    assert [p["person"] for p in people] == [p["person"] for p in summary_rows(made)]
    assert isinstance(people[0]["present"], int | float)
    said = [e.find_details(TextDetails).text for e in made.of(Modality.TEXT)]
    assert [row["text"] for row in rows_of(path, "words")] == said
    told = {row["setting"]: row["value"] for row in rows_of(path, "settings")}
    assert told["models.face"] == "face-v4"
    assert told["settings.fusion.strategy"] == "logpool"
    assert told["about"].startswith("Expressions, not feelings")


def test_no_word_and_no_name_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    odd = '=HYPERLINK("http://a", "b")'
    made = timeline(20, lines=(odd, "+1", "@SUM(1)", "a\x07b"))
    write_xlsx(replace(made, media=replace(made.media, path="=1+1\udcff.mp4")), path)
    with zipfile.ZipFile(path) as book:
        assert not [n for n in book.namelist() if b"<f>" in book.read(n)]
    said = [row["text"] for row in rows_of(path, "words")]
    assert odd in said
    assert "ab" in said
    assert rows_of(path, "people")[0]["file"] == "=1+1\\udcff.mp4"


def test_what_is_too_long_for_a_sheet_goes_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "_ROWS", 20)
    made, path = timeline(8), tmp_path / "t.xlsx"
    write_xlsx(made, path)
    names = [n for n in openpyxl.load_workbook(path).sheetnames if n.startswith("slots")]
    rows = [row for name in names for row in rows_of(path, name)]
    assert len(names) > 1
    assert len(rows) == len(list(slot_rows(made)))
