"""`emofuse runs`, on folders as trainings leave them."""

import json
from pathlib import Path
from typing import Any

import pytest

Run = Any  # see conftest.py


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, net, best in (("a", "vgg16", 0.61), ("b", "cnn4", 0.52)):
        folder = tmp_path / "runs" / name
        (folder / "model").mkdir(parents=True)
        epochs = [
            {"epoch": n, "seconds": 2.0, "loss": 2 / n, "log_loss": 3 / n, "uar": best * n / 5}
            for n in range(1, 6)
        ]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, epochs)))
        settings = f"net: {{name: {net}}}\nloop: {{seed: 1}}\nrun: {folder}\n"
        (folder / "config.yaml").write_text(settings)
        if name == "a":
            found = {"labels": ["happy", "sad", "fear"], "counts": [[8, 2, 0], [3, 7, 0], [0] * 3]}
            (folder / "confusion.json").write_text(json.dumps(found))
    (tmp_path / "runs" / "a" / "model" / "a.toml").write_text("")
    return tmp_path / "runs"


def test_they_are_listed_legibly(run: Run, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs.parent)
    monkeypatch.setenv("COLUMNS", "80")
    out = run("runs", "list").out
    assert "runs/a" in out
    assert "0.61" in out
    assert out.count("unfinished") == 1
    assert max(map(len, out.splitlines())) <= 80


def test_they_are_laid_over_each_other(run: Run, runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "both.png"
    ran = run("runs", "compare", runs / "a", runs / "b", "--out", picture)
    assert ran.code == 0, ran.err
    assert "net.name=vgg16" in ran.out
    assert "loop.seed" not in ran.out  # in that they do not differ
    without = picture.read_bytes()
    assert f"{runs / 'b'}: no confusion matrix;" in ran.out
    (runs / "b" / "confusion.json").write_text((runs / "a" / "confusion.json").read_text())
    both = run("runs", "compare", runs / "a", runs / "b", "--out", picture, "--overwrite")
    assert "no confusion" not in both.out
    assert picture.read_bytes() != without  # a second matrix beside the first
    deep = tmp_path / "new" / "folder" / "both.svg"
    assert run("runs", "compare", runs / "a", runs / "b", "--out", deep).code == 0
    assert deep.read_text().startswith("<?xml")
    odd = run("runs", "compare", runs / "a", runs / "b", "--out", tmp_path / "both.docx")
    assert "a picture ends in .png, .svg, .pdf, got 'both.docx'" in odd.failed_cleanly()
    again = run("runs", "compare", runs / "a", runs / "b", "--out", picture)
    assert "exists already" in again.failed_cleanly()


def test_what_is_no_run_is_told(run: Run, runs: Path, tmp_path: Path) -> None:
    assert "no training in" in run("runs", "list", tmp_path / "none").failed_cleanly()
    message = run("runs", "compare", runs / "a", tmp_path).failed_cleanly()
    assert "is not the folder of a training" in message
    (runs / "b" / "confusion.json").write_text('{"labels": ["happy"], "counts": []}')
    message = run("runs", "compare", runs / "a", runs / "b").failed_cleanly()
    assert "confusion.json" in message
    assert "two runs" in run("runs", "compare", runs / "a").failed_cleanly()
