"""`emofuse live` and `emofuse devices`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pygame", reason="the window is an extra: emofuse[live]")

from emofuse.cli.main import BAD_INPUT, main


def test_devices_are_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture) -> None:
    assert main(["devices"]) == 0
    text = capsys.readouterr().out
    assert "Cameras" in text
    assert "Microphones" in text
    assert main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"cameras", "microphones", "problem"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--camera", "no-such.mp4"], "--camera: got 'no-such.mp4'"),
        (["--camera", "93", "--microphone", "none"], "camera 93 cannot be opened"),
        (["--camera", "none", "--microphone", "none"], "neither a camera nor a microphone"),
        (["--camera", "none", "--asr", "dictaphone"], "--asr"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["live", *arguments]) == BAD_INPUT
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_a_window_over_files_ends_with_them(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    picture = str(media / "talking.mp4")
    assert main(["live", "--camera", picture, "--microphone", "none", "--asr", "none"]) == 0
    assert capsys.readouterr().out == ""
