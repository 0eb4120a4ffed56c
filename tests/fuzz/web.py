"""The server, in this process: requests made from its OpenAPI, and live sessions."""

from __future__ import annotations

import json
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import hypothesis
import requests
import schemathesis
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from tests.fuzz.mutate import mutated
from tests.fuzz.run import HUNG, Journal, Result
from tests.fuzz.seeds import Kind, make_seeds
from tests.fuzz.targets import ANALYZED, CRASHED, LEAKED, REFUSED, Report

from emofuse.server.app import create_app
from emofuse.server.settings import Limits, Settings

PATIENCE = 60.0
"""Seconds after which a request or a session hangs."""

_HERE = "http://127.0.0.1"

_TEXT_MESSAGES = (
    b'{"type": "session.close"}',
    b'{"type": "ping", "n": [1, 2, {"a": null}]}',
    b'{"type": 5}',
    b"[]",
    b'"text"',
)


@dataclass(frozen=True, slots=True)
class _Server:
    client: TestClient
    folder: Path


@contextmanager
def _serving(folder: Path) -> Iterator[_Server]:
    """Start the application; what it leaves behind when it stops is an error."""
    config = folder / "config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("transcribe:\n  engine: none\n")
    limits = Limits(upload_patience=5.0, session_idle=5.0, jobs_per_client=1000, jobs=1000)
    settings = Settings(state=folder / "state", config=config, limits=limits)
    app = create_app(settings)
    with TestClient(app, _HERE, client=("127.0.0.1", 50_000)) as client:
        yield _Server(client, settings.folder)


def run_web(folder: Path, count: int, sessions: int, seed: int) -> list[Result]:
    """Send requests and play sessions that are not in the folder's journal yet.

    Args:
        folder: of the seeds and the journal.
        count: how many requests at most, all operations of the API together (those without
            parameters need one), and a fifth as many uploads of damaged files.
        sessions: how many live sessions.
        seed: decides all of them.
    """
    journal = Journal(folder / f"journal-web-{seed}.jsonl")
    seeds = make_seeds(folder / "seeds")
    with _serving(folder / "server") as server, ThreadPoolExecutor(1) as aside:
        for name, source, attempt in (
            *_requests(server.client, count, seed, journal),
            *_uploads(server.client, seeds, count // 5, seed, journal),
            *_sessions(server.client, seeds, sessions, seed, journal),
        ):
            journal.add(_timed(aside, name, source, attempt))
        incoming = server.folder / "incoming"
    left = [path.name for path in incoming.iterdir()] if incoming.exists() else []
    if left:
        journal.add(Result("uploads", "", LEAKED, f"uploads: {', '.join(left)}", 0.0))
    return list(journal.done.values())


Attempt = tuple[str, str, Callable[[], Report]]


def _timed(
    aside: ThreadPoolExecutor, name: str, source: str, attempt: Callable[[], Report]
) -> Result:
    started = time.perf_counter()
    try:
        report = aside.submit(attempt).result(PATIENCE)
    except TooLong:
        report = Report(HUNG, f"no answer in {PATIENCE:g} s")
    except Exception:
        report = Report(CRASHED, traceback.format_exc())
    seconds = round(time.perf_counter() - started, 3)
    return Result(name, source, report.outcome, report.told, seconds)


# ---------------------------------------------------------------- requests


def _requests(client: TestClient, count: int, seed: int, journal: Journal) -> Iterator[Attempt]:
    raw = client.get("/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(raw)
    operations = [found.ok() for found in schema.get_all_operations()]
    for index, operation in enumerate(operations):
        share = count // len(operations) + (index < count % len(operations))
        name = f"{operation.method.upper()} {operation.path}"
        names = [f"{name} #{n}" for n in range(share)]
        if all(one in journal.done for one in names):
            continue
        for one, case in zip(names, _examples(operation, share, seed + index), strict=False):
            yield one, name, lambda case=case: _answered(client, case)


def _examples(operation: Any, count: int, seed: int) -> list[Any]:
    """Make requests, the same ones for the same seed."""
    made: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def collect(case: Any) -> None:
        made.append(case)

    if count:
        collect()
    return made[:count]


def _answered(client: TestClient, case: Any) -> Report:
    asked = requests.Request(**case.as_transport_kwargs(base_url=_HERE)).prepare()
    assert asked.method is not None
    assert asked.url is not None
    headers = {name: str(value) for name, value in asked.headers.items()}
    return _judged(
        client.request(asked.method, asked.url, content=asked.body or b"", headers=headers)
    )


def _judged(answer: Any) -> Report:
    if answer.status_code >= 500:
        return Report(CRASHED, f"{answer.status_code}: {answer.text[:500]}")
    if answer.status_code >= 400:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        words = isinstance(told.get("error"), dict) and told["error"].get("message")
        if not words:
            return Report(CRASHED, f"{answer.status_code} without words: {answer.text[:500]}")
        return Report(REFUSED, str(words))
    return Report(ANALYZED)


def _uploads(
    client: TestClient, seeds: dict[Kind, list[Path]], count: int, seed: int, journal: Journal
) -> Iterator[Attempt]:
    """Send damaged files, which hypothesis would not think of."""
    files = [path for kind in (Kind.MEDIA, Kind.PICTURE, Kind.TEXT) for path in seeds[kind]]
    for number in range(count):
        name, random = f"upload #{number}", Random(f"{seed}:upload:{number}")
        if name not in journal.done:
            path, other = random.choice(files), random.choice(files)
            data = mutated(random, path.read_bytes(), other.read_bytes(), is_text=False)
            sent = {"file": (random.choice((path, other)).name, data)}
            route = random.choice(("/v1/analyze", "/v1/observe"))
            yield name, path.name, lambda r=route, f=sent: _judged(client.post(r, files=f))


# ---------------------------------------------------------------- live sessions


def _sessions(
    client: TestClient, seeds: dict[Kind, list[Path]], count: int, seed: int, journal: Journal
) -> Iterator[Attempt]:
    jpegs = [path.read_bytes() for path in seeds[Kind.PICTURE] if path.suffix == ".jpg"]
    for number in range(count):
        name = f"session #{number}"
        if name not in journal.done:
            random = Random(f"{seed}:session:{number}")
            yield name, "stream", lambda random=random: _played(client, random, jpegs)


def _played(client: TestClient, random: Random, jpegs: list[bytes]) -> Report:
    """Open a session with odd parameters or none, send messages, close, and read to the end."""
    try:
        with client.websocket_connect(f"ws{_HERE[4:]}/v1/stream{_query(random)}") as socket:
            if json.loads(socket.receive_text())["type"] != "session.created":
                return Report(CRASHED, "the session does not begin with session.created")
            for message in _messages(random, jpegs):
                if isinstance(message, str):
                    socket.send_text(message)
                else:
                    socket.send_bytes(message)
            socket.send_text('{"type": "session.close"}')
            return _closing(socket)
    except WebSocketDenialResponse as e:
        return Report(REFUSED if e.status_code < 500 else CRASHED, e.text)
    except WebSocketDisconnect as e:
        return Report(REFUSED, f"closed with {e.code}")


def _closing(socket: Any) -> Report:
    """Read what is still said; a session ends with session.closed."""
    while True:
        said = json.loads(socket.receive_text())
        if said["type"] == "session.closed":
            internal = said["reason"] == "error"
            return Report(CRASHED, json.dumps(said)) if internal else Report(ANALYZED)
        if said["type"] == "error" and said["error"]["code"] == "internal":
            return Report(CRASHED, json.dumps(said))


def _query(random: Random) -> str:
    if random.random() < 0.7:
        return "?asr=0"
    odd = ("?rate=99999999", "?rate=-1", "?video=0&audio=0", "?video=2", "?a=b", "?audio=0&asr=0")
    return random.choice(("", *odd, f"?rate={random.randrange(60000)}&asr=0"))


def _messages(random: Random, jpegs: list[bytes]) -> Iterator[bytes | str]:
    """Frames and sound in order of time, some of them damaged, and odd text between."""
    micros = 0
    for number in range(random.randrange(2, 20)):
        if random.random() < 0.15:
            text = mutated(random, random.choice(_TEXT_MESSAGES), b"{}", is_text=True)
            if b"session.close" not in text:
                yield text[:2000].decode("utf-8", "replace")
            continue
        kind = random.choice((1, 2))
        body = random.choice(jpegs) if kind == 1 else random.randbytes(3200)
        data = struct.pack("<BBHIQ", kind, 1, 0, number, micros) + body
        micros += random.choice((100_000, 100_000, 100_000, 0, 10**9))
        yield mutated(random, data, body, is_text=False) if random.random() < 0.3 else data
