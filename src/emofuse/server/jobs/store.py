"""Jobs in an SQLite file, so that they survive a crash of the server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.media import MediaKind
from ...errors import InputError
from ...io.media_types import ContentType
from ..http.errors import ApiError
from ..options import AnalysisOptions
from .tasks import Facts, Upload

SCHEMA = 6
"""Version of the tables; a file of another version is refused."""

MOST_ATTEMPTS = 2
"""How often a job is started before a crash of the whole server is blamed on it."""

_LOCK_SECONDS = 0.2  # another process may hold the file for so long; callers wait no longer

_DAMAGED = ApiError("damaged", "the job's entry in the store is damaged; send the media again")


class JobState(str, Enum):
    """The state of a job."""

    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self not in (JobState.QUEUED, JobState.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Job:
    """A request for an analysis, and its state.

    Args:
        id: also the name of its folder.
        client: who submitted it.
        uploads: what is to be analyzed.
        transcript: a transcript.
        options: how.
        facts: about the main upload.
        state: where it stands.
        created: when it was submitted; seconds since 1970, like all times here.
        started: when it was last started.
        finished: when it ended.
        attempts: how often it was started.
        error: code and message if it failed.
        callback: address that is told when it has ended.
        age: seconds for which a server has run since it ended, by a clock that nobody sets.
    """

    id: str
    client: str
    uploads: tuple[Upload, ...]
    transcript: Upload | None
    options: AnalysisOptions
    facts: Facts
    state: JobState = JobState.QUEUED
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    error: tuple[str, str] | None = None
    callback: str | None = None
    age: float = 0.0

    @property
    def bytes(self) -> int:
        """Size of its uploads."""
        return sum(
            u.bytes for u in (*self.uploads, *([self.transcript] if self.transcript else ()))
        )


_TABLE = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, client TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, started REAL, finished REAL, attempts INTEGER NOT NULL,
    bytes INTEGER NOT NULL, request TEXT NOT NULL, error TEXT, age REAL NOT NULL DEFAULT 0,
    untold INTEGER NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state, created);
"""


class JobStore:
    """The jobs of one server; a context manager. What writes waits for the disk.

    Every method raises `ApiError` at once if the file cannot be used now: ``store-busy`` if
    another process holds it, ``storage-full`` if nothing can be written, ``store-damaged``. An
    entry that cannot be read is a job that has failed; it affects no other.

    Args:
        folder: where the SQLite file is, and everything else of the jobs; made private.

    Raises:
        InputError: if another server uses the folder, or it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex, self._reading = threading.Lock(), threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(folder)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another server uses {folder}: every server process needs a state folder of its "
                "own; set another (EMOFUSE_STATE), or run one server with more workers"
            ) from None
        except OSError as error:
            taken = isinstance(error, FileExistsError | NotADirectoryError)
            reason = "a file is there, expected a folder" if taken else error.strerror
            raise InputError(
                f"cannot use {folder} for jobs: {reason}; set another (EMOFUSE_STATE)"
            ) from error
        try:
            self._db = self._connect(folder / "jobs.sqlite")
            # A second one to read with: it does not wait until a write is on the disk.
            self._reader = self._connect(folder / "jobs.sqlite")
        except (sqlite3.Error, InputError) as error:
            self._lock.close()
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder}/jobs.sqlite cannot be used: {error}") from error

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=_LOCK_SECONDS
        )
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            db.executescript(f"BEGIN; {_TABLE} PRAGMA user_version = {SCHEMA}; COMMIT;")
        elif version != SCHEMA:
            db.close()
            raise InputError(
                f"{path} has version {version}, this emofuse knows {SCHEMA}; use the emofuse "
                "that wrote it, or set another folder (EMOFUSE_STATE)"
            )
        return db

    def home(self, job_id: str) -> Path:
        """The folder of a job's files."""
        return self.folder / "jobs" / job_id

    def add(self, job: Job) -> None:
        """Add a job."""
        self._write(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(job.id, job.client, job.state.value, job.created, job.started, job.finished),
                *(job.attempts, job.bytes, _request(job), None, job.age),
                job.callback is not None,
            ),
        )

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """Return a job.

        Args:
            job_id: which.
            owner: whose it must be; None: anybody's.

        Raises:
            ApiError: ``no-such-job``.
        """
        rows = self._read("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if not rows or owner not in (None, rows[0]["client"]):
            raise ApiError("no-such-job", f"there is no job {job_id[:40]!r}; it may have expired")
        return self._job(rows[0])

    def latest(self, state: JobState | None, limit: int, owner: str | None = None) -> list[Job]:
        """Return jobs, newest first: in a state, of an owner."""
        rows = self._read(
            "SELECT * FROM jobs WHERE state = coalesce(?, state) AND client = coalesce(?, client) "
            "ORDER BY rowid DESC LIMIT ?",
            (state.value if state else None, owner, limit),
        )
        return [self._job(row) for row in rows]

    def queue(self) -> list[tuple[str, str]]:
        """Return (id, client) of the jobs that wait, oldest first."""
        rows = self._read("SELECT id, client FROM jobs WHERE state = 'QUEUED' ORDER BY rowid")
        return [(row["id"], row["client"]) for row in rows]

    def move(
        self,
        job_id: str,
        before: JobState,
        after: JobState,
        error: ApiError | None = None,
        facts: Facts | None = None,
        *,
        attempts: int = 0,
    ) -> bool:
        """Move a job from one state to another, unless it has been moved meanwhile.

        Args:
            job_id: which.
            before: the state that it must have.
            after: the state that it gets.
            error: why it failed.
            facts: what the main upload turned out to be.
            attempts: added to the job's.

        Returns:
            Whether it was moved.
        """
        now = time.time()
        cause = json.dumps([error.code, error.message]) if error else None
        values: dict[str, Any] = {"state": after.value, "error": cause}
        if facts is not None:
            values["request"] = _request(replace(self.get(job_id), facts=facts))
        if after is JobState.IN_PROGRESS:
            values["started"] = now
        values["finished"] = now if after.ended else None
        sets = ", ".join(f"{name} = :{name}" for name in values)
        with self._mutex, _answering():
            cursor = self._db.execute(
                f"UPDATE jobs SET {sets}, attempts = attempts + :more "
                "WHERE id = :id AND state = :before",
                {**values, "more": attempts, "id": job_id, "before": before.value},
            )
        return cursor.rowcount == 1

    def remove(self, job_id: str) -> None:
        """Delete a job, but not its files."""
        self._write("DELETE FROM jobs WHERE id = ?", (job_id,))

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs there are in each state."""
        rows = self._read("SELECT state, count(*) AS n FROM jobs GROUP BY state")
        counted = {row["state"]: row["n"] for row in rows}
        return {state: counted.get(state.value, 0) for state in JobState}

    def unfinished(self, client: str | None = None) -> int:
        """Return how many jobs have not ended: of one client, or of all."""
        where, values = ("AND client = ?", (client,)) if client is not None else ("", ())
        sql = f"SELECT count(*) AS n FROM jobs WHERE state IN ('QUEUED', 'IN_PROGRESS') {where}"
        return int(self._read(sql, values)[0]["n"])

    def stored_bytes(self, client: str | None = None) -> int:
        """Return how many bytes the uploads take: those of one client, or all."""
        sql = "SELECT coalesce(sum(bytes), 0) AS n FROM jobs WHERE client = coalesce(?, client)"
        return int(self._read(sql, (client,))[0]["n"])

    def grow_older(self, seconds: float) -> None:
        """Count time for the jobs that have ended.

        The wall clock may be set; a jump of it must neither delete jobs nor keep them for ever.
        """
        self._write("UPDATE jobs SET age = age + ? WHERE finished IS NOT NULL", (seconds,))

    def older_than(self, seconds: float) -> list[str]:
        """Return the ids of jobs that ended more than so long ago."""
        rows = self._read("SELECT id FROM jobs WHERE age > ?", (seconds,))
        return [row["id"] for row in rows]

    def untold(self) -> list[Job]:
        """Return the jobs that have ended, and whose callback has not been delivered."""
        rows = self._read("SELECT * FROM jobs WHERE untold AND finished IS NOT NULL")
        return [self._job(row) for row in rows]

    def mark_told(self, job_id: str) -> None:
        """Note that a job's callback was delivered, or given up."""
        self._write("UPDATE jobs SET untold = 0 WHERE id = ?", (job_id,))

    def ids(self) -> frozenset[str]:
        """Return the ids of all jobs."""
        return frozenset(row["id"] for row in self._read("SELECT id FROM jobs"))

    def recover(self) -> None:
        """Put jobs that a killed server left in progress back into the queue, or fail them."""
        for row in self._read("SELECT * FROM jobs"):
            job = self._job(row)
            if job.error and job.error[0] == _DAMAGED.code and row["finished"] is None:
                self._fail(job.id, _DAMAGED)
        for row in self._read("SELECT id, attempts FROM jobs WHERE state = 'IN_PROGRESS'"):
            if row["attempts"] < MOST_ATTEMPTS:
                self.move(row["id"], JobState.IN_PROGRESS, JobState.QUEUED)
                continue
            error = ApiError(
                "interrupted",
                f"the server died {row['attempts']} times while analyzing this; it is not tried "
                "again, because it may be the cause",
            )
            self.move(row["id"], JobState.IN_PROGRESS, JobState.FAILED, error)
        for job_id, _ in self.queue():
            job = self.get(job_id)
            files = (*job.uploads, *([job.transcript] if job.transcript else ()))
            if not all(upload.path.is_file() for upload in files):
                error = ApiError("media-lost", "the upload is no longer in the state folder")
                self.move(job_id, JobState.QUEUED, JobState.FAILED, error)

    def close(self) -> None:
        """Close the files."""
        with self._reading, self._mutex:
            self._reader.close()
            self._db.close()
        self._lock.close()

    def __enter__(self) -> JobStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._reading, _answering():
            return self._reader.execute(sql, values).fetchall()

    def _write(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._mutex, _answering():
            self._db.execute(sql, values)

    def _fail(self, job_id: str, error: ApiError) -> None:
        """Fail a job whatever its state is."""
        self._write(
            "UPDATE jobs SET state = ?, error = ?, finished = ? WHERE id = ?",
            (JobState.FAILED.value, json.dumps([error.code, error.message]), time.time(), job_id),
        )

    def _job(self, row: sqlite3.Row) -> Job:
        try:
            return self._parse(row)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return self._damaged(row)

    def _damaged(self, row: sqlite3.Row) -> Job:
        lost = Upload(self.home(str(row["id"])) / "input" / "lost", "unknown", _LOST, 0)
        return Job(
            id=str(row["id"]),
            client=str(row["client"]),
            uploads=(lost,),
            transcript=None,
            options=AnalysisOptions(),
            facts=Facts(_LOST.kind.value),
            state=JobState.FAILED,
            error=(_DAMAGED.code, _DAMAGED.message),
        )

    def _parse(self, row: sqlite3.Row) -> Job:
        request = json.loads(row["request"])
        home = self.home(row["id"])
        uploads = tuple(_upload(home, u) for u in request["uploads"])
        return Job(
            id=row["id"],
            client=row["client"],
            uploads=uploads,
            transcript=_upload(home, request["transcript"]) if request["transcript"] else None,
            options=AnalysisOptions.model_validate(request["options"]),
            callback=request["callback"],
            facts=Facts(**request["facts"]),
            state=JobState(row["state"]),
            created=float(row["created"]),
            started=None if row["started"] is None else float(row["started"]),
            finished=None if row["finished"] is None else float(row["finished"]),
            attempts=int(row["attempts"]),
            error=_error(row["error"]),
            age=float(row["age"]),
        )


_LOST = ContentType(MediaKind.TEXT, ".txt", "text/plain; charset=utf-8")
"""What an upload counts as of which nothing is known."""


def _error(stored: str | None) -> tuple[str, str] | None:
    if stored is None:
        return None
    code, message = json.loads(stored)
    return str(code), str(message)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn errors of SQLite into answers of the API."""
    try:
        yield
    except sqlite3.Error as error:
        raise _as_answer(error) from error


def _as_answer(error: sqlite3.Error) -> ApiError:
    text = str(error)
    if "locked" in text:
        told = "another process holds the store of jobs; try again"
        return ApiError("store-busy", told, retry_after=2)
    if any(sign in text for sign in ("full", "disk I/O", "readonly", "unable to open")):
        told = "the store of jobs cannot be written; the disk may be full"
        return ApiError("storage-full", told, retry_after=30)
    return ApiError("store-damaged", "the store of jobs is damaged; the operator has to look at it")


def _make_private(folder: Path) -> None:
    """Close a folder of ours to others, whatever it allowed before."""
    folder.chmod(0o700)
    for path in (*folder.glob("jobs.sqlite*"), folder / "lock"):
        if path.exists():
            path.chmod(0o600)


def _request(job: Job) -> str:
    files: Iterable[Upload] = job.uploads
    return json.dumps(
        {
            "uploads": [_stored(u) for u in files],
            "transcript": _stored(job.transcript) if job.transcript else None,
            "callback": job.callback,
            "options": job.options.model_dump(mode="json", exclude_none=True),
            "facts": asdict(job.facts),
        }
    )


def _stored(upload: Upload) -> dict[str, Any]:
    """Paths are kept relative: the state folder may be moved."""
    kind = upload.type
    return {
        "file": upload.path.name,
        "name": upload.name,
        "bytes": upload.bytes,
        "type": [kind.kind.value, kind.suffix, kind.mime],
    }


def _upload(home: Path, stored: dict[str, Any]) -> Upload:
    kind, suffix, mime = stored["type"]
    found = ContentType(MediaKind(kind), suffix, mime)
    return Upload(home / "input" / stored["file"], stored["name"], found, stored["bytes"])
