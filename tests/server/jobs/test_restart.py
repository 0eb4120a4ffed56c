"""A server that is killed in the middle of a job, and one that is told to end."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.listener import Listener
from tests.server.serving import PATIENCE, Running, news, wait_for

pytestmark = pytest.mark.slow  # starts servers and kills them


def begin(client: httpx.Client, clip: Path) -> dict[str, Any]:
    """Send a job and wait until it is being analyzed."""
    response = client.post("/v1/jobs", files={"file": (clip.name, clip.read_bytes())})
    assert response.status_code == 202, response.text
    for _, job in news(client, response.json()["id"]):
        if job["state"] == "IN_PROGRESS":
            return job
        assert job["state"] == "QUEUED", job
    raise AssertionError("the job never began")


def client_of(server: Running) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=PATIENCE)


@pytest.fixture
def faces_only(tmp_path: Path) -> Path:
    """Settings with which a server starts quickly."""
    config = tmp_path / "emofuse.yaml"
    config.write_text("modalities: [face, text]\ntranscribe:\n  engine: none\n")
    return config


@pytest.mark.slow
def test_killed_in_the_middle_of_a_job(
    serve: Callable[..., Running],
    listen: Callable[..., Listener],
    media: Path,
    tmp_path: Path,
    faces_only: Path,
) -> None:
    state, busy = tmp_path / "state", listen(*[503] * 100)
    settings = {
        "EMOFUSE_CONFIG": faces_only,
        "EMOFUSE_CALLBACK_SECRET": "a secret that nobody guesses",
        "EMOFUSE_CALLBACK_HOSTS": "127.0.0.1",
        "EMOFUSE_ANALYZE_TIMEOUT": 0.01,  # jobs and their films are not bound by it
    }
    first = serve(state, **settings).wait()
    with client_of(first) as client:
        ended = client.post("/v1/jobs", json={"text": "So be it.", "callback": busy.url}).json()
        assert wait_for(client, ended["id"])["state"] == "COMPLETED"
        running = begin(client, media / "talking.mp4")
        waiting = client.post("/v1/jobs", json={"text": "I am glad that you are back."}).json()
        assert client.get(running["links"]["self"]).json()["state"] == "IN_PROGRESS"
    first.end(signal.SIGKILL)
    leftovers = state / "incoming" / "torn" / "input"  # what an upload would have left
    leftovers.mkdir(parents=True)
    (state / "jobs" / "nobodys").mkdir()
    busy.statuses.clear()

    second = serve(state, **settings).wait()
    with client_of(second) as client:
        assert busy.taken.wait(PATIENCE)  # who could not be told before is told now
        assert {json.loads(body)["id"] for *_, body in busy.told} == {f"{ended['id']}-ended"}
        assert not leftovers.exists()
        assert not (state / "jobs" / "nobodys").exists()
        jobs = {job["id"]: job for job in client.get("/v1/jobs").json()["jobs"]}
        assert set(jobs) == {running["id"], waiting["id"], ended["id"]}
        again = wait_for(client, running["id"])
        assert (again["state"], again["attempts"]) == ("COMPLETED", 2), again["error"]
        timeline = client.get(again["links"]["result"]).json()
        assert {e["modality"] for e in timeline["estimates"]} >= {"face", "fused"}
        film = client.get(again["links"]["result"], params={"format": "mp4"})
        assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
        other = wait_for(client, waiting["id"])
        assert (other["state"], other["attempts"]) == ("COMPLETED", 1)
        assert not list((state / "jobs").glob("*/attempt-*"))
    assert second.end() == 0


@pytest.mark.slow
def test_told_to_end_it_parks_the_job(
    serve: Callable[..., Running], media: Path, tmp_path: Path, faces_only: Path
) -> None:
    state = tmp_path / "state"
    first = serve(state, EMOFUSE_GRACE=0.2, EMOFUSE_CONFIG=faces_only).wait()
    with client_of(first) as client:
        job = begin(client, media / "talking.mp4")
    started = time.monotonic()
    assert first.end() == 0, first.log
    assert time.monotonic() - started < 60
    assert "Traceback" not in first.log

    second = serve(state, EMOFUSE_CONFIG=faces_only).wait()
    with client_of(second) as client:
        again = wait_for(client, job["id"])
        # Parked, so that it does not count as its fault.
        assert (again["state"], again["attempts"]) == ("COMPLETED", 1), again["error"]


def test_a_second_server_has_to_have_its_own_folder(
    serve: Callable[..., Running], server: Running
) -> None:
    second = serve(server.state)
    assert second.process.wait(PATIENCE) != 0
    assert "EMOFUSE_STATE" in second.log
    assert "Traceback" not in second.log
