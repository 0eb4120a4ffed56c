"""Processes that analyze: each may crash, hang or run out of memory without harm to the server."""

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
_TOLD_EVERY = 0.2  # seconds between reports of progress


class Cancelled(Exception):  # noqa: N818
    """A task was stopped because nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker process is given.

    Args:
        config: how media are analyzed.
        limits: how much is taken in.
        memory_mb: most memory that it may take.
    """

    config: AnalyzerConfig
    limits: Limits
    memory_mb: int


class Worker:
    """One process that does one task after the other; started again when it dies.

    Args:
        equipment: what it is given.
        restarted: told whenever a process had to be replaced.
    """

    def __init__(self, equipment: WorkerConfig, restarted: Callable[[], None]) -> None:
        self._equipment, self._restarted = equipment, restarted
        self._process: multiprocessing.process.BaseProcess | None = None
        self._line: Connection | None = None

    def start(self) -> None:
        """Start the process if there is none; it loads its models meanwhile."""
        if self._process is not None and self._process.is_alive():
            return
        self.kill()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of our threads
        self._line, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, self._equipment), name="emofuse-worker", daemon=True
        )
        self._process.start()
        theirs.close()  # so that its end tells us when the process ends

    def run(
        self, task: Task, told: ProgressCallback, stop: threading.Event, timeout: float
    ) -> Facts:
        """Do a task; waits until it is done.

        Args:
            task: what to do.
            told: told how far it is.
            stop: set it to stop the task: in about two seconds at most.
            timeout: seconds after which it is stopped, loading of models not counted.

        Raises:
            Cancelled: if `stop` was set.
            ApiError: what is wrong with the task, or the process died, or took too long.
        """
        self.start()
        assert self._line is not None
        try:
            self._line.send(("task", task))
            return self._follow(self._line, told, stop, timeout)
        except (EOFError, OSError):
            raise self._crash_error() from None

    def _follow(
        self, line: Connection, told: ProgressCallback, stop: threading.Event, timeout: float
    ) -> Facts:
        deadline = time.monotonic() + _STARTUP
        asked_at: float | None = None  # when it was told to stop
        while True:
            now = time.monotonic()
            overdue = now > deadline
            if asked_at is None and (stop.is_set() or overdue):
                line.send(("stop", None))
                asked_at = now
            if asked_at is not None and now > asked_at + _PATIENCE:
                self.kill()
                self._restarted()
                raise _given_up(stop, timeout)
            if not line.poll(_POLL):
                continue
            word, value = line.recv()
            if word == "started":
                deadline = time.monotonic() + timeout
            elif word == "told":
                told(*value)
            elif word == "done":
                assert isinstance(value, Facts)
                return value
            elif word == "failed":
                raise value
            elif word == "stopped":
                raise _given_up(stop, timeout)

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
            f"the process that analyzed this died ({reason}), most likely for want of memory or "
            "because of a damaged medium; try a smaller or re-encoded one",
        )

    def kill(self) -> None:
        """End the process now."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._line = None


def _given_up(stop: threading.Event, timeout: float) -> Exception:
    if stop.is_set():
        return Cancelled()
    return ApiError(
        "took-too-long", f"the analysis was stopped after {timeout:g} s; send a shorter medium"
    )


# ------------------------------------------------------------ in the worker's own process


def work(line: Connection, equipment: WorkerConfig) -> None:
    """Do tasks until the other end of the line is closed: the whole life of a worker process."""
    for name in (signal.SIGINT, signal.SIGTERM):  # the server decides, also on Ctrl-C
        signal.signal(name, signal.SIG_IGN)
    _limit_memory(equipment.memory_mb)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(line, tasks, stop), daemon=True).start()
    analyzer_worker = AnalyzerWorker(equipment.config, equipment.limits)
    with contextlib.suppress(EmofuseError):  # a missing model is told to whoever needs it
        analyzer_worker.warm_up()
    while True:
        task = tasks.get()
        line.send(("started", None))
        line.send(_outcome(analyzer_worker, task, line, stop))
        stop.clear()


def _listen(line: Connection, tasks: queue.SimpleQueue[Task], stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            word, value = line.recv()
            if word == "stop":
                stop.set()
            else:
                stop.clear()
                tasks.put(value)
    os._exit(0)  # the server is gone, or wants us gone: nobody needs what we are doing


def _outcome(
    analyzer_worker: AnalyzerWorker, task: Task, line: Connection, stop: threading.Event
) -> tuple[str, Any]:
    last = 0.0

    def told(done_ns: int, total_ns: int | None) -> None:
        nonlocal last
        if stop.is_set():
            raise Cancelled
        if time.monotonic() - last > _TOLD_EVERY:
            last = time.monotonic()
            line.send(("told", (done_ns, total_ns)))

    try:
        return "done", analyzer_worker.do(task, told)
    except Cancelled:
        return "stopped", None
    except ApiError as error:
        return "failed", error
    except EmofuseError as error:
        return "failed", from_emofuse(error)
    except MemoryError:
        message = "the analysis needs more memory than it may have; send a smaller medium"
        return "failed", ApiError("crashed", message)
    except Exception:
        return "failed", bug()


def bug() -> ApiError:
    """Log the exception being handled, and make the error that names its entry in the log."""
    number = secrets.token_hex(4)
    log.exception("bug %s", number)
    return ApiError(
        "internal",
        f"something went wrong here that nobody foresaw; the server's log has it under {number}",
    )


def _limit_memory(memory_mb: int) -> None:
    """Bound this process's memory, and be the first to go when the machine runs out of it."""
    import resource

    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * MB, memory_mb * MB))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
