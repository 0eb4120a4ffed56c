"""State shared by all requests of a server."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from ..models.store import Store
from .auth.auth import Authenticator, client_of
from .auth.limits import Slots
from .auth.users import read_users
from .http.errors import ApiError
from .http.uploads import AnalysisRequest, UploadFolder, read_analysis_request
from .jobs.callbacks import CallbackPolicy, Callbacks
from .jobs.manager import JobManager
from .jobs.pool import Pool, WorkItem
from .jobs.store import JobStore
from .jobs.tasks import Facts
from .jobs.worker import Cancelled, WorkerConfig
from .metrics import Metrics
from .options import AnalysisOptions, check
from .settings import MB, Settings

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig

_SMALL = 64 * 1024  # limit of a request without files, in bytes
_EDITS = 1024 * 1024  # limit of a request with edits, in bytes
_LISTENERS = 32  # event streams of one client
_LEAST_FREE = 16 * MB  # bytes on the disk below which the server is unhealthy
_LOOK = 0.5  # seconds between checks whether a client is still connected


@dataclass(slots=True)
class ServerState:
    """State shared by all requests of a server.

    Args:
        settings: how it runs.
        config: how media are analyzed.
        live: how live sessions are.
    """

    settings: Settings
    config: AnalyzerConfig
    live: AnalyzerConfig
    models: Store = field(default_factory=Store)
    metrics: Metrics = field(default_factory=Metrics)
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    manager: JobManager | None = None
    pool: Pool | None = None
    requests: Slots = field(init=False)
    listeners: Slots = field(init=False)
    sessions: Slots = field(init=False)
    authenticator: Authenticator = field(init=False)
    callbacks: CallbackPolicy = field(init=False)

    def __post_init__(self) -> None:
        limits = self.settings.limits
        self.requests = Slots(limits.waiting_per_client, limits.waiting, "busy", "requests")
        self.listeners = Slots(_LISTENERS, 16 * _LISTENERS, "busy", "event streams")
        self.sessions = Slots(
            limits.sessions_per_client, limits.sessions, "too-many-sessions", "live sessions"
        )
        users = read_users(self.settings.users) if self.settings.users else ()
        self.authenticator = Authenticator(self.settings, users)
        settings = self.settings
        self.callbacks = CallbackPolicy(settings.callback_secret, settings.callback_hosts)

    @property
    def transcriber(self) -> str:
        """Name of the speech recognizer, or ``none``."""
        from ..text.transcribe import transcriber_name

        return transcriber_name(self.config.transcribe)

    @property
    def incoming(self) -> Path:
        """The folder in which uploads arrive."""
        return self.settings.folder / "incoming"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start workers and resume unfinished jobs; at the end finish or requeue them."""
        loop = asyncio.get_running_loop()
        tempfile.gettempdir()  # uploads pass through it; it cannot be found once the disk is full
        with JobStore(self.settings.folder) as store:
            await asyncio.to_thread(shutil.rmtree, self.incoming, True)
            self.pool = self._make_pool("analyze", self.settings.workers, loop)
            self.pool.start()
            jobs = self._make_pool("jobs", self.settings.job_workers, loop)
            callbacks = Callbacks(self.callbacks)
            self.manager = JobManager(store, jobs, self.settings, self.metrics, callbacks)
            self.manager.open()
            self.ready = True
            try:
                yield
            finally:
                self.end()
                await asyncio.gather(
                    self.manager.close(), asyncio.to_thread(self.pool.close, self.settings.grace)
                )

    def end(self) -> None:
        """Begin to shut down: streams and sessions end, nothing new is started."""
        self.stopping.set()
        if self.manager is not None:
            self.manager.begin_shutdown()

    def _make_pool(self, name: str, size: int, loop: asyncio.AbstractEventLoop) -> Pool:
        counter = self.metrics.restarts.labels(name)

        def restarted() -> None:
            loop.call_soon_threadsafe(counter.inc)

        return Pool(
            size,
            self.settings.limits.waiting + size,
            WorkerConfig(self.config, self.settings.limits, self.settings.worker_mb),
            restarted,
        )

    def problems(self) -> list[ApiError]:
        """Return what keeps the server from doing its work; empty if it is well."""
        found = [] if self.manager is None else self.manager.problems
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.settings.folder).free < _LEAST_FREE:
                found.append(ApiError("storage-full", "the disk of the state folder is full"))
        return found

    def check_open(self) -> None:
        """Check that new work is accepted.

        Raises:
            ApiError: ``stopping``.
        """
        if self.stopping.is_set():
            raise ApiError("stopping", "the server is shutting down", retry_after=5)

    async def read_request(self, request: Request, incoming: UploadFolder) -> AnalysisRequest:
        """Read the uploads and options of a request, and check that the options work here.

        Raises:
            ApiError: if they are invalid.
        """
        limit = self.settings.limits.text_bytes
        parsed = await read_analysis_request(request, incoming, limit)
        if parsed.options.model_fields_set:
            await asyncio.to_thread(self._check, parsed.options)
        return parsed

    def _check(self, options: AnalysisOptions) -> None:
        check(options.over(self.config), self.config, self.models)

    async def do(self, request: Request, item: WorkItem, pool: Pool | None = None) -> Facts:
        """Run a task; stop it if the client disconnects meanwhile.

        Whatever happens, the task is over when this ends: its files may go.

        Args:
            request: who asks for it.
            item: the task.
            pool: whose workers do it; default: those for what is answered at once.

        Raises:
            ApiError: if it fails.
        """
        pool = pool or self.pool
        assert pool is not None
        result = asyncio.wrap_future(pool.submit(client_of(request.scope), item))
        try:
            while not result.done():
                await asyncio.wait([result], timeout=_LOOK)
                if not result.done() and await request.is_disconnected():
                    item.stop.set()
                    raise ApiError("bad-request", "the client disconnected")
            return await result
        except Cancelled:
            raise ApiError("stopping", "the server is shutting down", retry_after=5) from None
        finally:
            item.stop.set()  # also where this handler is cancelled
            if not result.done():
                await asyncio.wait([result])
                result.exception()

    def max_bytes(self, path: str) -> int:
        """Return how many bytes a request to a path may have."""
        limits = self.settings.limits
        if path.endswith("/annotations"):
            return _EDITS
        return {
            "/v1/analyze": limits.analyze_bytes,
            "/v1/observe": limits.analyze_bytes,
            "/v1/jobs": limits.job_bytes,
            "/analyze": limits.analyze_bytes * 4 // 3 + _SMALL,  # base64
        }.get(path, _SMALL)
