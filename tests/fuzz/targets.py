"""What is done with an input, inside of the worker process, and what it must not leave behind."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from tests.fuzz.seeds import Kind

if TYPE_CHECKING:
    from emofuse.analyzer import Analyzer

ANALYZED, REFUSED, CRASHED, LEAKED, NOISY = "analyzed", "refused", "crashed", "leaked", "noisy"

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Case:
    """An input.

    Args:
        kind: what it is an input of.
        path: the file; nothing else may be in its folder afterwards.
    """

    kind: Kind
    path: Path


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a case.

    Args:
        outcome: `ANALYZED`, `REFUSED`, `CRASHED`, `LEAKED` or `NOISY`.
        told: words, or what is wrong.
        size: bytes of the results.
    """

    outcome: str
    told: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class HandlerFactory:
    """Makes, in the worker's process, what does the cases.

    Args:
        folder: of temporary files and of what is written to stderr.
    """

    folder: Path

    def __call__(self) -> Callable[[Case, Progress], Report]:
        """Load the models, and watch stderr from here on."""
        from emofuse.analyzer import Analyzer, AnalyzerConfig
        from emofuse.text.transcribe import NONE, TranscribeConfig

        self.folder.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(self.folder)
        os.environ["TMPDIR"] = str(self.folder)
        os.environ["EMOFUSE_OFFLINE"] = "1"
        os.dup2(os.open(self.folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        analyzer = Analyzer(AnalyzerConfig(transcribe=TranscribeConfig(engine=NONE)))
        return lambda case, progress: checked(analyzer, case, progress, self.folder)


def checked(analyzer: Analyzer, case: Case, progress: Progress, folder: Path) -> Report:
    """Do a case; what grows when it is done once more has leaked."""
    said = (folder / "stderr").stat().st_size
    report = _attempt(analyzer, case, progress)
    first = _held()
    if report.outcome in (ANALYZED, REFUSED) and _growth(_BEFORE.get("held"), first):
        _attempt(analyzer, case, progress)
        if grown := _growth(first, _held()):
            report = Report(LEAKED, grown, report.size)
        first = _held()
    _BEFORE["held"] = first
    left = [path.name for path in folder.iterdir() if path.name != "stderr"]
    if left:
        report = Report(LEAKED, f"temporary files: {', '.join(left)}")
        for name in left:
            _remove(folder / name)
    text = (folder / "stderr").read_bytes()[said:].decode("utf-8", "replace").strip()
    return Report(NOISY, text[:500], report.size) if text else report


_BEFORE: dict[str, dict[str, int]] = {}


def _held() -> dict[str, int]:
    """Count what this process holds."""
    gc.collect()
    process = psutil.Process()
    return {"descriptors": process.num_fds(), "threads": process.num_threads()}


def _growth(before: dict[str, int] | None, after: dict[str, int]) -> str:
    if before is None:
        return ""
    grown = (f"{name}: {before[name]} → {n}" for name, n in after.items() if n > before[name])
    return ", ".join(grown)


def _attempt(analyzer: Analyzer, case: Case, progress: Progress) -> Report:
    from emofuse.errors import EmofuseError
    from emofuse.io.worker import Cancelled

    home = case.path.parent / "out"
    try:
        size = _DO[case.kind](analyzer, case.path, home, progress)
        return Report(ANALYZED, size=size)
    except EmofuseError as e:
        told = str(e)
        wrong = "Traceback" in told or not told.strip() or "\n  File" in told
        return Report(CRASHED, f"no words for a user: {told}") if wrong else Report(REFUSED, told)
    except (MemoryError, Cancelled):
        raise  # the worker's to tell
    except Exception:
        return Report(CRASHED, traceback.format_exc())
    finally:
        parts = [path.name for path in home.rglob("*.part")] if home.exists() else []
        _remove(home)
        if parts:
            raise AssertionError(f"left behind: {', '.join(parts)}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


# ---------------------------------------------------------------- what users do with each kind


def _analyze(analyzer: Analyzer, path: Path, home: Path, progress: Progress) -> int:
    """Analyze a file as `emofuse analyze` does, and read its result back."""
    from emofuse.batch.inputs import Job
    from emofuse.batch.results import Results
    from emofuse.batch.run import Task, analyze_one

    results = Results(home, ("json", "csv", "html"), batch=False)
    outcome = analyze_one(analyzer, results, Task(Job(path, path.name)), progress)
    json.loads(outcome.files["json"].read_text(encoding="utf-8"))
    return sum(file.stat().st_size for file in home.iterdir())


def _settings(analyzer: Analyzer, path: Path, home: Path, progress: Progress) -> int:
    from emofuse.analyzer import read_config
    from emofuse.config.convert import convert, to_files
    from emofuse.config.loader import read_file
    from emofuse.errors import InputError

    with _either(InputError) as tries:
        tries(lambda: read_config(path))
        tries(lambda: to_files(convert(read_file(path))))
    return 0


def _card(analyzer: Analyzer, path: Path, home: Path, progress: Progress) -> int:
    from emofuse.corpora.labels import map_of
    from emofuse.models.card import read_card

    card = read_card(path)
    if card.label_map is None and not card.dimensional:
        map_of(card.taxonomy)
    return 0


def _table(analyzer: Analyzer, path: Path, home: Path, progress: Progress) -> int:
    from emofuse.batch.inputs import TranscriptChoice, make_plan
    from emofuse.corpora import manifest
    from emofuse.errors import InputError

    with _either(InputError) as tries:
        tries(lambda: make_plan([path], TranscriptChoice.AUTO))
        tries(lambda: manifest.read(path))
    return 0


@contextlib.contextmanager
def _either(error: type[Exception]) -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Try several readers; the input is refused if all refuse it."""
    refused: list[Exception] = []
    tried = 0

    def attempt(read: Callable[[], Any]) -> None:
        nonlocal tried
        tried += 1
        try:
            read()
        except error as e:
            refused.append(e)

    yield attempt
    if len(refused) == tried:
        raise refused[0]


_DO: dict[Kind, Callable[[Any, Path, Path, Progress], int]] = {
    Kind.MEDIA: _analyze,
    Kind.PICTURE: _analyze,
    Kind.TEXT: _analyze,
    Kind.SETTINGS: _settings,
    Kind.CARD: _card,
    Kind.TABLE: _table,
}
