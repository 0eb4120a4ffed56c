"""The engine that analyzes many files: in worker processes, resumable, one bad file costs one file.

A run with a folder of results keeps a `Journal` there: what is finished (same content, same
settings, same version) is not done again, whatever ended the run before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import __version__
from ..core.estimates import Modality
from ..core.media import MediaKind
from ..core.protocols import ProgressCallback
from ..errors import EmofuseError, InputError, MissingExtra, ModelError
from ..export import finish
from ..export.overview import Row, row_of
from ..export.summary import summarise
from ..export.thumbnails import encode_jpeg
from ..export.viewdata import data_uri
from ..identity.across import same_people, without_embeddings
from ..io.atomic import discard
from ..io.images import read_image
from ..io.remote import fetched
from ..io.worker import Cancelled, Limits, Worker, WorkerFailed
from .edited import Edited
from .inputs import Failure, Job, Plan
from .journal import Entry, Fingerprint, Journal, State, fingerprint, quick_fingerprint
from .results import Outcome, Results, row_of_failure

if TYPE_CHECKING:
    from ..analyzer import Analyzer, AnalyzerConfig
    from ..core.identity import People
    from ..identity.config import IdentityConfig

_REFRESH = 10.0  # seconds between two overviews while results come, at least
_PATIENCE = 20.0  # and this many times as long as the last one took to write


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is given: a job, and whether results of an earlier try may be replaced."""

    job: Job
    overwrite: bool = False


class Runner(Protocol):
    """Does one task after the other, here or elsewhere."""

    def ready(self) -> None:
        """Wait until it can do something."""

    def __call__(self, task: Task, progress: ProgressCallback, stop: threading.Event) -> Outcome:
        """Analyze a job's file and write its results.

        Raises:
            Cancelled: if `stop` was set.
            EmofuseError: if nothing came of it.
        """

    def close(self) -> None:
        """End at once what still runs."""


class ProcessRunner:
    """Does tasks in a process of its own, which may die without harm.

    Args:
        config: how media are analyzed.
        results: where results go.
        memory_mb: limit of the process's memory, in MB; None: without limit.
        limits: how long a file may take.
    """

    def __init__(
        self, config: AnalyzerConfig, results: Results, memory_mb: int | None, limits: Limits
    ) -> None:
        self._worker, self._limits = Worker(HandlerFactory(config, results), memory_mb), limits

    def ready(self) -> None:
        """Start the process."""
        self._worker.start()

    def __call__(self, task: Task, progress: ProgressCallback, stop: threading.Event) -> Outcome:
        """Analyze a job's file and write its results."""
        try:
            outcome: Outcome = self._worker.run(task, self._limits, progress, stop)
        except WorkerFailed as e:
            raise EmofuseError(f"{task.job.source}: {e}") from e
        return outcome

    def close(self) -> None:
        """End the process."""
        self._worker.close()


@dataclass(frozen=True, slots=True)
class HandlerFactory:
    """Makes, in a worker's process, what does its tasks."""

    config: AnalyzerConfig
    results: Results

    def __call__(self) -> Callable[[Task, ProgressCallback], Outcome]:
        """Load nothing yet: the first file tells which models are needed."""
        from ..analyzer import Analyzer

        analyzer = Analyzer(self.config)
        return lambda task, progress: analyze_one(analyzer, self.results, task, progress)


def analyze_one(
    analyzer: Analyzer, results: Results, task: Task, progress: ProgressCallback
) -> Outcome:
    """Analyze one file and write its results.

    Raises:
        InputError: if the file cannot be read, or its results cannot be written.
        ModelError: if a model is missing or damaged.
    """
    job, started = task.job, time.perf_counter()
    with results.nearby() as nearby, _nearby(job) as (path, transcript):
        opened = nearby.open(job, overwrite=task.overwrite or results.overwrite)
        timeline = analyzer.analyze(
            path,
            transcript=transcript,
            asked=job.asked,
            exporters=tuple(opened.values()),
            progress=progress,
        )
        people, identity = timeline.people, analyzer.config.identity
        if not identity.embeddings:
            timeline = replace(timeline, people=without_embeddings(people))
        finish((e for e in opened.values() if getattr(e, "needs_media", False)), timeline)
        if job.remote is not None:
            timeline = replace(timeline, media=replace(timeline.media, path=job.source))
        finish(opened.values(), timeline)
    has_text = bool(timeline.of(Modality.TEXT))
    text_source = timeline.provenance.components.get("asr") if has_text else None
    seconds = time.perf_counter() - started
    kept = people if identity.across_files else None
    return Outcome(job, summarise(timeline), text_source, results.files(job), seconds, kept)


@contextmanager
def _nearby(job: Job) -> Iterator[tuple[Path, Path | None]]:
    """Give the medium and its transcript as files on this machine."""
    if job.remote is None:
        yield job.path, job.transcript
        return
    with ExitStack() as stack:
        medium = stack.enter_context(fetched(job.remote.url))
        text = job.remote_transcript
        yield medium, stack.enter_context(fetched(text)) if text else None


# ---------------------------------------------------------------- what is left to do


@dataclass(slots=True)
class Batch:
    """A batch that is about to run; a context manager that holds the lock of its folder.

    Args:
        plan: the media.
        results: where results go.
        settings: digest of everything but the media that results depend on (`digest_of`).
        retry_failed: whether what failed before is tried again.
        identity: how the same people are found in all files; None: nobody asks. What people
            look like is nowhere but in memory, so that every file is then done anew.

    Attributes:
        finished: the rows of files that were finished by an earlier run.
        failed_before: files that failed in an earlier run and are left alone.
        tasks: what is left to do.
        files: what was written about the whole batch, after the run.

    Raises:
        InputError: if another run works in the folder, or results may not be replaced.
    """

    plan: Plan
    results: Results
    settings: str
    retry_failed: bool = False
    identity: IdentityConfig | None = None
    finished: list[Entry] = field(default_factory=list)
    failed_before: list[Entry] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    files: tuple[Path, ...] = ()
    _journal: Journal | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Batch:
        results = self.results
        if results.root is None or not results.batch:
            self.tasks = [Task(job) for job in self.plan.jobs]
            results.claim(self.plan.jobs)
            return self
        self._journal = self._open.enter_context(Journal(results.root))
        try:
            self._compare(self._journal)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def resumable(self) -> bool:
        """Whether a journal is kept, so that the same command goes on after an interruption."""
        return self._journal is not None

    def _compare(self, journal: Journal) -> None:
        """Compare the plan with the journal."""
        known = {entry.path: entry for entry in journal.entries()}
        names = {entry.name.lower(): entry.path for entry in known.values()}
        unowned: list[Job] = []
        for planned in self.plan.jobs:
            key = _key(planned)
            entry = known.get(key)
            job = replace(planned, name=entry.name if entry else _free(planned, names))
            names[job.name.lower()] = key
            if entry is None:
                unowned.append(job)
                self.tasks.append(Task(job))
            elif self._is_current(journal, job, entry):
                done = entry.state is State.DONE
                (self.finished if done else self.failed_before).append(entry)
            else:
                self._check_replaceable(entry)
                self.tasks.append(Task(job, overwrite=True))
        self.results.claim(unowned, shared=not known)
        self.sweep()

    def _is_current(self, journal: Journal, job: Job, entry: Entry) -> bool:
        """Whether a file need not be done again."""
        if entry.state is State.STARTED or entry.settings != self.settings:
            return False
        if entry.state is State.DONE and self.identity is not None:
            return False
        if entry.state is State.FAILED and self.retry_failed:
            return False
        if entry.state is State.DONE and not self._results_are_there(job):
            return False
        try:
            now = _quick(job)
            if (now.size, now.mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns):
                return True
            if job.remote is not None:
                return False
            now = fingerprint(job.path, job.transcript)
        except OSError:
            return False
        if now.content == entry.fingerprint.content:
            journal.touched(entry.path, now)
            return True
        return False

    def _results_are_there(self, job: Job) -> bool:
        """A store is not asked for every file: there the journal's word counts."""
        return self.results.url is not None or all(p.is_file() for p in self._files(job))

    def _files(self, job: Job) -> Sequence[Path]:
        return tuple(self.results.files(job).values())

    def _check_replaceable(self, entry: Entry) -> None:
        """Replace finished results of other settings only if that was asked for."""
        other = entry.state is State.DONE and entry.settings != self.settings
        if other and not self.results.overwrite:
            raise InputError(
                f"{self.results.root} holds results that were made with other settings or "
                f"another version (of {entry.path}, for one) and are left as they are: choose "
                "another folder, or ask to overwrite them (--overwrite)"
            )

    def sweep(self) -> None:
        """Remove what tries that were killed left half written, and folders that held nothing else.

        Only while nothing runs.
        """
        homes = {path.parent for task in self.tasks for path in self._files(task.job)}
        for home in homes if self._journal else ():
            for part in home.glob(".*.part"):
                discard(part)
            with contextlib.suppress(OSError):
                home.rmdir()  # only if it is empty

    def begin(self, task: Task) -> None:
        """Note that a task is taken up."""
        if self._journal is None:
            return
        job = task.job
        try:
            known = _quick(job)
        except OSError as e:
            raise InputError(f"cannot read {job.path}: {e.strerror or e}") from e
        entry = Entry(_key(job), task.job.name, State.STARTED, known, self.settings)
        self._journal.begin(entry)

    def end(self, task: Task, result: Outcome | EmofuseError, content: str, seconds: float) -> None:
        """Note what came of a task, and the digest of the content that it had before."""
        if self._journal is None:
            return
        key = _key(task.job)
        if isinstance(result, Outcome):
            self._journal.done(key, content, seconds, asdict(self.row(result)))
        else:
            self._journal.failed(key, content, seconds, str(result))

    def row(self, outcome: Outcome) -> Row:
        """Return what the overview shows of a result."""
        page, root = outcome.files.get("html"), self.results.root
        links = (
            {k: p.relative_to(root).as_posix() for k, p in outcome.files.items()} if root else {}
        )
        picture = _picture(outcome) if page else None
        return row_of(outcome.summary, links.get("html"), picture, links)


def _picture(outcome: Outcome) -> str | None:
    """Return a small picture of a photo of a group, for the overview."""
    summary = outcome.summary
    if summary.mood is None or summary.kind is not MediaKind.IMAGE:
        return None
    try:
        return data_uri(encode_jpeg(read_image(outcome.job.path, max_side=640).pixels, 192))
    except InputError:  # it was moved meanwhile
        return None


def digest_of(config: AnalyzerConfig, formats: Sequence[str]) -> str:
    """Return a digest of all that results depend on besides the media."""
    from ..models.store import Store

    store = Store()
    identity = config.identity
    used = [*config.models.values(), *([config.group.model] if config.group.enabled else [])]
    used += [identity.face_model, identity.voice_model] if identity.enabled else []
    models = {i: [f.sha256 for f in store.card(i).files.values()] for i in used}
    told = [__version__, asdict(config), models, sorted(formats)]
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _key(job: Job) -> str:
    """Name a file for the journal, whatever bytes its name is made of."""
    name = job.source if job.remote else job.path.absolute()
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _content(job: Job) -> str:
    """Return the digest of what a job's files hold; of one in a store nothing is asked."""
    return "" if job.remote else fingerprint(job.path, job.transcript).content


def _quick(job: Job) -> Fingerprint:
    if job.remote is not None:
        return Fingerprint(job.remote.size, job.remote.mtime_ns, "")
    return quick_fingerprint(job.path, job.transcript)


def _free(job: Job, names: dict[str, str]) -> str:
    """Return a name for a job's results that no other file of the journal has."""
    taken = names.keys()
    numbered = (f"{job.name}-{n}" for n in range(2, len(taken) + 3))
    return next(n for n in (job.name, *numbered) if n.lower() not in taken)


# ---------------------------------------------------------------- the run


def run_alone(
    batch: Batch, runner: Runner, progress: ProgressCallback, stop: threading.Event
) -> Generator[Outcome | Failure, None, None]:
    """Analyze the one file of a plan; nothing is written about the whole.

    Args:
        batch: what to do, entered.
        runner: what does it; it is closed at the end.
        progress: called with how far it is.
        stop: set it to end within about two seconds.

    Raises:
        Cancelled: if `stop` was set.
        ModelError: if a model is missing or damaged.
        MissingExtra: if something is not installed.
    """
    yield from batch.plan.failures
    try:
        for task in batch.tasks:
            try:
                yield runner(task, progress, stop)
            except (ModelError, MissingExtra):
                raise
            except EmofuseError as e:
                yield task.job.path, e
    finally:
        runner.close()


def run(
    batch: Batch,
    runners: Sequence[Runner],
    progress: Callable[[Job], ProgressCallback] | None = None,
    ended: Callable[[Job], None] | None = None,
) -> Generator[Outcome | Failure, None, None]:
    """Do what is left of a batch and write what is about all; yield each outcome as it comes.

    A file that cannot be analyzed does not stop the others. A missing model does, unless
    something worked before, because it would fail them all. However the caller ends (it may
    close the iterator), running tasks are stopped and what is finished is kept.

    Args:
        batch: what to do, entered.
        runners: what does it; as many run at once.
        progress: called with each job that is begun; returns what is called with its progress.
        ended: called with each job that is over.

    Raises:
        ModelError: if a model is missing or damaged.
        MissingExtra: if something is not installed.
    """
    shared, scheduler = _Shared(batch), _Scheduler(batch, runners, progress)
    worked = bool(batch.finished)
    try:
        for failure in (*batch.plan.failures, *map(_failed_before, batch.failed_before)):
            shared.add(failure)
            yield failure
        for task, result in scheduler.results():
            if isinstance(result, (ModelError, MissingExtra)) and not worked:
                raise result  # it would fail them all
            worked = worked or isinstance(result, Outcome)
            came = result if isinstance(result, Outcome) else (Path(task.job.source), result)
            shared.add(came)
            if ended is not None:
                ended(task.job)
            yield came
    finally:
        scheduler.stop()
        batch.sweep()
        batch.files = shared.write()


def _failed_before(entry: Entry) -> Failure:
    told = f"{entry.error} (in an earlier run; --retry-failed tries again)"
    return Path(entry.path), EmofuseError(told)


class _Scheduler:
    """Threads that keep runners busy; the journal is written by whoever takes the results."""

    def __init__(
        self,
        batch: Batch,
        runners: Sequence[Runner],
        progress: Callable[[Job], ProgressCallback] | None,
    ) -> None:
        self._batch, self._runners, self._progress = batch, runners, progress
        self._todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[_Event | EmofuseError] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(runner,), daemon=True) for runner in runners
        ]

    def results(self) -> Iterator[tuple[Task, Outcome | EmofuseError]]:
        """Hand out tasks and yield what comes of them, as it comes.

        Raises:
            EmofuseError: if none of the runners could be made ready.
        """
        waiting = iter(self._batch.tasks)
        running, able = 0, len(self._threads)
        for thread in self._threads:
            thread.start()
            running += self._hand_out(waiting)
        while running:
            event = self._out.get()
            if isinstance(event, EmofuseError):  # a runner that never got ready
                able -= 1
                if not able:
                    raise event
                continue
            running -= 1
            self._batch.end(event.task, event.result, event.content, event.seconds)
            running += self._hand_out(waiting)
            yield event.task, event.result

    def _hand_out(self, waiting: Iterator[Task]) -> int:
        """Give one more task to whoever is free; a file that is gone has its result at once."""
        task = next(waiting, None)
        if task is None:
            return 0
        try:
            self._batch.begin(task)
        except InputError as e:
            self._out.put(_Event(task, e, "", 0.0))
        else:
            self._todo.put(task)
        return 1

    def _work(self, runner: Runner) -> None:
        try:
            runner.ready()
        except Exception as e:
            self._out.put(e if isinstance(e, EmofuseError) else EmofuseError(f"no worker: {e}"))
            return
        while (task := self._todo.get()) is not None:
            started, content = time.perf_counter(), ""
            try:
                if self._batch.resumable:
                    content = _content(task.job)
                told = self._progress(task.job) if self._progress else _ignore
                result: Outcome | EmofuseError = runner(task, told, self._stop)
            except EmofuseError as e:
                result = e
            except Cancelled:
                return
            except Exception as e:
                result = _as_failure(task.job, e)
            self._out.put(_Event(task, result, content, time.perf_counter() - started))

    def stop(self) -> None:
        """End what runs; harmless when all is done."""
        self._stop.set()
        for _ in self._threads:
            self._todo.put(None)
        for runner in self._runners:
            runner.close()


@dataclass(frozen=True, slots=True)
class _Event:
    task: Task
    result: Outcome | EmofuseError
    content: str
    seconds: float


def _ignore(done_ns: int, total_ns: int | None) -> None:
    """Ignore progress."""


class _Shared:
    """What is about the whole batch; the overview grows while results come."""

    def __init__(self, batch: Batch) -> None:
        self._results, self._batch = batch.results, batch
        self._edited = Edited(batch.results.root)
        rows = (Row(**entry.outcome) for entry in batch.finished if entry.outcome)
        self._rows = [self._edited.row(row) for row in rows]
        self._failures: list[Failure] = []
        self._people: list[tuple[str, People]] = []
        self._tables = [batch.results.files(Job(Path(e.path), e.name)) for e in batch.finished]
        self._due = time.monotonic() + _REFRESH

    def add(self, result: Outcome | Failure) -> None:
        """Take in what came of a file."""
        if isinstance(result, Outcome):
            self._rows.append(self._edited.row(self._batch.row(result)))
            self._tables.append(result.files)
            if result.people is not None:
                self._people.append((result.job.source, result.people))
        else:
            self._failures.append(result)
            self._rows.append(row_of_failure(*result))
        if time.monotonic() > self._due:
            started = time.monotonic()
            self._results.write_overview(self._in_order())
            now = time.monotonic()
            self._due = now + max(_REFRESH, _PATIENCE * (now - started))

    def _write_people(self) -> Path | None:
        config = self._batch.identity
        if config is None:
            return None
        in_order = sorted(self._people, key=lambda item: item[0])
        return self._results.write_people(same_people(in_order, config))

    def _in_order(self) -> list[Row]:
        """By name; results come in the order in which workers are done."""
        return sorted(self._rows, key=lambda row: row.file)

    def _written(self, name: str) -> list[Path]:
        there = (f[name] for f in self._tables if name in f and f[name].is_file())
        return [self._edited.table(path) for path in there]

    def write(self) -> tuple[Path, ...]:
        """Write the shared files, if there is anything to show, and return them."""
        timelines, summaries = self._written("csv"), self._written("summary")
        tables = (
            self._results.write_table(timelines) if timelines else None,
            self._results.write_summary(summaries) if summaries else None,
            self._write_people(),
            self._results.write_failures(self._failures),
        )
        overview = self._results.write_overview(self._in_order()) if self._rows else None
        self._edited.close()
        made = (overview, *tables)  # the page links to the tables that are there
        self._results.deliver_shared()
        return tuple(path for path in made if path is not None)


def _as_failure(job: Job, error: Exception) -> EmofuseError:
    """Wrap an unexpected error, so that the rest of a batch is still analyzed."""
    failure = EmofuseError(
        f"{job.source}: unexpected {type(error).__name__}: {error}; this is a bug in emofuse, "
        "please report it with what `emofuse --debug analyze` prints for this file"
    )
    failure.__cause__ = error
    return failure
