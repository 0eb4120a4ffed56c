"""Runs the commands of README and documentation: `python -m tests.docs.run --out commands.md`.

Each page is a reader with a desk of their own (`tests.docs.desk`): its commands run one after
the other, as they stand there, offline. What cannot be run at a desk is listed with the reason.
Ends with 1 if a command does not end with 0.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT, Block, commands, words
from tests.docs.desk import desk_of, lay_out, lay_out_corpora, obstacle
from tests.docs.test_python import BLOCKS
from tests.docs.test_python import obstacle as python_obstacle

PROGRAMS = ("emofuse", "python", "pip", "make", "curl", "docker", "export")


@dataclass(frozen=True)
class Outcome:
    """What became of a command: its exit status, or why it was not run."""

    block: Block
    status: int | None
    said: str
    seconds: float = 0.0


def documented() -> list[Block]:
    """Return every documented command, in the order of the pages."""
    found = [block for program in PROGRAMS for block in commands(program)]
    return sorted(found, key=lambda b: (b.page != "README.md", b.page, b.line))


def run_all(blocks: list[Block], folder: Path) -> Iterator[Outcome]:
    """Run commands, each page's in its own copy of the desk."""
    home = folder / "desk"
    home.mkdir()
    lay_out(home)
    lay_out_corpora(home)
    for block in blocks:
        if (why := obstacle(block.code)) is not None:
            yield Outcome(block, None, why)
            continue
        yield run(block, desk_of(block.page, home, folder))


def run(block: Block, folder: Path) -> Outcome:
    """Run one command; a place for results that an earlier one filled is emptied first."""
    args = words(block.code)
    if "--out" in args:
        shutil.rmtree(folder / args[args.index("--out") + 1], ignore_errors=True)
    program = [sys.executable, *(["-m", "emofuse"] if args[0] == "emofuse" else [])]
    started = time.monotonic()
    environment = {**os.environ, "EMOFUSE_OFFLINE": "1", "COLUMNS": "80"}
    done = subprocess.run(
        [*program, *args[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    said = (lines[-1] if lines else "")[:100]
    return Outcome(block, done.returncode, said, time.monotonic() - started)


def table(outcomes: list[Outcome]) -> str:
    """Return the list as Markdown."""
    rows = ["| where | command | exit status | |", "|---|---|---|---|"]
    for o in outcomes:
        status = "not run" if o.status is None else str(o.status)
        cells = (str(o.block), f"`{shlex.join(words(o.block.code))}`", status, o.said)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    ran = [o for o in outcomes if o.status is not None]
    code = sum(python_obstacle(block) is None for block in BLOCKS)
    return "\n".join(
        [
            f"{len(outcomes)} commands, {len(ran)} run, {sum(o.status == 0 for o in ran)} ended "
            f"with 0; {len(BLOCKS)} blocks of Python, {code} run by the tests, of all the imports; "
            f"{len(list((ROOT / 'docs' / 'notebooks').glob('*.ipynb')))} notebooks, all run.",
            "",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Run everything, write the list."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.run", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("commands.md"), help="the list")
    parser.add_argument("--page", help="of one page alone, e.g. README.md")
    options = parser.parse_args()
    blocks = [b for b in documented() if options.page in (None, b.page)]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in run_all(blocks, Path(folder)):
            outcomes.append(outcome)
            sys.stderr.write(f"{outcome.status} {outcome.block} {outcome.block.code}\n")
    options.out.write_text(table(outcomes), encoding="utf-8")
    return int(any(o.status for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
