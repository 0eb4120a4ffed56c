"""Somebody who reads a page at a desk and does what it says, line by line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT, Block, words
from tests.docs.desk import known
from tests.server.serving import Running

from emofuse.cli.main import main

_SHELL_SIGNS = re.compile(r"[|&;<>$`]|^[A-Z_]+=")
_IN_CHECKOUT = re.compile(r"^make |benchmarks\.|examples/make_demo")
_ADDED = {
    r"^emofuse train (face|speech|text)": "--epochs 1 --set batch=3",
    r"^emofuse train fusion": "--epochs 1",
    r"^emofuse train .*group-small": "--epochs 1 --set visual.batch=3 --set audio.batch=3 "
    "--set flow.batch=3 --set faces.batch=3 --set fusion.batch=3",
    r"^emofuse tune": "--epochs 1 --trials 1 --set batch=3",
    r"^emofuse evaluate (fusion|cross)": "--resamples 50",
    r"^pip install": "--dry-run --ignore-installed",
    r"^curl ": "--silent --show-error --fail-with-body",
    r"stream_client\.py": "http://127.0.0.1:8000",
}
"""What a command holds → what is added to it, so that it takes seconds, changes nothing of ours,
finds our server, and fails where the server refuses."""

PIECE = "from tests.docs.desk import known; globals().update(known())\n"
"""What goes before a piece of Python that has a process of its own."""


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Args:
        block: the step.
        status: its exit status; None if it was not run.
        said: why it was not run; or what it printed, of errors if it failed.
        seconds: how long it took.
        added: what was added to the command.
    """

    block: Block
    status: int | None
    said: str
    seconds: float = 0.0
    added: str = ""


class Reader:
    """Runs the steps of a page, one after the other.

    Args:
        desk: where it is done.
        here: run `emofuse` and Python in this process, whose environment is the desk's already;
            otherwise everything has a process of its own.
        variables: environment of these processes.
    """

    def __init__(self, desk: Path, here: bool, variables: dict[str, str]) -> None:
        self.desk, self.here, self.variables = desk, here, dict(variables)
        self._server: Running | None = None
        self._serving: Block | None = None

    def read(self, block: Block) -> Outcome:
        """Do what a step says."""
        started = time.monotonic()
        if block.is_python:
            status, said, added = *self._python(block), ""
        else:
            added = next((more for sign, more in _ADDED.items() if re.search(sign, block.code)), "")
            line = self._of_our_server(f"{block.code} {added}".strip())
            status, said = self._command(block, line)
        return Outcome(block, status, said, time.monotonic() - started, added)

    def end(self) -> Iterator[Outcome]:
        """End the server that the page started, if it did: yield what became of it."""
        if self._server is not None and self._serving is not None:
            status = self._server.end(signal.SIGINT)
            yield Outcome(self._serving, status, self._server.log, added="ended by Ctrl-C")

    def _command(self, block: Block, line: str) -> tuple[int, str]:
        args = words(line)
        if args[:2] == ["emofuse", "serve"]:
            self._serving, self._server = block, Running(self.desk / ".state", {}).wait()
            return 0, self._server.log
        if "--out" in args:  # what lies there is of an earlier command, or of the desk
            shutil.rmtree(self.desk / args[args.index("--out") + 1], ignore_errors=True)
        if args[0] == "export":
            self._export(line)
        if self.here and args[0] == "emofuse" and not _SHELL_SIGNS.search(line):
            return self._main(args[1:])
        checkout = self.desk.parent / "checkout"
        return self._process(
            ["bash", "-c", line], checkout if _IN_CHECKOUT.search(line) else self.desk
        )

    def _main(self, args: Sequence[str]) -> tuple[int, str]:
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = main(args)
        return status, (errors if status else out).getvalue()

    def _python(self, block: Block) -> tuple[int, str]:
        code = self._of_our_server(block.code)
        if not self.here:
            return self._process([sys.executable, "-c", PIECE + code], self.desk)
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(code, str(block), "exec"), known())
        except Exception:
            return 1, traceback.format_exc()
        return 0, out.getvalue()

    def _process(self, args: Sequence[str], folder: Path) -> tuple[int, str]:
        done = subprocess.run(
            args, cwd=folder, env=os.environ | self.variables, capture_output=True, text=True
        )
        return done.returncode, done.stderr if done.returncode else done.stdout

    def _export(self, line: str) -> None:
        """Let what a page exports be there for its later lines."""
        names = re.findall(r"(\w+)=", line)
        _, said = self._process(["bash", "-c", f"{line}; env"], self.desk)
        told = dict(row.split("=", 1) for row in said.splitlines() if "=" in row)
        self.variables |= {name: told[name] for name in names}

    def _of_our_server(self, code: str) -> str:
        port = 8000 if self._server is None else self._server.port
        return code.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def surroundings(desk: Path, programs: Path) -> dict[str, str]:
    """Return the environment of a desk: offline, nothing of the user's, our programs.

    Args:
        desk: the folder of a page.
        programs: a folder for `emofuse`, `python` and `pip` of this interpreter.
    """
    programs.mkdir(exist_ok=True)
    for name, module in (("emofuse", "-m emofuse"), ("python", ""), ("pip", "-m pip")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        script.chmod(0o755)
    homes = {f"XDG_{kind}_HOME": str(desk / ".home") for kind in ("CACHE", "DATA", "STATE")}
    return {
        **homes,
        "COLUMNS": "80",
        "EMOFUSE_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
