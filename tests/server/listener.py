"""A server of a client's own, which is called back."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Listener(HTTPServer):
    """A server that answers with one status after the other, and remembers what it was told."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.told, self.taken = list(statuses), [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/done?job=1"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((self.path, dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url)
        self.end_headers()
        if 200 <= status < 300:
            self.server.taken.set()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
