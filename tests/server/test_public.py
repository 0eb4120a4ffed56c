"""A server for everybody, started as platforms run a `Procfile`: PORT alone is set."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.serving import PATIENCE, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("platform")
    (line,) = re.findall(r"^web: (.+)$", (ROOT / "Procfile").read_text("utf-8"), re.MULTILINE)
    bin_ = home / "bin"
    bin_.mkdir()
    program = bin_ / "emofuse"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m emofuse "$@"\n')
    program.chmod(0o755)
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EMOFUSE_")}
    search = os.pathsep.join((str(bin_), os.environ["PATH"]))
    environment = {**kept, "PORT": str(port), "HOME": str(home), "PATH": search}
    environment |= {"XDG_DATA_HOME": str(home), "OMP_NUM_THREADS": "1"}
    log = home / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {line}"],
            env=environment, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            try:
                if httpx.get(f"{url}/v1/health").json()["status"] == "ok":
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        assert "PUBLIC SERVER" in log.read_text()
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=PATIENCE)


def test_anybody_may_use_it(url: str) -> None:
    assert httpx.get(url).status_code == 200
    health = httpx.get(f"{url}/v1/health").json()
    assert health["authorised"]
    assert health["limits"]["jobs"]["seconds"] <= 300


def test_nobody_sees_what_others_sent(url: str) -> None:
    job = httpx.post(f"{url}/v1/jobs", json={"text": "What a day."}, timeout=PATIENCE).json()
    assert httpx.get(f"{url}/v1/jobs").json() == {"jobs": []}
    assert httpx.get(f"{url}/v1/jobs/{job['id']}").json()["id"] == job["id"]
    assert httpx.get(f"{url}/v1/jobs/0000000000000000").status_code == 404
    assert httpx.get(f"{url}/metrics").status_code == 403


def test_pages_of_others_are_still_refused(url: str) -> None:
    answer = httpx.get(f"{url}/v1/jobs", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
