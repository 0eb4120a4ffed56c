"""What the documentation says is done: every page's commands and Python, one after the other.

What needs the network, minutes, or what no test has (a camera, Docker) is left to
`python -m tests.docs.run`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Here
from tests.docs.blocks import Block, steps
from tests.docs.desk import Effort, desk_of, lay_out, obstacle
from tests.docs.reader import Reader, surroundings

STEPS = steps()
PAGES = list(dict.fromkeys(b.page for b in STEPS if obstacle(b.code) is None))
CLOSE = 3
"""How far numbers may lie apart from those that a page shows: percentage points, mostly."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The desk of which every page gets a copy."""
    return lay_out(tmp_path_factory.mktemp("reader") / "desk")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_it_does_what_it_says(page: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_of(page, home, home.parent)
    for name in [name for name in os.environ if name.startswith("EMOFUSE_")]:
        monkeypatch.delenv(name)
    variables = surroundings(desk, home.parent / "programs")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(desk)
    monkeypatch.setattr("emofuse.cli.analysis._process", Here)  # as `tests.docs.run` does not
    reader, failed = Reader(desk, here=True, variables=variables), []
    for block in (b for b in STEPS if b.page == page and obstacle(b.code) is None):
        outcome = reader.read(block)
        if outcome.status:
            failed.append(f"{block} {block.code}: {outcome.status}, {outcome.said}")
        elif left := differing(block.told, outcome.said):
            failed.append(f"{block}: {left} not in\n{outcome.said}")
    failed += [f"{o.block} {o.said}" for o in reader.end() if o.status]
    assert not failed, "\n".join(failed)


def test_nearly_everything_is_run_by_somebody() -> None:
    def left_out(effort: Effort, python: bool) -> list[Block]:
        return [b for b in STEPS if b.is_python is python and obstacle(b.code, effort)]

    assert len(STEPS) > 150
    assert len(left_out(Effort.LONG, python=False)) <= 20
    assert len(left_out(Effort.COMPLETE, python=True)) <= 3
