"""Running jobs: taken from the store one after the other, followed, cancelled, expired."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from ...core.media import MediaKind
from ...core.time import NS
from ...export import exporters, file_name, routine_exporters, usable_exporters
from ...io.atomic import atomic_path
from ..auth.users import User
from ..http.errors import ApiError, from_os
from ..metrics import Metrics
from ..settings import MB, Settings
from .callbacks import CallbackPolicy, Callbacks
from .edited import folder_of, is_edited
from .pool import Pool, WorkItem
from .store import Job, JobState, JobStore
from .tasks import Analysis, Export, Facts, Probe, Upload, facts_mapping
from .worker import Cancelled, internal_error

ZIP = "zip"
"""The format that contains all that are written unasked."""

FORMATS = (*usable_exporters(), ZIP)
"""Formats of results."""

RENDERED = tuple(name for name, kind in exporters().items() if getattr(kind, "needs_media", False))
"""Formats that are drawn into the upload; of jobs alone."""

_FILMS = (MediaKind.VIDEO, MediaKind.AUDIO)

_HEARTBEAT = 15.0  # seconds after which a quiet event stream sends a comment
_PACE = 0.25  # shortest time between two events of one stream, in seconds
_CLEANING = 60.0  # seconds between searches for expired jobs
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds between tries to use a store that fails

T = TypeVar("T")

log = logging.getLogger("emofuse.server")


@dataclass(slots=True, eq=False)
class _Run:
    """A job that is being analyzed right now."""

    item: WorkItem
    done_ns: int = 0
    total_ns: int | None = None


@dataclass(slots=True)
class JobManager:
    """Accepts jobs, has them analyzed and reports on them. Lives on the event loop.

    Args:
        store: keeps them.
        pool: analyzes them; used by nobody else.
        settings: limits.
        metrics: counts what happens.
        callbacks: tells those who want to know that a job has ended.
    """

    store: JobStore
    pool: Pool
    settings: Settings
    metrics: Metrics
    callbacks: Callbacks = field(default_factory=lambda: Callbacks(CallbackPolicy("")))
    _runs: dict[str, _Run] = field(default_factory=dict)
    _watchers: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    _served: dict[str, float] = field(default_factory=dict)  # client → when last served
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _halt: asyncio.Event = field(default_factory=asyncio.Event)
    _problems: dict[asyncio.Task[Any] | None, ApiError] = field(default_factory=dict)
    _aged: float = field(default_factory=time.monotonic)  # when jobs were last made older
    _servers: list[asyncio.Task[None]] = field(default_factory=list)
    _cleaner: asyncio.Task[None] | None = None
    _stopping: bool = False

    def open(self) -> None:
        """Resume unfinished jobs and callbacks, and start working."""
        self.store.recover()
        self._sweep()
        for job in self.store.untold():
            self._call_back(job)
        self._servers = [
            asyncio.create_task(self._serve()) for _ in range(self.settings.job_workers)
        ]
        self._cleaner = asyncio.create_task(self._clean())
        self._work.set()

    async def close(self) -> None:
        """Start no more jobs; give running ones time to finish, then requeue them."""
        self.begin_shutdown()
        await asyncio.to_thread(self.pool.close, self.settings.grace)
        await self.callbacks.close()
        if self._cleaner is not None:
            self._cleaner.cancel()
        for server in self._servers:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server, 5.0)

    def begin_shutdown(self) -> None:
        """Begin to shut down: no job is started any more and event streams end."""
        self._stopping = True
        self._halt.set()
        self._work.set()
        for watchers in self._watchers.values():
            for event in watchers:
                event.set()

    @property
    def problems(self) -> list[ApiError]:
        """What keeps jobs from being worked on, each once."""
        return list({error.code: error for error in self._problems.values()}.values())

    def check_quota(self, client: str, user: User, bytes_: int = 0) -> None:
        """Check that a client may submit another job.

        Args:
            client: whom it counts for.
            user: has a quota, perhaps.
            bytes_: the size of its uploads.

        Raises:
            ApiError: ``too-many-jobs`` or ``storage-full``.
        """
        limits = self.settings.limits
        mine, all_ = self.store.unfinished(client), self.store.unfinished()
        most = limits.jobs_per_client if user.jobs is None else user.jobs
        if mine >= most or all_ >= limits.jobs:
            whose = f"{mine} of your jobs" if mine >= most else f"{all_} jobs"
            raise ApiError(
                "too-many-jobs", f"{whose} are unfinished; wait until some are done", retry_after=10
            )
        if user.store_mb is not None:
            mine = self.store.stored_bytes(client) + bytes_
            if mine > user.store_mb * MB:
                told = f"your stored jobs use up your {user.store_mb} MB; delete some"
                raise ApiError("storage-full", told)
        if self.store.stored_bytes() + bytes_ > self.settings.store_mb * MB:
            raise ApiError(
                "storage-full",
                f"the stored jobs use up their {self.settings.store_mb} MB; delete some",
            )

    async def add(self, job: Job) -> None:
        """Add a job whose files are in place."""
        await asyncio.to_thread(self.store.add, job)
        self._work.set()

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job.

        Raises:
            ApiError: ``no-such-job``, or ``not-cancellable`` if it has ended.
        """
        job = self.store.get(job_id)
        for state in (JobState.QUEUED, JobState.IN_PROGRESS):
            if await asyncio.to_thread(self.store.move, job_id, state, JobState.CANCELLED):
                self.metrics.jobs_finished.labels(JobState.CANCELLED.value).inc()
                break
        else:
            raise ApiError("not-cancellable", f"job {job_id} has already ended ({job.state.value})")
        if job_id in self._runs:
            self._runs[job_id].item.stop.set()
        self._notify(job_id)
        ended = self.store.get(job_id)
        self._call_back(ended)
        return ended

    async def delete(self, job_id: str) -> None:
        """Cancel a job if needed and delete it with its files.

        Raises:
            ApiError: ``no-such-job``.
        """
        self.store.get(job_id)
        await asyncio.to_thread(self.store.remove, job_id)
        self._notify(job_id)
        if job_id in self._runs:
            self._runs[job_id].item.stop.set()  # its files are deleted once it has stopped
        else:
            await asyncio.to_thread(shutil.rmtree, self.store.home(job_id), True)

    def result(
        self, job_id: str, format_: str, *, edited: bool = False
    ) -> tuple[Job, Path, Export | None]:
        """Return a job, the file of its result, and what has to be done for it to be there.

        Args:
            job_id: the job.
            format_: one of `FORMATS`, or of `RENDERED`.
            edited: with what was corrected by hand, if there is anything.

        Raises:
            ApiError: if there is none yet, or never will be.
        """
        job = self.store.get(job_id)
        if job.state is JobState.FAILED and job.error:
            raise ApiError("job-failed", f"the job failed ({job.error[0]}): {job.error[1]}")
        if job.state is JobState.CANCELLED:
            raise ApiError("job-cancelled", "the job was cancelled")
        if job.state is not JobState.COMPLETED:
            raise ApiError("not-finished", "the job is not finished yet", retry_after=2)
        found = self.store.home(job_id) / "results" / file_name("json")
        if not found.is_file():
            raise ApiError("no-such-job", "the result is no longer in the state folder")
        folder = folder_of(found) if edited and is_edited(found) else found.parent
        names = tuple(routine_exporters()) if format_ == ZIP else (format_,)
        missing = tuple(name for name in names if not (folder / file_name(name)).exists())
        export = Export(found, folder, missing, _film(job, format_)) if missing else None
        return job, folder / (f"timeline.{ZIP}" if format_ == ZIP else file_name(format_)), export

    async def events(self, job_id: str) -> AsyncIterator[str]:
        """Yield a job's progress as server-sent events until it has ended.

        Raises:
            ApiError: ``no-such-job``.
        """
        self.store.get(job_id)
        return self._events(job_id)

    async def _events(self, job_id: str) -> AsyncIterator[str]:
        event = asyncio.Event()
        self._watchers.setdefault(job_id, set()).add(event)
        try:
            while not self._stopping:
                event.clear()
                try:
                    job = self.store.get(job_id)
                except ApiError as error:
                    if error.code == "no-such-job":  # deleted meanwhile
                        return
                    await self._pause(_LONGEST_PAUSE)  # the store is busy; it is asked again
                    continue
                yield _event("end" if job.state.ended else "progress", self.view(job))
                if job.state.ended:
                    return
                await asyncio.sleep(_PACE)
                while not event.is_set():
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(event.wait(), _HEARTBEAT)
                    if not event.is_set():
                        yield ": keep-alive\n\n"
        finally:
            self._watchers[job_id].discard(event)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def view(self, job: Job, queue: list[str] | None = None) -> dict[str, Any]:
        """Return a job as the API shows it.

        Args:
            job: the job.
            queue: ids of the waiting jobs, if known; saves a query.
        """
        run, base = self._runs.get(job.id), f"/v1/jobs/{job.id}"
        position = None
        if job.state is JobState.QUEUED:
            waiting = [i for i, _ in self.store.queue()] if queue is None else queue
            position = waiting.index(job.id) if job.id in waiting else None
        expires = None if job.finished is None else job.finished + self.settings.keep_hours * 3600
        first = job.uploads[0]
        return {
            "id": job.id,
            "state": job.state.value,
            "progress": _progress(job, run),
            "position": position,
            "seconds_done": _seconds_done(job, run),
            "created": _time(job.created),
            "started": _time(job.started),
            "finished": _time(job.finished),
            "expires": _time(expires),
            "attempts": job.attempts,
            "media": _input(first) | dict(facts_mapping(job.facts)),
            "inputs": [_input(upload) for upload in job.uploads],
            "transcript": job.transcript.name if job.transcript else None,
            "options": job.options.model_dump(mode="json"),
            "callback": job.callback,
            "error": {"code": job.error[0], "message": job.error[1]} if job.error else None,
            "formats": [*FORMATS, *(RENDERED if _can_be_drawn(job) else ())],
            "links": {
                "self": base,
                **{name: f"{base}/{name}" for name in ("events", "result", "media", "cancel")},
            },
        }

    async def _serve(self) -> None:
        """Analyze one job after the other, whatever happens."""
        while not self._stopping:
            job_id = await self._insist(self._next)
            if job_id is None:
                self._work.clear()
                if not self._stopping:
                    await self._work.wait()
                continue
            try:
                await self._run(job_id)
            except Exception:  # a bug: the job ends, and the others go on
                await self._end(job_id, JobState.FAILED, internal_error())

    async def _insist(self, step: Callable[[], T]) -> T | None:
        """Do a step with the store, again and again until it succeeds.

        Returns:
            What it gave; None if the server stops before it succeeds.
        """
        task, pause = asyncio.current_task(), _FIRST_PAUSE
        while True:
            try:
                given = await asyncio.to_thread(step)
            except ApiError as error:
                if task not in self._problems:
                    log.warning("the store of jobs fails (%s); it is tried again", error)
                self._problems[task] = error
            except Exception:  # a bug, or a system in distress
                self._problems[task] = internal_error()
            else:
                self._problems.pop(task, None)
                return given
            if self._stopping:
                return None
            await self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than the server runs."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._halt.wait(), seconds)

    async def _end(
        self,
        job_id: str,
        state: JobState,
        error: ApiError | None = None,
        facts: Facts | None = None,
    ) -> None:
        """Give a job its last state, as soon as the store takes it."""
        if await self._insist(
            lambda: self.store.move(job_id, JobState.IN_PROGRESS, state, error, facts)
        ):
            self.metrics.jobs_finished.labels(state.value).inc()
            with contextlib.suppress(ApiError):  # the store fails, or the job was just deleted
                self._call_back(await asyncio.to_thread(self.store.get, job_id))

    def _call_back(self, job: Job) -> None:
        """Tell whoever wants to know that a job has ended."""
        if job.callback is not None:
            self.callbacks.tell(job.callback, self.view(job), self._note_told)

    def _note_told(self, job_id: str) -> None:
        with contextlib.suppress(ApiError):  # the store fails: the next start tells it again
            self.store.mark_told(job_id)

    def _next(self) -> str | None:
        """Pick a job: the oldest of the client who was served longest ago."""
        queue = self.store.queue()
        while queue:
            job_id, client = min(queue, key=lambda entry: self._served.get(entry[1], 0.0))
            if self.store.move(job_id, JobState.QUEUED, JobState.IN_PROGRESS, attempts=1):
                self._served[client] = time.monotonic()
                return job_id
            queue.remove((job_id, client))
        self._served.clear()  # nobody waits: forget who was served
        return None

    async def _run(self, job_id: str) -> None:
        job = await self._insist(lambda: self.store.get(job_id))
        if job is None:  # the server stops; the next one finds the job
            return
        if job.error is not None:  # its entry cannot be read
            await self._end(job_id, JobState.FAILED, ApiError(*job.error))
            self._notify(job_id)
            return
        draft = self.store.home(job_id) / f"attempt-{job.attempts}"
        item = WorkItem(
            self._analysis(job, draft),
            self.settings.limits.job_timeout,
            self._progress_callback(job_id),
        )
        self._runs[job_id] = _Run(item)
        self._notify(job_id)
        try:
            outcome = await self._outcome(job, item)
            await self._conclude(job, outcome, draft)
        finally:
            del self._runs[job_id]
            await asyncio.to_thread(self._tidy, job_id, draft)
            self._notify(job_id)

    def _analysis(self, job: Job, draft: Path) -> Analysis:
        return Analysis(
            Probe(job.uploads, job.transcript, self.settings.limits.job_seconds),
            job.options,
            draft,
            tuple(routine_exporters()),
        )

    async def _outcome(self, job: Job, item: WorkItem) -> Facts | ApiError | None:
        """Return the result of a task; None if it was stopped."""
        started = time.perf_counter()
        try:
            facts = await asyncio.wrap_future(self.pool.submit(job.client, item))
        except Cancelled:
            return None
        except ApiError as error:
            return None if error.code == "stopping" else error
        self.metrics.analyzed(facts, time.perf_counter() - started)
        return facts

    async def _conclude(self, job: Job, outcome: Facts | ApiError | None, draft: Path) -> None:
        if outcome is None:  # stopped by the server, not by the client: it waits for the next start
            await self._insist(
                lambda: self.store.move(job.id, JobState.IN_PROGRESS, JobState.QUEUED, attempts=-1)
            )
            return
        if isinstance(outcome, ApiError):
            await self._end(job.id, JobState.FAILED, outcome)
            return
        results = self.store.home(job.id) / "results"
        try:
            await asyncio.to_thread(shutil.rmtree, results, True)
            with contextlib.suppress(FileNotFoundError):  # the job has just been deleted
                await asyncio.to_thread(draft.replace, results)
        except OSError as error:
            await self._end(job.id, JobState.FAILED, from_os(error) or internal_error())
            return
        await self._end(job.id, JobState.COMPLETED, facts=outcome)

    def _tidy(self, job_id: str, draft: Path) -> None:
        """Remove what an attempt left behind, and everything if the job was deleted."""
        shutil.rmtree(draft, ignore_errors=True)
        try:
            self.store.get(job_id)
        except ApiError as error:
            if error.code == "no-such-job":  # and not that the store cannot be asked now
                shutil.rmtree(self.store.home(job_id), ignore_errors=True)

    def _progress_callback(self, job_id: str) -> Callable[[int, int | None], None]:
        """Return what a thread of the pool calls with a job's progress."""
        loop = asyncio.get_running_loop()

        def note(done_ns: int, total_ns: int | None) -> None:
            if run := self._runs.get(job_id):
                run.done_ns, run.total_ns = done_ns, total_ns
                self._notify(job_id)

        def report(done_ns: int, total_ns: int | None) -> None:
            loop.call_soon_threadsafe(note, done_ns, total_ns)

        return report

    def _notify(self, job_id: str) -> None:
        for event in self._watchers.get(job_id, ()):
            event.set()

    async def _clean(self) -> None:
        """Remove expired jobs, now and then."""
        while not self._stopping:
            for job_id in await self._insist(self._expired) or ():
                with contextlib.suppress(ApiError):  # just deleted; or the next round does it
                    await self.delete(job_id)
            await self._pause(_CLEANING)

    def _expired(self) -> list[str]:
        """Make the ended jobs older by what has gone by, and return those that have expired."""
        now = time.monotonic()
        self.store.grow_older(now - self._aged)
        self._aged = now
        return self.store.older_than(self.settings.keep_hours * 3600)

    def _sweep(self) -> None:
        """Remove what a killed server left behind: files of no job, and unfinished attempts."""
        known, jobs = self.store.ids(), self.store.folder / "jobs"
        for home in jobs.iterdir() if jobs.is_dir() else ():
            if home.name not in known:
                shutil.rmtree(home, ignore_errors=True)
        for draft in jobs.glob("*/attempt-*"):
            shutil.rmtree(draft, ignore_errors=True)


def _film(job: Job, format_: str) -> Path | None:
    """Return the film or sound of a job, for a format that is drawn into it.

    Raises:
        ApiError: if it has none, or it is gone.
    """
    if format_ not in RENDERED:
        return None
    if not _can_be_drawn(job):
        raise ApiError("unusable", f"{job.uploads[0].name} is no film and no sound to draw into")
    film = next(u.path for u in job.uploads if u.type.kind in _FILMS)
    if not film.is_file():
        raise ApiError("not-found", "the upload is no longer in the state folder")
    return film


def _can_be_drawn(job: Job) -> bool:
    return job.facts.kind in {kind.value for kind in _FILMS}


def pack(folder: Path, path: Path) -> None:
    """Pack the results in a folder into a zip; complete or not there at all."""
    with atomic_path(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in routine_exporters():
            result = folder / file_name(name)
            if result.is_file():
                archive.write(result, result.name)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _progress(job: Job, run: _Run | None) -> float | None:
    """How much of a job is done, 0 … 1; None if that cannot be known."""
    if job.state is JobState.COMPLETED:
        return 1.0
    if run is None:
        return 0.0
    total_ns = run.total_ns or round((job.facts.duration or 0) * NS)
    if not total_ns:
        return None if run.done_ns else 0.0
    return round(min(1.0, run.done_ns / total_ns), 4)


def _seconds_done(job: Job, run: _Run | None) -> float:
    if job.state is JobState.COMPLETED:
        return round(job.facts.duration or 0.0, 3)
    return 0.0 if run is None else round(run.done_ns / NS, 3)


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _input(upload: Upload) -> dict[str, Any]:
    return {
        "name": upload.name,
        "kind": upload.type.kind.value,
        "type": upload.type.mime,
        "bytes": upload.bytes,
    }
