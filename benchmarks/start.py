"""How long does it take to import emofuse, and to ask the command line for help?

    python -m benchmarks.start

Each figure is the median of several fresh processes, the interpreter's own start
included for the commands and excluded for the import.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.common import write_result

RUNS = 9
HEAVY = ("torch", "cv2", "av", "pandas")


def median_wall(*arguments: str) -> float:
    """Median wall time of running this interpreter with arguments, in seconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def heavy_modules(statement: str) -> list[str]:
    """Which of the heavy modules a statement loads."""
    code = f"import sys\n{statement}\nprint(*[m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return run.stdout.split()


def main() -> None:
    """Measure and write."""
    bare = median_wall("-c", "pass")
    everything = "import emofuse; from emofuse.cli.main import main"
    write_result(
        "start",
        {
            "interpreter_s": round(bare, 3),
            "import_emofuse_s": round(median_wall("-c", "import emofuse") - bare, 3),
            "help_s": round(median_wall("-m", "emofuse", "--help"), 3),
            "heavy_modules_loaded": heavy_modules(everything),
            "targets": {"import_emofuse_s": 0.25, "help_s": 0.4},
        },
    )


if __name__ == "__main__":
    main()
