"""`python -m tests.fuzz`: the long run; `make fuzz` calls it."""

# ruff: noqa: T201 — it tells what it found

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.run import BAD, counts, run
from tests.fuzz.seeds import Kind


def main() -> int:
    """Run cases and say what came of them; 1 if anything crashed, hung, leaked or was noisy."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of files (10000)")
    parser.add_argument("--requests", type=int, default=2000, help="to the server (2000)")
    parser.add_argument("--sessions", type=int, default=100, help="live, with the server (100)")
    parser.add_argument("--seed", type=int, default=0, help="decides the cases (0)")
    parser.add_argument("--out", type=Path, default=Path("fuzz-out"), help="folder (fuzz-out)")
    parser.add_argument("--kinds", nargs="*", type=Kind, default=list(Kind), help="of files")
    asked = parser.parse_args()
    results = run(asked.out, asked.cases, asked.seed, asked.kinds)
    if asked.requests or asked.sessions:
        from tests.fuzz.web import run_web

        results += run_web(asked.out, asked.requests, asked.sessions, asked.seed)
    for result in results:
        if result.outcome in BAD:
            print(f"case {result.case} ({result.seed_file}): {result.outcome}: {result.told}")
    found = counts(results)
    print(", ".join(f"{n} {name}" for name, n in found.items()), f"of {len(results)} cases")
    return int(any(found[name] for name in BAD))


if __name__ == "__main__":
    sys.exit(main())
