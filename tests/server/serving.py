"""A real server in a process of its own, and how its answers are read."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 120.0  # machines that test are busy

LIMITS = {
    "EMOFUSE_ANALYZE_BYTES": 2_000_000,
    "EMOFUSE_ANALYZE_SECONDS": 20,
    "EMOFUSE_JOB_BYTES": 4_000_000,
    "EMOFUSE_JOB_SECONDS": 40,
    "EMOFUSE_MEGAPIXELS": 2,
    "EMOFUSE_VIDEO_MEGAPIXELS": 0.5,
    "EMOFUSE_FRAMES": 2000,
    "EMOFUSE_TEXT_BYTES": 20_000,
    "EMOFUSE_JOBS_PER_CLIENT": 3,
    "EMOFUSE_WAITING_PER_CLIENT": 3,
    "EMOFUSE_SESSIONS_PER_CLIENT": 2,
    "EMOFUSE_SESSION_IDLE": 4,
    "EMOFUSE_UPLOAD_PATIENCE": 2,
    "EMOFUSE_HEADER_SECONDS": 3,
    "EMOFUSE_GRACE": 1,
}


class Running:
    """`emofuse serve` in a process of its own.

    Args:
        state: its folder of jobs.
        variables: its settings.
    """

    def __init__(self, state: Path, variables: dict[str, Any]) -> None:
        self.state, self.port = state, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EMOFUSE_")}
        environment |= {"EMOFUSE_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        environment |= {name: str(value) for name, value in variables.items()}
        self._log = state.parent / f"server-{self.port}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "emofuse", "serve"),
                    *("--port", str(self.port), "--state", str(state)),
                ],
                env=environment,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self) -> Running:
        """Wait until it answers."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log
            try:
                if httpx.get(f"{self.url}/v1/health").json()["status"] == "ok":
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"the server does not come up:\n{self.log}")

    def end(self, sig: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(response: httpx.Response, status: int, code: str) -> str:
    """Check that a response is an error as documented, and return its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code, body
    assert "Traceback" not in response.text
    assert "/input/" not in response.text  # where we keep files is nobody's business
    message: str = body["error"]["message"]
    return message


def news(client: httpx.Client, job_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (event, job) of a job's event stream."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        event = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield event, json.loads(line.removeprefix("data: "))


def wait_for(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Wait until a job has ended, and return it."""
    (*_, (event, job)) = news(client, job_id)
    assert event == "end"
    return job
