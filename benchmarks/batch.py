"""Batches: files a second, 1 → 2 workers, what a resumed run costs, Ray against local workers.

    python -m benchmarks.batch [--files 24] [--seconds 10] [--ray]

The files are copies of a clip of the repository, joined to the wanted length, under names of
their own. Every run is a process of its own, as users start it, model loading included; the
cost of starting is told by a run over one file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import write_result
from benchmarks.speed import repeat

MEDIA = Path(__file__).parents[1] / "tests" / "media"


def main() -> None:
    """Run what the command line asks for and write ``results/batch.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each file")
    parser.add_argument("--ray", action="store_true", help="compare with Ray, too")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        root, one = Path(folder, "in"), Path(folder, "one")
        fill(root, arguments.files, arguments.seconds)
        fill(one, 1, arguments.seconds)
        runs = {
            "one file": run(one, Path(folder, "out-1")),
            "1 worker": run(root, Path(folder, "out-a"), "--workers", "1"),
            "2 workers": run(root, Path(folder, "out-b"), "--workers", "2"),
            "resumed": run(root, Path(folder, "out-b"), "--workers", "2"),
        }
        if arguments.ray:
            options = ("--workers", "2", "--ray", "local")
            runs["one file, Ray"] = run(one, Path(folder, "out-r"), "--ray", "local")
            runs["2 workers, Ray"] = run(root, Path(folder, "out-c"), *options)
    start = runs["one file"]
    work = {name: seconds - start for name, seconds in runs.items() if "Ray" not in name}
    figures = {
        "files": arguments.files,
        "seconds of each": arguments.seconds,
        "wall seconds": {name: round(seconds, 2) for name, seconds in runs.items()},
        "scaling 1 to 2 workers": round(work["1 worker"] / work["2 workers"], 2),
        "files a second": round(arguments.files / runs["2 workers"], 2),
    }
    if arguments.ray:
        ray = runs["2 workers, Ray"] - runs["one file, Ray"]
        figures["overhead of Ray"] = round(ray / work["2 workers"] - 1, 3)
    write_result("batch", figures)


def fill(folder: Path, files: int, seconds: float) -> None:
    """Make a folder of clips."""
    folder.mkdir()
    first = folder / "000.mp4"
    repeat(MEDIA / "talking.mp4", seconds, first)
    for n in range(1, files):
        shutil.copy(first, folder / f"{n:03d}.mp4")


def run(root: Path, out: Path, *options: str) -> float:
    """Run a batch and return the seconds that it took."""
    command = [sys.executable, "-m", "emofuse", "batch", str(root), "--out", str(out), "--asr"]
    started = time.perf_counter()
    subprocess.run([*command, "none", "--quiet", *options], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
