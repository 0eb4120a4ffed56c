"""`emofuse export`: formats from results, without the media."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests.export.synthetic import timeline

from emofuse.cli.main import main
from emofuse.export.json import write_json


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        made = timeline(6)
        write_json(
            replace(made, media=replace(made.media, path=f"{name}.mp4")),
            tmp_path / "results" / name / "timeline.json",
        )
    return tmp_path / "results"


def test_a_batch_gets_a_table_of_all(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(results), "--format", "slots,summary"]) == 0
    for name in ("a", "b"):
        assert {p.name for p in (results / name).iterdir()} == {
            *("timeline.json", "slots.csv", "summary.csv")
        }
    table = pd.read_csv(results / "summary.csv")
    assert set(table.file) == {"a.mp4", "b.mp4"}
    assert str(results / "a" / "slots.csv") in capsys.readouterr().out
    assert main(["export", str(results), "--format", "summary"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["export", str(results), "--format", "summary", "--overwrite", "-q"]) == 0


def test_results_go_where_they_are_wanted(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = results / "a" / "timeline.json"
    assert main(["export", str(one), "--format", "elan", "--out", str(out), "-q"]) == 0
    assert [p.name for p in out.iterdir()] == ["timeline.eaf"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["nowhere", "--format", "csv"], "there is nothing at nowhere"),
        (["{empty}", "--format", "csv"], "holds no timeline.json"),
        (["{empty}", "--format", "exe"], "expected some of csv"),
    ],
)
def test_mistakes_are_told(
    args: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["export", *(a.format(empty=tmp_path / "empty") for a in args)]) == 2
    assert told in capsys.readouterr().err


def test_the_result_itself_is_never_changed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results / "a" / "timeline.json"
    before = found.read_bytes()
    assert main(["export", str(found), "--format", "csv,json", "--overwrite"]) == 2
    assert "is never changed" in capsys.readouterr().err
    assert found.read_bytes() == before
