"""Where results go: the folder of one file, or the folders and shared files of a batch."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from ..core.labels import CANONICAL
from ..core.time import NS
from ..errors import EmofuseError, InputError
from ..export import exporters, result_name
from ..export.csv import cell, csv_columns
from ..export.overview import Row, write_overview
from ..export.summary import Summary
from ..io.files import OutputFolder, ResultFile, refuse_existing
from ..io.remote import is_taken, upload, upload_file
from .inputs import Failure, Job

if TYPE_CHECKING:
    from ..core.identity import People
    from ..core.protocols import Exporter, ExportFormat
    from ..identity.across import Appearance

DATASET = "dataset"
"""Folder of a batch that Parquet files go to, so that it can be queried as one table."""

PEOPLE = "people.csv"
"""Name of the table of the people in a batch's files."""

FAILURES = "failures.csv"
"""Name of the table of a batch's failures."""

SUMMARY = "summary.csv"
"""Name of the table of all people of a batch."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one file.

    Args:
        job: what was asked for.
        summary: what the timeline says.
        text_source: where the text came from, e.g. ``"clip.srt"``; None if there was none.
        files: the results by format.
        seconds: how long it took, writing included.
        people: who is in it, with what tells them apart; None unless the same people are
            looked for in several files.
    """

    job: Job
    summary: Summary
    text_source: str | None
    files: dict[str, Path]
    seconds: float
    people: People | None = None

    @property
    def speed(self) -> float:
        """Seconds of media per second of time."""
        return self.summary.duration_ns / NS / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Results:
    """The layout of results; picklable, so that workers know it, too.

    The results of a single file go into the folder itself, those of a batch into a folder
    each, beside a table of all, an overview and a table of failures.

    Args:
        root: the folder; None to write nothing. With a `url` only what is about the whole
            batch lies there.
        formats: names of the formats that are written for each file.
        batch: whether there may be several files.
        overwrite: whether existing results may be replaced.
        url: the folder in a store that results go to instead.
    """

    root: Path | None
    formats: tuple[str, ...]
    batch: bool
    overwrite: bool = False
    url: str | None = None

    @contextmanager
    def nearby(self) -> Iterator[Results]:
        """Give results on this machine, which go to the store when the context ends well."""
        if self.url is None:
            yield self
            return
        with TemporaryDirectory(prefix="emofuse-") as folder:
            yield replace(self, root=Path(folder), url=None)
            upload(Path(folder), self.url)

    def claim(self, jobs: Iterable[Job], shared: bool = False) -> None:
        """Make sure, before hours are spent, that the results of jobs can be written.

        Args:
            jobs: those that nothing was written for yet.
            shared: whether the files about the whole batch are new, too.

        Raises:
            InputError: if a result exists and may not be replaced, or cannot be written.
        """
        if self.root is None:
            return
        names = ("index.html", "timeline.csv", SUMMARY, PEOPLE, FAILURES) if shared else ()
        OutputFolder(self.root, self.overwrite).claim(*names)
        if self.url is not None:
            self._claim_store(self.url, shared)
            return
        for job in jobs:
            for path in self.files(job).values():
                refuse_existing(path, self.overwrite)

    def _claim_store(self, url: str, new: bool) -> None:
        if new and not self.overwrite and is_taken(url):
            raise InputError(
                f"there is something at {url} already, which is left as it is: choose another "
                "place, ask to overwrite it (--overwrite), or give the journal of the batch "
                "that wrote it (--journal)"
            )

    def files(self, job: Job) -> dict[str, Path]:
        """Return where a file's results go, by format."""
        if self.root is None:
            return {}
        known = exporters()
        return {name: self._file(job, known[name]) for name in self.formats}

    def _file(self, job: Job, kind: ExportFormat) -> Path:
        assert self.root is not None
        if not self.batch:
            return self.root / result_name(kind)
        if kind.name == "parquet":
            return self.root / DATASET / f"{job.name}{kind.suffix}"
        return self.root / job.name / result_name(kind)

    def open(self, job: Job, overwrite: bool) -> dict[str, Exporter]:
        """Open the exporters of one file's results, by format."""
        known = exporters()
        shared = self.root if self.batch else None
        return {
            name: known[name](path, overwrite=overwrite, shared=shared)
            for name, path in self.files(job).items()
        }

    def deliver_shared(self) -> None:
        """Bring what is about the whole batch to the store."""
        if self.root is None or self.url is None:
            return
        for name in ("index.html", PEOPLE, FAILURES):
            if (self.root / name).is_file():
                upload_file(self.root / name, self.url, name)

    def write_overview(self, rows: Sequence[Row]) -> Path | None:
        """Write the page that lists all; None where pages are not wanted."""
        if self.root is None or "html" not in self.formats:
            return None
        path, names = self.root / "index.html", ("timeline.csv", SUMMARY, FAILURES)
        tables = [name for name in names if (self.root / name).is_file()]
        write_overview(rows, path, overwrite=True, tables=tables)
        return path

    def write_people(self, found: Sequence[Appearance]) -> Path | None:
        """Write who appears in which file, and under what name."""
        if self.root is None:
            return None
        path = self.root / PEOPLE
        with ResultFile(path, overwrite=True, newline="") as f:
            table = csv.writer(f)
            table.writerow(("person", "file", "subject"))
            table.writerows((a.person, cell(a.file), str(a.subject)) for a in found)
        return path

    def write_failures(self, failures: Sequence[Failure]) -> Path | None:
        """Write the table of what failed and why; an old one goes where nothing failed."""
        if self.root is None:
            return None
        path = self.root / FAILURES
        if not failures:
            path.unlink(missing_ok=True)
            return None
        with ResultFile(path, overwrite=True, newline="") as f:
            table = csv.writer(f)
            table.writerow(("file", "reason"))
            table.writerows((str(file), str(error)) for file, error in failures)
        return path

    def write_table(self, tables: Iterable[Path]) -> Path | None:
        """Join the tables of all files to one; None where tables are not wanted."""
        if self.root is None or "csv" not in self.formats:
            return None
        path = self.root / "timeline.csv"
        with ResultFile(path, overwrite=True, newline="") as f:
            join_timelines(tables, f)
        return path

    def write_summary(self, tables: Iterable[Path]) -> Path | None:
        """Join the tables of people of all files to one."""
        if self.root is None:
            return None
        path = self.root / SUMMARY
        with ResultFile(path, overwrite=True, newline="") as f:
            tables = tuple(tables)
            join_tables(tables, dict.fromkeys(name for path in tables for name in _header(path)), f)
        return path


def join_timelines(tables: Iterable[Path], file: IO[str]) -> None:
    """Write the tables of timelines as one with the labels of all, in two passes."""
    tables, known = tuple(tables), csv_columns(())
    labels: dict[str, None] = dict.fromkeys(CANONICAL.labels)
    for path in tables:
        labels |= dict.fromkeys(column for column in _header(path) if column not in known)
    join_tables(tables, csv_columns(tuple(labels)), file)


def join_tables(tables: Iterable[Path], columns: Iterable[str], file: IO[str]) -> None:
    """Write csv tables under one header, in bounded memory."""
    writer = csv.DictWriter(file, tuple(columns), restval="")
    writer.writeheader()
    for path in tables:
        with path.open(encoding="utf-8", newline="") as f:
            writer.writerows(csv.DictReader(f))


def _header(path: Path) -> Sequence[str]:
    with path.open(encoding="utf-8", newline="") as f:
        return next(csv.reader(f), [])


def row_of_failure(path: Path, error: EmofuseError) -> Row:
    """Return what the overview shows of a file that failed."""
    return Row(str(path), error=str(error))
