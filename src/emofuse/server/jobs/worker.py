"""Processes that analyze; one may crash, hang or run out of memory without harming the server."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EmofuseError
from ..http.errors import ApiError, from_emofuse
from ..settings import MB, Limits
from .tasks import AnalyzerWorker, Facts, ProgressCallback, Task

if TYPE_CHECKING:
    from ...analyzer import AnalyzerConfig

log = logging.getLogger("emofuse.server")

_POLL = 0.2  # seconds between looks at whether a running task is still wanted
_PATIENCE = 1.5  # seconds that a worker gets to stop by itself
_STARTUP = 120.0  # seconds that a process gets to load its models
_PROGRESS_INTERVAL = 0.2  # seconds between reports of progress


class Cancelled(Exception):  # noqa: N818
    """A task was stopped because nobody needs its result any more."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker process gets.

    Args:
        config: how media are analyzed.
        limits: what is accepted.
        memory_mb: limit of its memory, in MiB.
    """

    config: AnalyzerConfig
    limits: Limits
    memory_mb: int


class Worker:
    """A process that does one task after the other, and is replaced when it dies.

    Args:
        worker_config: what it gets.
        restarted: called whenever a process had to be replaced.
    """

    def __init__(self, worker_config: WorkerConfig, restarted: Callable[[], None]) -> None:
        self._config, self._restarted = worker_config, restarted
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the process if there is none; it begins to load its models."""
        if self._process is not None and self._process.is_alive():
            return
        self.kill()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of our threads
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, self._config), name="emofuse-worker", daemon=True
        )
        self._process.start()
        theirs.close()  # so that its end tells us when the process ends

    def run(
        self, task: Task, progress: ProgressCallback, stop: threading.Event, timeout: float
    ) -> Facts:
        """Do a task; waits until it is done.

        Args:
            task: what to do.
            progress: called with how far it is.
            stop: set it to stop the task within about two seconds.
            timeout: seconds after which it is stopped, not counting the loading of models.

        Raises:
            Cancelled: if `stop` was set.
            ApiError: if the task fails, takes too long, or the process dies.
        """
        self.start()
        assert self._connection is not None
        try:
            self._connection.send(("task", task))
            return self._follow(self._connection, progress, stop, timeout)
        except (EOFError, OSError):
            raise self._crash_error() from None

    def _follow(
        self,
        connection: Connection,
        progress: ProgressCallback,
        stop: threading.Event,
        timeout: float,
    ) -> Facts:
        deadline = time.monotonic() + _STARTUP
        asked_at: float | None = None  # when it was told to stop
        while True:
            now = time.monotonic()
            overdue = now > deadline
            if asked_at is None and (stop.is_set() or overdue):
                connection.send(("stop", None))
                asked_at = now
            if asked_at is not None and now > asked_at + _PATIENCE:
                self.kill()
                self._restarted()
                raise _stop_error(stop, timeout)
            if not connection.poll(_POLL):
                continue
            kind, value = connection.recv()
            if kind == "started":
                deadline = time.monotonic() + timeout
            elif kind == "progress":
                progress(*value)
            elif kind == "done":
                assert isinstance(value, Facts)
                return value
            elif kind == "failed":
                raise value
            elif kind == "stopped":
                raise _stop_error(stop, timeout)

    def _crash_error(self) -> ApiError:
        process = self._process
        if process is not None:
            process.join(_PATIENCE)
        code = None if process is None else process.exitcode
        self.kill()
        self._restarted()
        log.error("a worker process died (exit code %s)", code)
        reason = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return ApiError(
            "crashed",
            f"the process that analyzed this died ({reason}), most likely because it ran out of "
            "memory or the file is damaged; try a smaller or re-encoded one",
        )

    def kill(self) -> None:
        """End the process now."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._connection = None


def _stop_error(stop: threading.Event, timeout: float) -> Exception:
    if stop.is_set():
        return Cancelled()
    return ApiError(
        "took-too-long", f"the analysis was stopped after {timeout:g} s; send a shorter recording"
    )


# ------------------------------------------------------------ in the worker's own process


def work(connection: Connection, worker_config: WorkerConfig) -> None:
    """Do tasks until the connection is closed: the whole life of a worker process."""
    for name in (signal.SIGINT, signal.SIGTERM):  # the server decides, also on Ctrl-C
        signal.signal(name, signal.SIG_IGN)
    _limit_memory(worker_config.memory_mb)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(connection, tasks, stop), daemon=True).start()
    analyzer_worker = AnalyzerWorker(worker_config.config, worker_config.limits)
    with contextlib.suppress(EmofuseError):  # whoever needs a missing model will hear of it
        analyzer_worker.warm_up()
    while True:
        task = tasks.get()
        connection.send(("started", None))
        connection.send(_outcome(analyzer_worker, task, connection, stop))
        stop.clear()


def _listen(connection: Connection, tasks: queue.SimpleQueue[Task], stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            kind, value = connection.recv()
            if kind == "stop":
                stop.set()
            else:
                stop.clear()
                tasks.put(value)
    os._exit(0)  # the server is gone or ended this process: nobody needs the result


def _outcome(
    analyzer_worker: AnalyzerWorker, task: Task, connection: Connection, stop: threading.Event
) -> tuple[str, Any]:
    last = 0.0

    def progress(done_ns: int, total_ns: int | None) -> None:
        nonlocal last
        if stop.is_set():
            raise Cancelled
        if time.monotonic() - last > _PROGRESS_INTERVAL:
            last = time.monotonic()
            connection.send(("progress", (done_ns, total_ns)))

    try:
        return "done", analyzer_worker.do(task, progress)
    except Cancelled:
        return "stopped", None
    except ApiError as error:
        return "failed", error
    except EmofuseError as error:
        return "failed", from_emofuse(error)
    except MemoryError:
        message = "the analysis ran out of memory; send a smaller file"
        return "failed", ApiError("crashed", message)
    except Exception:
        return "failed", internal_error()


def internal_error() -> ApiError:
    """Log the exception being handled; return an error that names its entry in the log."""
    number = secrets.token_hex(4)
    log.exception("unexpected error %s", number)
    return ApiError(
        "internal",
        f"an unexpected error occurred; look for {number} in the server's log",
    )


def _limit_memory(memory_mb: int) -> None:
    """Limit this process's memory, and let the system kill it first when memory runs out."""
    import resource

    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * MB, memory_mb * MB))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
