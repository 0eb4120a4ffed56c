import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from emofuse.batch.journal import NAME, Entry, Fingerprint, Journal, State, fingerprint
from emofuse.errors import InputError

PRINT = Fingerprint(10, 20, "abc")


def entry(path: str = "/a.mp4", name: str = "a") -> Entry:
    return Entry(path, name, State.STARTED, PRINT, "settings")


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "out") as journal:
        for n, path in enumerate(("/a.mp4", "/b.mp4", "/c.mp4")):
            journal.begin(entry(path, f"x{n}"))
        journal.done("/b.mp4", "abc", 1.5, {"file": "b"})
        journal.failed("/c.mp4", "abc", 0.5, "no media")
    with Journal(tmp_path / "out") as journal:
        a, b, c = journal.entries()
    assert a == Entry("/a.mp4", "x0", State.STARTED, PRINT, "settings", 1)
    assert (b.state, b.seconds, b.outcome) == (State.DONE, 1.5, {"file": "b"})
    assert (c.state, c.error) == (State.FAILED, "no media")
    assert b.fingerprint.content == "abc"


def test_another_try_forgets_the_last_one(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.begin(entry())
        journal.failed("/a.mp4", "abc", 0.5, "no media")
        journal.begin(entry())
        (row,) = journal.entries()
    assert (row.state, row.attempts, row.error, row.seconds) == (State.STARTED, 2, None, None)


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(InputError, match="another run of emofuse is working"):
        Journal(tmp_path)
    with Journal(tmp_path):
        pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from emofuse.batch.journal import *\n"
        "j = Journal(Path(sys.argv[1]))\n"
        "j.begin(Entry('/a.mp4', 'a', State.STARTED, Fingerprint(1, 2, 'x'), 's'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -9
    with Journal(tmp_path) as journal:
        assert [row.state for row in journal.entries()] == [State.STARTED]


def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(InputError, match="cannot use the journal"):
        Journal(tmp_path)
    assert path.read_bytes().startswith(b"this is no")
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(InputError, match="version 99, expected 1"):
        Journal(tmp_path)


def test_a_fingerprint_is_of_the_medium_and_its_transcript(tmp_path: Path) -> None:
    medium, text = tmp_path / "a.mp4", tmp_path / "a.srt"
    medium.write_bytes(b"film")
    text.write_text("words")
    alone, both = fingerprint(medium), fingerprint(medium, text)
    assert alone.content != both.content
    assert both == fingerprint(medium, text)
    text.write_text("other words")
    assert fingerprint(medium, text).content != both.content
