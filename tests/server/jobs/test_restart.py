"""A server that is killed in the middle of a job, and one that is told to end."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
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
    serve: Callable[..., Running], media: Path, tmp_path: Path, faces_only: Path
) -> None:
    state = tmp_path / "state"
    first = serve(state, EMOFUSE_CONFIG=faces_only).wait()
    with client_of(first) as client:
        running = begin(client, media / "talking.mp4")
        waiting = client.post("/v1/jobs", json={"text": "I am glad that you are back."}).json()
        assert client.get(running["links"]["self"]).json()["state"] == "IN_PROGRESS"
    first.end(signal.SIGKILL)
    leftovers = state / "incoming" / "torn" / "input"  # what an upload would have left
    leftovers.mkdir(parents=True)
    (state / "jobs" / "nobodys").mkdir()

    second = serve(state, EMOFUSE_CONFIG=faces_only).wait()
    with client_of(second) as client:
        assert not leftovers.exists()
        assert not (state / "jobs" / "nobodys").exists()
        jobs = {job["id"]: job for job in client.get("/v1/jobs").json()["jobs"]}
        assert set(jobs) == {running["id"], waiting["id"]}
        again = wait_for(client, running["id"])
        assert (again["state"], again["attempts"]) == ("COMPLETED", 2), again["error"]
        timeline = client.get(again["links"]["result"]).json()
        assert {e["modality"] for e in timeline["estimates"]} >= {"face", "fused"}
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
