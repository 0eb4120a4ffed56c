"""Running the server with uvicorn until it is told to end."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from .app import create_app
from .jobs.store import JobStore
from .settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_CONNECTIONS = 1000  # beyond that uvicorn itself answers 503


class Server(uvicorn.Server):
    """uvicorn, but that streams and sessions are told at once when it is to end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._house = app.state.house

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first ends the server in good order, the second at once."""
        self._house.end()
        super().handle_exit(sig, frame)


def run(settings: Settings, verbose: bool = False) -> None:
    """Serve until a signal comes.

    Args:
        settings: how.
        verbose: log every request.

    Raises:
        InputError: if the settings are wrong, or the state folder is in use.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    JobStore(settings.folder).close()  # says now, and in one sentence, if it is in use
    app = create_app(settings)
    limits = settings.limits
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=verbose,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies) or None,
        timeout_graceful_shutdown=round(settings.grace) + 5,
        ws_max_size=limits.picture_bytes + 1024,
        ws_max_queue=8,
        ws_per_message_deflate=False,  # pictures are compressed, and bombs stay outside
        limit_concurrency=_CONNECTIONS,
    )
    # uvicorn sends itself the signal again when it has ended in good order: that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, app).run()
