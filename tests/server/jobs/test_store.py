"""What is in the store survives."""

import sqlite3
import time
from pathlib import Path

import pytest

from emofuse.core.media import MediaKind
from emofuse.errors import InputError
from emofuse.io.media_types import ContentType
from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.store import Job, JobState, JobStore
from emofuse.server.jobs.tasks import Facts, Upload
from emofuse.server.options import AnalysisOptions

VIDEO = ContentType(MediaKind.VIDEO, ".mp4", "video/mp4")
TEXT = ContentType(MediaKind.TEXT, ".srt", "text/plain")


def put(store: JobStore, name: str, client: str = "me", created: float | None = None) -> Job:
    folder = store.home(name) / "input"
    folder.mkdir(parents=True)
    for file in ("0.mp4", "words.srt"):
        (folder / file).write_bytes(b"12345")
    job = Job(
        id=name,
        client=client,
        uploads=(Upload(folder / "0.mp4", "clip.mp4", VIDEO, 5),),
        transcript=Upload(folder / "words.srt", "said.srt", TEXT, 5),
        options=AnalysisOptions(modalities=("face", "text"), asr="none", weights={"face": 1.0}),
        facts=Facts("video", 12.5, 640, 480),
        created=time.time() if created is None else created,
    )
    store.add(job)
    return job


def test_jobs_come_back_as_they_were(tmp_path: Path) -> None:
    with JobStore(tmp_path) as store:
        job = put(store, "a")
    with JobStore(tmp_path) as store:
        assert store.get("a") == job
        assert store.latest(None, 10) == [job]
        assert store.queue() == [("a", "me")]
        assert store.stored_bytes() == 10


def test_a_moved_folder_still_works(tmp_path: Path) -> None:
    with JobStore(tmp_path / "here") as store:
        put(store, "a")
    (tmp_path / "here").rename(tmp_path / "there")
    with JobStore(tmp_path / "there") as store:
        store.recover()
        assert store.get("a").state is JobState.QUEUED
        assert store.get("a").uploads[0].path.read_bytes() == b"12345"


def test_states_move_once(tmp_path: Path) -> None:
    with JobStore(tmp_path) as store:
        put(store, "a")
        assert store.move("a", JobState.QUEUED, JobState.IN_PROGRESS, attempts=1)
        assert not store.move("a", JobState.QUEUED, JobState.CANCELLED)
        facts = Facts("video", 12.75, 640, 480)
        assert store.move("a", JobState.IN_PROGRESS, JobState.COMPLETED, facts=facts)
        job = store.get("a")
        assert (job.state, job.attempts, job.facts, job.error) == (
            JobState.COMPLETED,
            1,
            facts,
            None,
        )
        assert job.started is not None
        assert job.finished is not None
        assert job.created <= job.started <= job.finished
        assert store.older_than(0) == []
        store.grow_older(5)
        assert store.older_than(4) == ["a"]
        assert store.older_than(5) == []


def test_unfinished_jobs_start_again_but_not_for_ever(tmp_path: Path) -> None:
    with JobStore(tmp_path) as store:
        put(store, "a")
        put(store, "b")
    for attempt in (1, 2):
        with JobStore(tmp_path) as store:
            store.recover()
            assert store.get("a").state is JobState.QUEUED
            assert store.move("a", JobState.QUEUED, JobState.IN_PROGRESS, attempts=1)
            assert store.get("a").attempts == attempt
            # … and here the server is killed
    with JobStore(tmp_path) as store:
        store.recover()
        job = store.get("a")
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error[0] == "interrupted"
        assert store.get("b").state is JobState.QUEUED  # it never was begun


def test_lost_media_are_told(tmp_path: Path) -> None:
    with JobStore(tmp_path) as store:
        job = put(store, "a")
        job.uploads[0].path.unlink()
        store.recover()
        error = store.get("a").error
        assert error is not None
        assert error[0] == "media-lost"


def test_counts(tmp_path: Path) -> None:
    with JobStore(tmp_path) as store:
        for name, client in (("a", "me"), ("b", "me"), ("c", "you")):
            put(store, name, client)
        store.move("b", JobState.QUEUED, JobState.CANCELLED)
        assert store.unfinished() == 2
        assert store.unfinished("me") == 1
        assert store.counts()[JobState.QUEUED] == 2
        assert store.counts()[JobState.FAILED] == 0
        assert [job.id for job in store.latest(JobState.CANCELLED, 10)] == ["b"]
        store.remove("a")
        assert store.ids() == {"b", "c"}
        with pytest.raises(ApiError, match="no-such-job"):
            store.get("a")


def test_one_server_a_folder(tmp_path: Path) -> None:
    with JobStore(tmp_path), pytest.raises(InputError, match="EMOFUSE_STATE"):
        JobStore(tmp_path)
    JobStore(tmp_path).close()  # free again


def test_unknown_versions_are_left_alone(tmp_path: Path) -> None:
    JobStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(InputError, match="version 99"):
        JobStore(tmp_path)


def test_files_that_are_no_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_text("this is no database, and it is long enough to see it")
    with pytest.raises(InputError, match=r"jobs\.sqlite"):
        JobStore(tmp_path)
