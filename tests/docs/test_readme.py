"""The README's examples print what it says that they print, to within what machines differ by."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, words
from tests.docs.desk import desk_of, lay_out
from tests.docs.run import documented, obstacle

from emofuse.cli.main import main

_PAIR = re.compile(r"```(python)?\n((?:(?!```).)*)```\n+```text\n(.*?)```", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
EXAMPLES = _PAIR.findall((ROOT / "README.md").read_text("utf-8"))
CLOSE = 3
"""How far numbers may lie apart: percentage points, mostly."""


def differing(told: str, printed: str) -> list[str]:
    """Return the lines of an example that were not printed.

    Widths of columns do not count; a number may differ by `CLOSE`.
    """
    found = [(_shape(line), _numbers(line)) for line in printed.splitlines()]
    return [
        line
        for line in told.splitlines()
        if line.strip()
        and not any(
            shape == _shape(line)
            and all(abs(a - b) <= CLOSE for a, b in zip(numbers, _numbers(line), strict=True))
            for shape, numbers in found
        )
    ]


def _shape(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())


def _numbers(line: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(line)]


def test_lines_that_differ_are_found() -> None:
    assert differing("happy  60 %", "  happy 61 %") == []
    assert differing("happy 60 %", "happy 70 %") == ["happy 60 %"]
    assert differing("happy 60 %", "sad 60 %") == ["happy 60 %"]


@pytest.mark.slow
def test_examples_print_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an example shows is printed; more may be, such as a caveat below it."""
    (tmp_path / "home").mkdir()
    desk = desk_of("README.md", lay_out(tmp_path / "home"), tmp_path)
    monkeypatch.chdir(desk)
    monkeypatch.setenv("EMOFUSE_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shutil.rmtree(desk / "results")  # the examples make their own
    assert len(EXAMPLES) == 3
    for language, code, told in EXAMPLES:
        capsys.readouterr()
        if language:
            exec(compile(code, "README.md", "exec"), {"__name__": "page"})
        else:
            assert main(words(code)[1:]) == 0
        printed = capsys.readouterr().out
        assert not (left := differing(told, printed)), f"{left} not in\n{printed}"


def test_most_commands_are_run_and_the_others_say_why_not() -> None:
    found = documented()
    run = [block for block in found if obstacle(block.code) is None]
    assert len(found) > 110
    assert len(run) > 30
    assert all(block.code.startswith(("emofuse ", "python ")) for block in run)
