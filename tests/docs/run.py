"""Runs README and documentation: `python -m tests.docs.run --out commands.md`.

Each page is a reader with a desk of their own (`tests.docs.desk`): its commands and pieces of
Python run one after the other, as they stand there. Trainings get one epoch, servers a free
port; whatever was added to a command is in the list, and the reason where one was not run.
Ends with 1 if a step does not end with 0.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.docs.blocks import ROOT, Block, steps
from tests.docs.desk import Effort, desk_of, lay_out, obstacle
from tests.docs.reader import Outcome, Reader, surroundings


def run_all(blocks: Sequence[Block], folder: Path, effort: Effort) -> Iterator[Outcome]:
    """Run steps, each page's at its own copy of the desk."""
    home, checkout = folder / "desk", folder / "checkout"
    home.mkdir()
    lay_out(home)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*wheel, "--wheel-dir", str(folder / "wheels"), str(checkout)], check=True)
    for page, its in groupby(blocks, key=lambda b: b.page):
        desk = desk_of(page, home, folder)
        variables = surroundings(desk, folder / "programs")
        variables |= {"PIP_FIND_LINKS": str(folder / "wheels")}
        reader = Reader(desk, here=False, variables=variables)
        for block in its:
            why = obstacle(block.code, effort)
            yield reader.read(block) if why is None else Outcome(block, None, why)
        yield from reader.end()


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the list as Markdown."""
    rows = ["| where | what | exit status | s | |", "|---|---|---|---:|---|"]
    for o in outcomes:
        last = (o.said.strip().splitlines() or [""])[-1][:100]
        added = f"with `{o.added}`: " if o.added else ""
        cells = (str(o.block), _shown(o.block), *_status(o), f"{added}{last}")
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    summary = (
        f"{_count(outcomes, python=False)} commands; {_count(outcomes, python=True)} pieces of "
        "Python. `make docs` runs the notebooks."
    )
    return "\n".join([summary, "", *rows, ""])


def _shown(block: Block) -> str:
    return "Python" if block.is_python else f"`{block.code}`"


def _status(outcome: Outcome) -> tuple[str, str]:
    if outcome.status is None:
        return "not run", ""
    return str(outcome.status), f"{outcome.seconds:.1f}"


def _count(outcomes: Sequence[Outcome], python: bool) -> str:
    own = [o for o in outcomes if o.block.is_python == python]
    ran = [o for o in own if o.status is not None]
    return f"{sum(o.status == 0 for o in ran)} of {len(ran)} run, of {len(own)}"


def main() -> int:
    """Run everything, write the list."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.run", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("commands.md"), help="the list")
    parser.add_argument("--page", help="of one page alone, e.g. README.md")
    parser.add_argument("--long", action="store_true", help="what takes minutes, too")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("EMOFUSE_")]:
        del os.environ[name]
    blocks = [b for b in steps() if options.page in (None, b.page)]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        effort = Effort.LONG if options.long else Effort.COMPLETE
        for outcome in run_all(blocks, Path(folder), effort):
            outcomes.append(outcome)
            sys.stderr.write(f"{outcome.status} {outcome.block} {_shown(outcome.block)}\n")
    options.out.write_text(table(outcomes), encoding="utf-8")
    return int(any(o.status for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
