"""Rows and tables of a batch have the edits by hand; the results of each file stay as they are."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from tests.export.synthetic import timeline

from emofuse.annotations import append
from emofuse.annotations.edits import Name, SetLabel
from emofuse.annotations.log import FILE
from emofuse.batch.edited import Edited
from emofuse.export import export
from emofuse.export.json import read_json
from emofuse.export.overview import Row, overview_page, row_of
from emofuse.export.summary import summarise

FILES = {"json": "a/timeline.json", "csv": "a/timeline.csv", "summary": "a/summary.csv"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    for name, place in FILES.items():
        export(timeline(8), name, tmp_path / place)
    return tmp_path


def row(files: dict[str, str]) -> Row:
    return row_of(summarise(timeline(8)), None, None, files)


def test_rows_and_tables_have_edits(root: Path) -> None:
    found = read_json(root / "a/timeline.json")
    label = SetLabel(subject="face-1", start=0, end=8, label="contempt")
    append(root / "a" / FILE, [Name(subject="face-1", name="Anna"), label], found)
    before = {p: p.read_bytes() for p in (root / "a").iterdir()}
    edited = Edited(root)
    try:
        made = edited.row(row(FILES))
        assert made.by_hand
        assert [p["name"] for p in made.people if "contempt" in p["shares"]] == ["Anna"]
        assert "1 file was corrected by hand" in overview_page([made])
        for name in ("csv", "summary"):
            with edited.table(root / FILES[name]).open(newline="") as f:
                assert "Anna" in {r["name"] for r in csv.DictReader(f)}
    finally:
        edited.close()
    assert {p: p.read_bytes() for p in (root / "a").iterdir()} == before


def test_the_data_set_is_written_anew(root: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    files = {"json": FILES["json"], "parquet": "a.parquet"}
    export(timeline(8), "parquet", root / "a.parquet")
    found = read_json(root / "a/timeline.json")
    append(root / "a" / FILE, [SetLabel(subject="face-1", start=0, end=8, label="sad")], found)
    Edited(root).row(row(files))
    rows = parquet.read_table(root / "a.parquet").to_pylist()
    assert {r["source"] for r in rows} == {"machine", "hand"}


def test_edits_of_another_result_are_told_and_not_used(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(root / "gone"))  # no table, so no folder for it
    other = timeline(20)
    append(root / "a" / FILE, [Name(subject="face-1", name="Anna")], other)
    edited = Edited(root)
    made = edited.row(row(FILES))
    assert not made.by_hand
    assert "Edits by hand are left out" in made.notes[-1]
    assert edited.table(root / FILES["csv"]) == root / FILES["csv"]
