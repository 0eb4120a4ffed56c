"""Run the server with uvicorn until a signal stops it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from ..errors import InputError
from .app import create_app
from .connections import Connections, GuardedProtocol
from .jobs.store import JobStore
from .settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_PUBLIC = (
    "PUBLIC SERVER: whoever reaches %s, port %d, may have media analyzed, without a token. "
    "Limits are tight and nobody can list jobs; set EMOFUSE_TOKEN to let in only who has it."
)
_CONNECTIONS = 1000  # beyond that uvicorn itself answers 503


class Server(uvicorn.Server):
    """uvicorn that tells streams and sessions at once when it is to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._state = app.state.server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first shuts the server down gracefully, the second at once."""
        self._state.end()
        super().handle_exit(sig, frame)


def run(settings: Settings, verbose: bool = False) -> None:
    """Serve until a signal comes.

    Args:
        settings: how.
        verbose: log every request.

    Raises:
        InputError: if the settings are wrong, or the port or the state folder is in use.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    os.umask(0o077)  # whatever is written here is nobody else's business
    _raise_open_files()
    _check_port(settings)
    if settings.public:
        logging.getLogger("emofuse").warning(_PUBLIC, settings.host, settings.port)
    JobStore(settings.folder).close()  # fails now, with a clear message, if it is in use
    app = create_app(settings)
    limits = settings.limits
    connections = Connections(limits.connections_per_address, settings.proxy_networks)
    config = uvicorn.Config(
        app,
        http=partial(GuardedProtocol, connections, limits),  # type: ignore[arg-type]
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
        ws_per_message_deflate=False,  # images are compressed already, and bombs stay outside
        limit_concurrency=_CONNECTIONS,
    )
    # After a graceful shutdown uvicorn raises the signal again: that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        Server(config, app).run()


def _check_port(settings: Settings) -> None:
    """Try the address, so that what is wrong with it can be told in a line.

    Raises:
        InputError: if it is in use, not this machine's, or not allowed.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as trial:
            if os.name == "posix":  # as uvicorn will; elsewhere it would steal the port
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as e:
        raise InputError(
            f"cannot listen on {settings.host}, port {settings.port}: {e.strerror or e}; stop what "
            "has it, or choose another with --port (0 takes a free one)"
        ) from None


def _raise_open_files() -> None:
    """Have room for as many files as connections, and more."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8 * _CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
