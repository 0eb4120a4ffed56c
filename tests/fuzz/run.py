"""The runner: makes cases, gives them to a worker process, counts what comes of them."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import Kind, make_seeds
from tests.fuzz.targets import CRASHED, Case, HandlerFactory, Report

from emofuse.io.worker import FailureKind, Limits, Worker, WorkerFailed

HUNG = "hung"
BAD = (CRASHED, HUNG, "leaked", "noisy")

SHARES = {
    Kind.MEDIA: 7,
    Kind.PICTURE: 5,
    Kind.TEXT: 5,
    Kind.SETTINGS: 2,
    Kind.CARD: 1,
    Kind.TABLE: 1,
}
"""How often each kind comes up."""

LIMITS = Limits(total=300, stall=60)
MEMORY_MB = 2500

_NAMELESS = 0.15
"""So many files have the wrong suffix, as downloads do."""

_TEXTS = (Kind.TEXT, Kind.SETTINGS, Kind.CARD, Kind.TABLE)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case, as it is written to the journal.

    Args:
        case: its number, or its name.
        seed_file: what it was made of.
        outcome: see `targets.Report`; also `HUNG`.
        told: words, or what is wrong.
        seconds: how long it took.
        size: bytes of the results.
    """

    case: str
    seed_file: str
    outcome: str
    told: str
    seconds: float
    size: int = 0


def run(folder: Path, cases: int, seed: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Result]:
    """Do cases that are not in the folder's journal yet; inputs that failed are kept there.

    Args:
        folder: of the seeds, the journal and the failed inputs.
        cases: how many, those done before included.
        seed: decides the cases, with their numbers.
        kinds: of which kinds they are.
    """
    journal = Journal(folder / f"journal-{seed}.jsonl")
    seeds = make_seeds(folder / "seeds")
    bag = [kind for kind in kinds for _ in range(SHARES[kind])]
    worker = Worker(HandlerFactory(folder / "tmp"), MEMORY_MB)
    try:
        for number in range(cases):
            if str(number) not in journal.done:
                kind = bag[number % len(bag)]
                with_input = _make(folder / "case", seeds[kind], kind, Random(f"{seed}:{number}"))
                result = _do(worker, with_input, str(number))
                journal.add(result)
                if result.outcome in BAD:
                    _keep(with_input.case.path, folder / "failed", f"{seed}-{number}")
    finally:
        worker.close()
        shutil.rmtree(folder / "case", ignore_errors=True)
    return list(journal.done.values())


@dataclass(frozen=True, slots=True)
class _Made:
    case: Case
    seed_file: str


def _make(folder: Path, seeds: Sequence[Path], kind: Kind, random: Random) -> _Made:
    """Write an input into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed, other = random.choice(seeds), random.choice(seeds)
    data = mutated(random, seed.read_bytes(), other.read_bytes(), kind in _TEXTS)
    name = (other if random.random() < _NAMELESS else seed).suffix
    path = folder / f"input{name}"
    path.write_bytes(data)
    return _Made(Case(kind, path), seed.name)


def _do(worker: Worker, made: _Made, name: str) -> Result:
    started = time.perf_counter()
    try:
        report = worker.run(made.case, LIMITS)
    except WorkerFailed as e:
        hung = e.kind in (FailureKind.STALLED, FailureKind.TOO_LONG)
        report = Report(HUNG if hung else CRASHED, f"{e.kind.value}: {e}")
    except Exception as e:  # what the handler itself raised: files left behind
        report = Report(CRASHED, f"{type(e).__name__}: {e}")
    seconds = round(time.perf_counter() - started, 3)
    return Result(name, made.seed_file, report.outcome, report.told, seconds, report.size)


def _keep(path: Path, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / f"{name}{path.suffix}")


class Journal:
    """What is done: a line of JSON a case.

    Args:
        path: the file; it is made, or read if it is there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.done = {result.case: result for result in self._read()}

    def add(self, result: Result) -> None:
        """Add a case."""
        self.done[result.case] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def _read(self) -> Iterator[Result]:
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                yield Result(**json.loads(line))


def counts(results: Sequence[Result]) -> dict[str, int]:
    """Count outcomes; those that must not be are there even if they are 0."""
    found = Counter(result.outcome for result in results)
    return {name: found[name] for name in ("analyzed", "refused", *BAD)}
