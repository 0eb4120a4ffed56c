"""What a batch has done, kept so that it survives Ctrl-C, ``kill -9`` and power cuts.

One SQLite file in the folder of results. A row is written before a medium is analyzed and
again when its results are complete, each in a transaction of its own: results without such
a row are somebody else's and never touched, those of an unfinished row may be replaced.
The file stays locked while a run works in the folder, and the system lifts the lock when
the process ends, however it ends.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import InputError

NAME = "journal.sqlite"
"""The journal's name in the folder of results."""

_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS media (
  path     TEXT PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE,
  state    TEXT NOT NULL,
  size     INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  content  TEXT NOT NULL,
  settings TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  seconds  REAL,
  error    TEXT,
  outcome  TEXT
)
"""


class State(str, Enum):
    """How far a medium is."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a result depends on besides the program.

    Args:
        size: of the file and its transcript together, bytes.
        mtime_ns: when one of them was changed last.
        content: digest of the bytes of the file and its transcript.
    """

    size: int
    mtime_ns: int
    content: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A medium's row.

    Args:
        path: of the medium.
        name: of its folder of results.
        state: how far it is.
        fingerprint: of the medium when it was analyzed.
        settings: digest of settings, models, formats and version.
        attempts: how often it was tried.
        seconds: how long the last try took; None if it did not end.
        error: why it failed; None if it did not.
        outcome: what came of it as plain types; None unless it is done.
    """

    path: str
    name: str
    state: State
    fingerprint: Fingerprint
    settings: str
    attempts: int = 0
    seconds: float | None = None
    error: str | None = None
    outcome: dict[str, Any] | None = None


class Journal:
    """The journal of a folder of results; a context manager that holds the folder's lock.

    Args:
        folder: the folder; made if it is not there.

    Raises:
        InputError: if another run works in the folder, or the journal is damaged, of another
            version, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
            # Exclusive: the lock is held until the connection, or the process, ends.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("BEGIN EXCLUSIVE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise InputError(
                    f"{self.path} is of version {version}, expected {_VERSION}: "
                    "finish this batch with the emofuse that began it, or choose another folder"
                )
            self._db.execute(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
            self._db.execute("COMMIT")
        except (sqlite3.Error, OSError) as e:
            raise _unusable(self.path, e) from e

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def entries(self) -> Iterator[Entry]:
        """Return all rows in the order in which they were begun."""
        yield from [
            _entry(row) for row in self._run(f"SELECT {_COLUMNS} FROM media ORDER BY rowid")
        ]

    def begin(self, entry: Entry) -> None:
        """Note that a medium is taken up; whatever was known of it is forgotten.

        Raises:
            InputError: if the journal cannot be written, e.g. because the disk is full.
        """
        f = entry.fingerprint
        values = (entry.path, entry.name, f.size, f.mtime_ns, f.content, entry.settings)
        self._run(
            "INSERT INTO media (path, name, state, size, mtime_ns, content, settings, attempts) "
            "VALUES (?, ?, 'started', ?, ?, ?, ?, 1) ON CONFLICT (path) DO UPDATE SET "
            "name=excluded.name, state='started', size=excluded.size, mtime_ns=excluded.mtime_ns, "
            "content=excluded.content, settings=excluded.settings, attempts=attempts+1, "
            "seconds=NULL, error=NULL, outcome=NULL",
            *values,
        )

    def done(self, path: str, content: str, seconds: float, outcome: dict[str, Any]) -> None:
        """Note that a medium's results are complete, and what it held."""
        self._run(
            "UPDATE media SET state='done', content=?, seconds=?, outcome=? WHERE path=?",
            *(content, seconds, json.dumps(outcome), path),
        )

    def failed(self, path: str, content: str, seconds: float, error: str) -> None:
        """Note that a medium came to nothing, and what it held."""
        self._run(
            "UPDATE media SET state='failed', content=?, seconds=?, error=? WHERE path=?",
            *(content, seconds, error, path),
        )

    def touched(self, path: str, fingerprint: Fingerprint) -> None:
        """Note the new time of a medium whose content is the same."""
        self._run(
            "UPDATE media SET size=?, mtime_ns=? WHERE path=?",
            *(fingerprint.size, fingerprint.mtime_ns, path),
        )

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as e:
            raise _unusable(self.path, e) from e


_COLUMNS = "path, name, state, size, mtime_ns, content, settings, attempts, seconds, error, outcome"


def _entry(row: tuple[Any, ...]) -> Entry:
    path, name, state, size, mtime_ns, content, settings, attempts, seconds, error, outcome = row
    return Entry(
        path,
        name,
        State(state),
        Fingerprint(size, mtime_ns, content),
        settings,
        attempts,
        seconds,
        error,
        json.loads(outcome) if outcome else None,
    )


def _unusable(path: Path, error: Exception) -> InputError:
    if "locked" in str(error):
        return InputError(
            f"another run of emofuse is working in {path.parent}: wait until it ends, "
            "or choose another folder"
        )
    reason = getattr(error, "strerror", None) or error
    return InputError(
        f"cannot use the journal {path}: {reason}; make room, or choose another folder"
    )


def fingerprint(path: Path, transcript: Path | None = None) -> Fingerprint:
    """Read a medium (and its transcript) whole and return its fingerprint.

    Raises:
        OSError: if a file cannot be read.
    """
    times = quick_fingerprint(path, transcript)
    digest = hashlib.blake2b(digest_size=16)
    for file in (path, transcript):
        if file is not None:
            with file.open("rb") as f:
                while chunk := f.read(1 << 20):
                    digest.update(chunk)
        digest.update(b"\0")
    return replace(times, content=digest.hexdigest())


def quick_fingerprint(path: Path, transcript: Path | None = None) -> Fingerprint:
    """Return what the file system says of a medium and its transcript; the content is empty.

    Raises:
        OSError: if a file is not there.
    """
    stats = [p.stat() for p in (path, transcript) if p is not None]
    return Fingerprint(sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats), "")
