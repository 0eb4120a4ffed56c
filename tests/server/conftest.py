"""Servers for tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
pytest.importorskip("fastapi", reason="no server without the extra: pip install 'emofuse[web]'")
pytest.importorskip("uvicorn", reason="no server without the extra: pip install 'emofuse[web]'")

pytest.importorskip("jsonschema_rs", reason="jsonschema-rs is not installed")

from tests.server.contract import Contract  # noqa: E402
from tests.server.listener import Listener  # noqa: E402
from tests.server.serving import LIMITS, PATIENCE, Running  # noqa: E402


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts servers: `serve(state, EMOFUSE_PORT=…)`; all are gone at the end."""
    started: list[Running] = []
    # Recognising speech takes most of the time, and is tested elsewhere.
    config = tmp_path_factory.mktemp("config") / "emofuse.yaml"
    config.write_text("transcribe:\n  engine: none\n")

    def start(state: Path | None = None, **variables: Any) -> Running:
        state = state or tmp_path_factory.mktemp("serve") / "state"
        state.parent.mkdir(parents=True, exist_ok=True)
        started.append(Running(state, LIMITS | {"EMOFUSE_CONFIG": config} | variables))
        return started[-1]

    yield start
    for server in started:
        server.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def server(serve: Callable[..., Running]) -> Running:
    """The server that most tests share."""
    return serve().wait()


@pytest.fixture(scope="session")
def contract(server: Running) -> Contract:
    """What the shared server says of its answers."""
    return Contract(httpx.get(f"{server.url}/v1/openapi.json").json())


@pytest.fixture
def client(server: Running, contract: Contract) -> Iterator[httpx.Client]:
    """A client of the shared server; every answer is held against the OpenAPI."""
    hooks = {"response": [contract.check]}
    with httpx.Client(base_url=server.url, timeout=PATIENCE, event_hooks=hooks) as client:
        yield client


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(*statuses: int) -> Listener:
        listeners.append(Listener(*statuses))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.shutdown()
        listener.server_close()
