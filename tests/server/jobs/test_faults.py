"""Jobs when the disk is full, the database locked, an entry damaged, the clock moved.

The manager, the store and the worker processes are the real ones; what fails really fails.
"""

import asyncio
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.server.serving import PATIENCE, refused

from emofuse.server.app import create_app
from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.store import JobState, JobStore
from emofuse.server.settings import Settings
from emofuse.server.state import ServerState

TEXT = {"text": "I am glad that you are back."}
URL = "http://127.0.0.1:8000"


@contextlib.asynccontextmanager
async def running(
    folder: Path, **more: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, ServerState]]:
    """Run an application that reads words only, so that it starts quickly, in this process."""
    config = folder / "emofuse.yaml"
    config.write_text("modalities: [text]\ntranscribe:\n  engine: none\n")
    app: FastAPI = create_app(Settings(state=folder / "state", config=config, grace=1, **more))
    state: ServerState = app.state.server
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with state.open(), httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client, state


Attack = Callable[[httpx.AsyncClient, ServerState], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Attack], None]]:
    """Runs attacks one after the other on one application; each must leave it well."""
    folder = tmp_path_factory.mktemp("faults")
    with asyncio.Runner() if sys.version_info >= (3, 11) else LoopRunner() as runner:
        application = running(folder)
        client, state = runner.run(application.__aenter__())
        yield lambda attack: runner.run(attack(client, state))
        runner.run(application.__aexit__(None, None, None))


class LoopRunner:
    """`asyncio.Runner` for Python 3.10."""

    def __enter__(self) -> "LoopRunner":
        self._loop = asyncio.new_event_loop()
        return self

    def run(self, task: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(task)

    def __exit__(self, *_: object) -> None:
        self._loop.close()


async def until(check: Callable[[], Any], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the database as another process would."""
    other = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def begun(client: httpx.AsyncClient, state: ServerState) -> str:
    """Send a job and wait until it is analyzed."""
    response = await client.post("/v1/jobs", json=TEXT)
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    manager = state.manager
    assert manager is not None
    await until(lambda: job_id in manager._runs, "the job never began")
    return job_id


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        job: dict[str, Any] = (await client.get(f"/v1/jobs/{job_id}")).json()
        if job["state"] in ("COMPLETED", "FAILED", "CANCELLED"):
            return job
        await asyncio.sleep(0.05)
    raise AssertionError("the job never ended")


def test_a_locked_database_is_told_at_once_and_delays_jobs_only(
    shared: Callable[[Attack], None],
) -> None:
    async def attack(client: httpx.AsyncClient, state: ServerState) -> None:
        first = await begun(client, state)
        assert state.manager is not None
        manager = state.manager
        with locked(state.settings.folder):  # as the job ends
            await until(lambda: manager.problems, "nothing was noticed")
            answer = await client.get("/v1/health")
            assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
            assert answer.json()["problems"][0]["code"] == "store-busy"
            refused(await client.post("/v1/jobs", json=TEXT), 503, "store-busy")
            refused(await client.delete(f"/v1/jobs/{first}"), 503, "store-busy")
            assert (await client.get("/v1/jobs")).status_code == 200
        assert (await ended(client, first))["state"] == "COMPLETED"
        assert (await client.get(f"/v1/jobs/{first}/result")).status_code == 200
        second = (await client.post("/v1/jobs", json=TEXT)).json()["id"]  # the loop goes on
        assert (await ended(client, second))["state"] == "COMPLETED"
        await until(lambda: not manager.problems, "it stays unhealthy")
        assert (await client.get("/v1/health")).json()["status"] == "ok"
        assert {p.name for p in (manager.store.folder / "jobs").iterdir()} == {first, second}

    shared(attack)


DISK_FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.server.jobs.test_faults import TEXT, begun, ended, running

async def attack():
    folder = Path(sys.argv[1])
    async with running(folder) as (client, state):
        first = await begun(client, state)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))  # for the server alone
        while not state.manager.problems:
            await asyncio.sleep(0.02)
        health = await client.get("/v1/health")
        refusal = await client.post("/v1/jobs", json=TEXT)
        upload = await client.post("/v1/analyze", files={"file": ("a.txt", b"x" * 3_000_000)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert health.status_code == 503, health.text
        assert health.json()["problems"][0]["code"] == "storage-full", health.text
        for answer in (refusal, upload):
            assert answer.status_code == 507, answer.text
            assert answer.json()["error"]["code"] == "storage-full", answer.text
        assert (await ended(client, first))["state"] == "COMPLETED"
        second = (await client.post("/v1/jobs", json=TEXT)).json()["id"]
        assert (await ended(client, second))["state"] == "COMPLETED"

asyncio.run(attack())
"""


@pytest.mark.slow
def test_a_full_disk_is_told_and_delays_jobs_only(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    command = [sys.executable, "-c", DISK_FULL, str(tmp_path)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_worker_without_room_for_results_says_why(shared: Callable[[Attack], None]) -> None:
    """The job fails with the reason, and the next one that has room goes well."""

    async def attack(client: httpx.AsyncClient, state: ServerState) -> None:
        job_id = await begun(client, state)
        await ended(client, job_id)
        assert state.manager is not None
        process = state.manager.pool._workers[0]._process._process
        assert process is not None
        assert process.pid is not None
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, most))
        second = (await client.post("/v1/jobs", json=TEXT)).json()["id"]
        job = await ended(client, second)
        assert (job["state"], job["error"]["code"]) == ("FAILED", "storage-full")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        third = (await client.post("/v1/jobs", json=TEXT)).json()["id"]
        assert (await ended(client, third))["state"] == "COMPLETED"

    shared(attack)


def test_a_damaged_entry_harms_no_other_job(shared: Callable[[Attack], None]) -> None:
    async def attack(client: httpx.AsyncClient, state: ServerState) -> None:
        jobs = [(await client.post("/v1/jobs", json=TEXT)).json()["id"] for _ in range(4)]
        for job_id in jobs:
            await ended(client, job_id)
        assert state.manager is not None
        store = state.manager.store
        failed = store.counts()[JobState.FAILED]
        damage = (("request", "{"), ("request", "[]"), ("state", "DANCING"), ("id", jobs[3]))
        for job_id, (column, value) in zip(jobs, damage, strict=True):
            store._write(
                f"UPDATE jobs SET state = 'QUEUED', finished = NULL, {column} = ? WHERE id = ?",
                (value, job_id),
            )
        state.manager._work.set()
        assert (await ended(client, jobs[3]))["state"] == "COMPLETED"
        for job_id in jobs[:3]:
            job = await ended(client, job_id)
            assert (job["state"], job["error"]["code"]) == ("FAILED", "damaged")
        listed = (await client.get("/v1/jobs")).json()["jobs"]
        assert {job["id"] for job in listed} >= set(jobs)
        store.recover()  # as at the next start
        assert store.counts()[JobState.FAILED] == failed + 3
        for job_id in jobs:
            assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204

    shared(attack)


def test_a_clock_that_is_set_deletes_nothing_and_keeps_nothing_for_ever(
    shared: Callable[[Attack], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def attack(client: httpx.AsyncClient, state: ServerState) -> None:
        job_id = (await client.post("/v1/jobs", json=TEXT)).json()["id"]
        await ended(client, job_id)
        manager = state.manager
        assert manager is not None
        real = time.time
        for jump in (10 * 365 * 86400, -10 * 365 * 86400):
            monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
            assert manager._expired() == []
            assert (await client.get(f"/v1/jobs/{job_id}")).json()["state"] == "COMPLETED"
            other = (await client.post("/v1/jobs", json=TEXT)).json()["id"]
            assert (await ended(client, other))["state"] == "COMPLETED"
            newest = (await client.get("/v1/jobs")).json()["jobs"][0]
            assert newest["id"] == other  # order is that of coming, not of the clock
        manager.store.grow_older(24 * 3600 + 1)
        assert job_id in manager._expired()

    shared(attack)


def test_a_store_that_cannot_be_asked_costs_no_files(tmp_path: Path) -> None:
    """What looks like a deleted job may be a store that is busy."""
    from emofuse.server.jobs.manager import JobManager
    from emofuse.server.metrics import Metrics

    with JobStore(tmp_path) as store:
        home = store.home("a")
        (home / "input").mkdir(parents=True)
        manager = JobManager(store, None, Settings(state=tmp_path), Metrics())  # type: ignore[arg-type]
        store._db.execute("DROP TABLE jobs")
        with pytest.raises(ApiError, match="store-damaged"):
            store.get("a")
        manager._tidy("a", home / "attempt-1")
        assert home.is_dir()


def test_failed_jobs_tell_no_path(shared: Callable[[Attack], None]) -> None:
    async def attack(client: httpx.AsyncClient, state: ServerState) -> None:
        job_id = await begun(client, state)
        await ended(client, job_id)
        assert state.manager is not None
        store = state.manager.store
        job = store.get(job_id)
        job.uploads[0].path.write_bytes(b"\0\0")  # damaged after it was accepted
        store._write("UPDATE jobs SET state = 'QUEUED', finished = NULL WHERE id = ?", (job_id,))
        state.manager._work.set()
        failed = await ended(client, job_id)
        assert failed["state"] == "FAILED"
        assert str(store.folder) not in failed["error"]["message"]
        assert "/" not in failed["error"]["message"]

    shared(attack)


def test_state_is_private_whatever_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    JobStore(folder).close()
    (folder / "jobs.sqlite").chmod(0o666)
    with JobStore(folder):
        modes = {p.name: p.stat().st_mode & 0o077 for p in (folder, *folder.glob("jobs.sqlite"))}
    assert set(modes.values()) == {0}
