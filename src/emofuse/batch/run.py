"""Analyze many files one after the other: `emofuse analyze` without its flags."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.estimates import Modality
from ..core.labels import CANONICAL
from ..core.time import NS
from ..errors import EmofuseError, InputError
from ..export import exporters, finish
from ..export.csv import CsvTable
from ..export.summary import Summary, summarise
from ..io.files import OutputFolder, refuse_existing
from ..models.store import Store
from .inputs import Failure, Job, Plan

if TYPE_CHECKING:
    from ..analyzer import Analyzer, AnalyzerConfig
    from ..core.protocols import Exporter
    from ..core.timeline import Timeline

ProgressCallback = Callable[[int, "int | None"], None]
"""Called with the media time that is done and the whole duration if known, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one file.

    Args:
        job: what was asked for.
        summary: what the timeline says.
        text_source: where the text came from, e.g. ``"clip.srt"``; None if there was none.
        files: the results by format.
        seconds: how long it took, writing included.
    """

    job: Job
    summary: Summary
    text_source: str | None
    files: dict[str, Path]
    seconds: float

    @property
    def speed(self) -> float:
        """Seconds of media per second of time."""
        return self.summary.duration_ns / NS / max(self.seconds, 1e-9)


class Results:
    """Where results go; a context manager. Checks before the analysis that they can be written.

    The results of a single file go into the folder itself, those of a batch into a folder
    each, beside a table of all and an index.

    Args:
        folder: None to write nothing.
        formats: names of the formats that are written for each file.
        plan: what will be analyzed.
        overwrite: whether existing results may be replaced.
        labels: the emotion columns of the table of all.

    Raises:
        InputError: if a result exists and may not be replaced, or cannot be written.
    """

    def __init__(
        self,
        folder: Path | None,
        formats: Sequence[str],
        plan: Plan,
        overwrite: bool,
        labels: Sequence[str],
    ) -> None:
        known = exporters()
        self._root, self._plan = folder, plan
        self._formats = {name: known[name] for name in formats}
        self._overwrite, self._labels = overwrite, tuple(labels)
        self._open = ExitStack()
        self._table: CsvTable | None = None
        self.files: tuple[Path, ...] = ()
        if folder is not None:
            self._claim(folder)

    def _claim(self, root: Path) -> None:
        own = tuple(f"timeline{kind.suffix}" for kind in self._formats.values())
        OutputFolder(root, self._overwrite).claim(*(self._shared if self._plan.batch else own))
        for job in self._plan.jobs:
            for name in own:
                refuse_existing(self._home(job) / name, self._overwrite)

    def open(self, job: Job) -> dict[str, Exporter]:
        """Open the exporters of one file's results, by format."""
        if self._root is None:
            return {}
        shared = self._root if self._plan.batch else None
        return {
            name: self._formats[name](path, overwrite=self._overwrite, shared=shared)
            for name, path in self._files(job).items()
        }

    def write(
        self, job: Job, timeline: Timeline, opened: Mapping[str, Exporter]
    ) -> dict[str, Path]:
        """Write one file's results and return them by format."""
        if self._root is None:
            return {}
        finish(opened.values(), timeline)
        self._add_to_table(timeline)
        return self._files(job)

    def _files(self, job: Job) -> dict[str, Path]:
        home = self._home(job)
        return {name: home / f"timeline{kind.suffix}" for name, kind in self._formats.items()}

    def _add_to_table(self, timeline: Timeline) -> None:
        if self._root is None or "timeline.csv" not in self._shared:
            return
        if self._table is None:  # not earlier: where nothing succeeds no table is left
            path = self._root / "timeline.csv"
            table = CsvTable(path, labels=self._labels, overwrite=self._overwrite)
            self._table = self._open.enter_context(table)
            self.files += (path,)
        self._table.file = timeline.media.path or timeline.media.name
        for estimate in timeline:
            self._table.write(estimate)

    def write_index(self, outcomes: Sequence[Outcome], failures: Sequence[Failure]) -> None:
        """Write the index page, with links to each file's page and a list of failures."""
        if self._root is None or "index.html" not in self._shared or not outcomes:
            return
        from ..export.html import IndexEntry, index_page

        pages = [o.files["html"].relative_to(self._root).as_posix() for o in outcomes]
        entries = [
            *(
                IndexEntry(o.summary.file, o.summary, page)
                for o, page in zip(outcomes, pages, strict=True)
            ),
            *(IndexEntry(str(path), error=str(error)) for path, error in failures),
        ]
        path = self._root / "index.html"
        index_page(entries, path, overwrite=self._overwrite)
        self.files += (path,)

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def _shared(self) -> tuple[str, ...]:
        """Names of the files about a whole batch."""
        if not self._plan.batch:
            return ()
        names = {"csv": "timeline.csv", "html": "index.html"}
        return tuple(name for kind, name in names.items() if kind in self._formats)

    def _home(self, job: Job) -> Path:
        """The folder of one file's results."""
        assert self._root is not None
        return self._root / job.name if self._plan.batch else self._root


def analyze(
    analyzer: Analyzer,
    plan: Plan,
    results: Results,
    progress: Callable[[Job], ProgressCallback] | None = None,
) -> Iterator[Outcome | Failure]:
    """Analyze the media of a plan and write their results; yield the outcome of each.

    A file that cannot be analyzed does not stop the others. A missing model does, unless
    something worked before, because it would fail them all.

    Args:
        analyzer: analyzes.
        plan: the media.
        results: writes.
        progress: called with the next job; returns what is called with its progress.

    Raises:
        EmofuseError: if the first failure shows that nothing can be analyzed.
    """
    outcomes: list[Outcome] = []
    failures = list(plan.failures)
    with results:
        for job in plan.jobs:
            try:
                outcomes.append(
                    _analyze_one(analyzer, job, results, progress(job) if progress else None)
                )
            except EmofuseError as e:
                if not (outcomes or isinstance(e, InputError)):
                    raise
                failures.append((job.path, e))
                yield failures[-1]
            except Exception as e:
                if not plan.batch:
                    raise
                failures.append((job.path, _as_failure(job, e)))
                yield failures[-1]
            else:
                yield outcomes[-1]
    results.write_index(outcomes, failures)


def _analyze_one(
    analyzer: Analyzer, job: Job, results: Results, progress: ProgressCallback | None
) -> Outcome:
    started = time.perf_counter()
    opened = results.open(job)
    timeline = analyzer.analyze(
        job.path,
        transcript=job.transcript,
        exporters=tuple(opened.values()),
        progress=progress,
    )
    files = results.write(job, timeline, opened)
    has_text = bool(timeline.of(Modality.TEXT))
    text_source = timeline.provenance.components.get("asr") if has_text else None
    seconds = time.perf_counter() - started
    return Outcome(job, summarise(timeline), text_source, files, seconds)


def _as_failure(job: Job, error: Exception) -> EmofuseError:
    """Wrap an unexpected error, so that the rest of a batch is still analyzed."""
    failure = EmofuseError(
        f"{job.path}: unexpected {type(error).__name__}: {error}; this is a bug in emofuse, "
        "please report it with what `emofuse --debug analyze` prints for this file"
    )
    failure.__cause__ = error
    return failure


def table_labels(config: AnalyzerConfig, store: Store) -> tuple[str, ...]:
    """Return the emotion columns of a table that results of all configured models fit into."""
    ids = [config.models[m] for m in config.modalities]
    labels = [label for model_id in ids for label in store.card(model_id).taxonomy.labels]
    return tuple(dict.fromkeys((*CANONICAL.labels, *labels)))
