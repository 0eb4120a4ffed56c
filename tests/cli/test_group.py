"""`emofuse analyze --group`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Run = Any  # see conftest.py


def test_table_and_json_tell_of_the_group(run: Run, media: Path) -> None:
    done = run("analyze", media / "portrait.jpg", "--group")
    assert done.code == 0, done.err
    line = next(line for line in done.out.splitlines() if "Group" in line)
    assert "1 face, 100% read" in line
    (medium,) = json.loads(run("analyze", media / "portrait.jpg", "--group", "--json").out)["media"]
    assert medium["group"]["faces"] == 1
    assert medium["people"][0]["subject"] == "group-1"


def test_what_cannot_be_used_is_said(run: Run, media: Path, tmp_path: Path) -> None:
    portrait = media / "portrait.jpg"
    assert "--group, too" in run("analyze", portrait, "--model", "group-v1").failed_cleanly()
    message = run("analyze", portrait, "--group", "--model", "face-v4").failed_cleanly()
    assert "no model of groups" in message
    message = run("analyze", portrait, "--group", "--model", "mine").failed_cleanly()
    assert "mine" in message
    assert "goes with PATH" in run("analyze", "--text", "well", "--group").failed_cleanly()
