"""A real HTTP server on 127.0.0.1 that can misbehave, and cards made on the spot."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CONTENT = bytes(range(256)) * 800  # 200 kB: several blocks of the downloader


@pytest.fixture
def content() -> bytes:
    """What the weights of every made card are."""
    return CONTENT


@dataclass
class Served:
    """What the server answers: content by path, and faults (one per request, then none)."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.ranges.append(self.headers.get("Range", ""))
            fault = served.faults.pop(0) if served.faults else ""
            body = served.content.get(self.path)
            if body is None or fault == "500":
                self.send_error(404 if body is None else 500)
                return
            if fault == "redirect":
                self.send_response(302)
                self.send_header("Location", self.path)
                self.end_headers()
                return
            first = int(served.ranges[-1].removeprefix("bytes=").rstrip("-") or 0)
            self.send_response(206 if first else 200)
            body = body[first:]
            if fault == "long":
                body += bytes(1_000_000)
            if fault != "no length":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == "corrupt":
                body = b"<html>please log in</html>".ljust(len(body))
            if fault in ("break", "stall", "no length"):
                body = body[: len(body) // 2]
            self.wfile.write(body)
            if fault == "stall":
                time.sleep(1.0)

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or fills the cache of whoever runs it, nor obeys their environment."""
    for name in ("OFFLINE", "MIRROR", "MODELS", "LICENCES", "ACCEPT", "TIMEOUT"):
        monkeypatch.delenv(f"EMOFUSE_{name}", raising=False)
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make_card(tmp_path: Path) -> Callable[..., Path]:
    """Writes a card `ID.toml` into a folder of the user's and returns the folder."""

    def make(
        model_id: str = "tiny",
        url: str | None = None,
        content: bytes = CONTENT,
        recogniser: str = "face",
        licence: str = "Apache-2.0",
        folder: str = "models",
        digest: bool = True,
        more: str = "",
    ) -> Path:
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        lines = [
            f'id = "{model_id}"',
            'modality = "face"',
            f'recogniser = "{recogniser}"',
            'summary = "made by a test"',
            'labels = ["neutral", "happy"]',
            f'licence = "{licence}"',
            more,
            "[files.weights]",
            f'name = "{model_id}.bin"',
        ]
        if digest:
            lines.append(f'sha256 = "{hashlib.sha256(content).hexdigest()}"')
            lines.append(f"bytes = {len(content)}")
        if url is not None:
            lines.append(f'url = "{url}"')
        (home / f"{model_id}.toml").write_text("\n".join(lines), encoding="utf-8")
        return home

    return make
