"""Batches that are interrupted, killed, changed and gone on with: the real command."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emofuse.annotations import append
from emofuse.annotations.edits import Name
from emofuse.annotations.log import FILE
from emofuse.batch.journal import Journal, State
from emofuse.export.json import read_json

COMMAND = [sys.executable, "-m", "emofuse", "batch"]


@pytest.fixture
def photos(media: Path, tmp_path: Path) -> Path:
    """A folder of folders with three copies of a portrait, and a file that is no picture."""
    root = tmp_path / "in"
    for place in ("S00/trial_0.jpg", "S01/trial_0.jpg", "S01/trial_1.jpg"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "portrait.jpg", root / place)
    (root / "S01/broken.jpg").write_bytes(b"no picture")
    return root


Batch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def batch(photos: Path, tmp_path: Path) -> Batch:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        args = [str(photos), "--out", str(tmp_path / "out"), "--format", "json,csv,html"]
        return subprocess.run(
            [*COMMAND, *args, "--workers", "1", "--json", *options], capture_output=True, text=True
        )

    return run


def done(out: Path) -> dict[str, int]:
    """When the results of each file were written."""
    return {p.parent.name: p.stat().st_mtime_ns for p in out.rglob("timeline.json")}


def test_a_batch_mirrors_folders_and_goes_on(batch: Batch, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = batch()
    assert first.returncode == 2, first.stderr
    assert "broken.jpg" in first.stderr
    assert sorted(p.parent.relative_to(out).as_posix() for p in out.rglob("timeline.json")) == [
        "S00/trial_0",
        "S01/trial_0",
        "S01/trial_1",
    ]
    with (out / "timeline.csv").open(newline="") as f:
        assert len({row["file"] for row in csv.DictReader(f)}) == 3
    assert 'href="S01/trial_1/timeline.html"' in (out / "index.html").read_text()
    before = {p: p.stat().st_mtime_ns for p in out.rglob("timeline.json")}
    found = read_json(out / "S00/trial_0/timeline.json")
    edit = Name(subject=str(found.fused[0].subject), name="Anna")
    append(out / "S00/trial_0" / FILE, [edit], found)

    again = batch()
    page = (out / "index.html").read_text()
    assert "1 file was corrected by hand" in page
    assert page.count("Anna") > 0
    with (out / "timeline.csv").open(newline="") as f:
        assert {row["name"] for row in csv.DictReader(f)} == {"Anna", ""}
    report = json.loads(again.stdout)
    assert again.returncode == 2
    assert report["media"] == []
    assert len(report["finished_before"]) == 3
    assert "in an earlier run" in report["failed"][0]["error"]
    assert {p: p.stat().st_mtime_ns for p in out.rglob("timeline.json")} == before

    shutil.copy(photos / "S00/trial_0.jpg", photos / "S01/broken.jpg")  # mended: tried again
    (photos / "S01/trial_1.jpg").touch()  # touched: the content is the same
    (out / "S00/trial_0/timeline.csv").unlink()  # lost: made anew
    report = json.loads(batch().stdout)
    assert sorted(Path(m["file"]).name for m in report["media"]) == ["broken.jpg", "trial_0.jpg"]
    assert not (out / "failures.csv").exists()
    assert 'href="S01/broken/timeline.html"' in (out / "index.html").read_text()


def test_other_settings_do_not_replace_results_unasked(batch: Batch, tmp_path: Path) -> None:
    batch()
    before = (tmp_path / "out/S00/trial_0/timeline.json").read_bytes()
    other = batch("--smoothing", "none")
    assert other.returncode == 2
    assert "other settings" in other.stderr
    assert "--overwrite" in other.stderr
    assert (tmp_path / "out/S00/trial_0/timeline.json").read_bytes() == before
    report = json.loads(batch("--smoothing", "none", "--overwrite").stdout)
    assert len(report["media"]) == 3
    made = read_json(tmp_path / "out/S00/trial_0/timeline.json")
    assert made.provenance.settings["smoothing"]["method"] == "none"


def test_retry_failed_and_dry_run(batch: Batch, tmp_path: Path) -> None:
    batch()
    dry = batch("--dry-run", "--retry-failed")
    assert "broken.jpg" in dry.stdout
    assert "1 file to analyze" in dry.stdout
    retried = batch("--retry-failed")
    assert retried.returncode == 2
    assert json.loads(retried.stdout)["failed"][0]["file"].endswith("broken.jpg")
    with Journal(tmp_path / "out") as journal:
        assert {e.attempts for e in journal.entries() if e.state is State.FAILED} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_batch_goes_on(how: signal.Signals, media: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for n in range(6):
        shutil.copy(media / "talking.mp4", root / f"{n}.mp4")
    args = [*COMMAND, str(root), "--out", str(out), "--asr", "none", "--workers", "2"]
    process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
    while len(done(out)) < 2 and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, how)
    _, err = process.communicate(timeout=60)
    finished = done(out)
    assert finished.keys() < {str(n) for n in range(6)}, "it was interrupted"
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to go on" in err
        assert not list(out.rglob(".*.part"))
        assert "0 failed" in err
    with Journal(out) as journal:
        kept = {e.name for e in journal.entries() if e.state is State.DONE}
    again = subprocess.run(args, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(done(out)) == 6
    assert {n: t for n, t in done(out).items() if n in kept} == {n: finished[n] for n in kept}
    assert not list(out.rglob(".*.part"))
    assert (out / "index.html").is_file()
