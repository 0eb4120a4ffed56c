"""`emofuse keyframes`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

Run = Any  # see conftest.py


def test_frames_and_their_table_are_written(run: Run, talking: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("keyframes", talking, "--out", out, "--count", 3)
    assert done.code == 0, done.err
    assert done.out.count("%") == 6
    with (out / "keyframes.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["file"] for row in rows] == [f"keyframe-{n:02d}.jpg" for n in (1, 2, 3)]
    assert [float(row["time"]) for row in rows] == sorted(float(row["time"]) for row in rows)
    assert all((out / row["file"]).read_bytes()[:2] == b"\xff\xd8" for row in rows)
    assert "--overwrite" in run("keyframes", talking, "--out", out).failed_cleanly()


def test_json_holds_the_same(run: Run, talking: Path) -> None:
    found = json.loads(run("keyframes", talking, "--count", 2, "--json").out)
    assert len(found) == 2
    assert set(found[0]["probabilities"]) == {"positive", "neutral", "negative"}


def test_what_cannot_be_used_is_said(run: Run, media: Path, tmp_path: Path) -> None:
    assert "has no pictures" in run("keyframes", media / "speech.ogg").failed_cleanly()
    assert "nowhere.mp4" in run("keyframes", tmp_path / "nowhere.mp4").failed_cleanly()
    message = run("keyframes", media / "talking.mp4", "--model", "speech-v4").failed_cleanly()
    assert "does not look at pictures" in message
