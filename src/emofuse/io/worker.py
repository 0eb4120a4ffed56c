"""A process of our own for work on files: it may crash, hang or run out of memory alone.

    worker = Worker(make_handler, memory_mb=2000)   # a picklable function that makes a `Handler`
    result = worker.run(task, Limits(stall=300))          # raises WorkerFailed, the worker lives on
    worker.close()

Decoders are C code that reads what strangers made: a crash there ends the process that runs
it. Here that costs one task, and the process is replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.protocols import ProgressCallback

Handler = Callable[[Any, ProgressCallback], Any]
"""Does a task and returns its result; both are picklable. Exceptions reach the caller."""

_POLL = 0.2  # seconds between looks at whether a running task is still wanted
_PATIENCE = 1.5  # seconds that a process gets to stop by itself
_STARTUP = 120.0  # seconds that a process gets to load its models
_PROGRESS_INTERVAL = 0.2  # seconds between reports of progress
_STARTING = threading.Lock()  # one process at a time is started


class Cancelled(Exception):  # noqa: N818
    """A task was stopped because nobody needs its result any more."""


class FailureKind(str, Enum):
    """How a task failed without an exception of its own."""

    CRASHED = "crashed"
    TOO_LONG = "took-too-long"
    STALLED = "stalled"
    MEMORY = "out-of-memory"


class WorkerFailed(Exception):  # noqa: N818
    """The process died, hung or ran out of memory; `str` says what happened in plain words."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[1])


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a task may take, in seconds, not counting the loading of models.

    Args:
        total: from start to end; None: without limit.
        stall: without any progress; None: without limit.
    """

    total: float | None = None
    stall: float | None = None


class Worker:
    """A process that does one task after the other, and is replaced when it dies.

    Args:
        make_handler: makes what does the tasks, in the process; picklable.
        memory_mb: limit of the process's memory, in MB; None: without limit.
        replaced: called whenever a process had to be replaced.
    """

    def __init__(
        self,
        make_handler: Callable[[], Handler],
        memory_mb: int | None = None,
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_handler, self._memory_mb, self._replaced = make_handler, memory_mb, replaced
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the process if there is none; it begins to load its models."""
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of our threads
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self._make_handler, self._memory_mb),
            name="emofuse",
            daemon=True,
        )
        with _STARTING, _uninterrupted(), _without_main(), _one_thread():
            self._process.start()
        theirs.close()  # so that its end tells us when the process ends

    def run(
        self,
        task: Any,
        limits: Limits = Limits(),
        progress: ProgressCallback = lambda done_ns, total_ns: None,
        stop: threading.Event | None = None,
    ) -> Any:
        """Do a task; waits until it is done and returns its result.

        Args:
            task: what to do; picklable.
            limits: how long it may take.
            progress: called with how far it is.
            stop: set it to stop the task within about two seconds.

        Raises:
            Cancelled: if `stop` was set.
            WorkerFailed: if the task takes too long, or the process dies.
            Exception: whatever doing the task raised.
        """
        self.start()
        assert self._connection is not None
        try:
            self._connection.send(("task", task))
            return self._follow(self._connection, limits, progress, stop or threading.Event())
        except (EOFError, BrokenPipeError, ConnectionError):
            raise self._death() from None

    def _follow(
        self,
        connection: Connection,
        limits: Limits,
        progress: ProgressCallback,
        stop: threading.Event,
    ) -> Any:
        clock = _Clock(limits)
        reason: Exception | None = None
        while True:
            if reason is None and (reason := _why_stop(stop, clock)) is not None:
                connection.send(("stop", None))
                clock.give_up_in(_PATIENCE)
            if reason is not None and clock.given_up:
                self.close()
                self._replaced()
                raise reason
            if not connection.poll(_POLL):
                continue
            kind, value = connection.recv()
            if kind == "done":
                return value
            if kind == "failed":
                raise value
            if kind == "stopped":
                raise reason or Cancelled
            clock.moved(started=kind == "started")
            if kind == "progress":
                progress(*value)

    def _death(self) -> WorkerFailed:
        process = self._process
        if process is not None:
            process.join(_PATIENCE)
        code = None if process is None else process.exitcode
        self.close()
        self._replaced()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerFailed(
            FailureKind.CRASHED,
            f"the process that analyzed it died ({how}), most likely because it ran out of memory "
            "or the file is damaged; try a smaller or re-encoded one",
        )

    def close(self) -> None:
        """End the process now."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._connection = None


class _Clock:
    """When a task has to be over."""

    def __init__(self, limits: Limits) -> None:
        self._limits, now = limits, time.monotonic()
        self._end, self._stall = now + _STARTUP, now + _STARTUP
        self._last = float("inf")

    def moved(self, started: bool) -> None:
        """Note a sign of life."""
        now, limits = time.monotonic(), self._limits
        if started:
            self._end = now + (float("inf") if limits.total is None else limits.total)
        self._stall = now + (float("inf") if limits.stall is None else limits.stall)

    def give_up_in(self, seconds: float) -> None:
        self._last = time.monotonic() + seconds

    @property
    def given_up(self) -> bool:
        return time.monotonic() > self._last

    def overdue(self) -> WorkerFailed | None:
        """Return why the task has to end, if it has to."""
        now = time.monotonic()
        if now > self._end:
            message = f"stopped after {self._limits.total or _STARTUP:g} s, the longest allowed"
            return WorkerFailed(FailureKind.TOO_LONG, message)
        if now > self._stall:
            message = f"stopped after {self._limits.stall or _STARTUP:g} s without any progress"
            return WorkerFailed(FailureKind.STALLED, message)
        return None


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C from a process that is only just starting: what asked for it decides."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Start a process that does not import the main module again: a command line, or a script."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Start a process whose libraries compute in one thread unless somebody wants more.

    Over pictures this small threads wait for each other more than they compute.
    """
    names = ("OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    unset = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]


def _why_stop(stop: threading.Event, clock: _Clock) -> Exception | None:
    return Cancelled() if stop.is_set() else clock.overdue()


# ------------------------------------------------------------ in the process itself


def _serve(
    connection: Connection, make_handler: Callable[[], Handler], memory_mb: int | None
) -> None:
    """Do tasks until the connection is closed: the whole life of a process."""
    for name in (signal.SIGINT, signal.SIGTERM):  # the caller decides, also on Ctrl-C
        signal.signal(name, signal.SIG_IGN)
    warnings.formatwarning = lambda message, *_, **__: f"emofuse: warning: {message}\n"
    if memory_mb is not None:
        _limit_memory(memory_mb)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(connection, tasks, stop), daemon=True).start()
    do, unable = _made(make_handler)
    while True:
        task = tasks.get()
        try:
            if unable is not None:
                raise unable
            connection.send(("started", None))
            outcome = "done", do(task, _reporter(connection, stop))
        except Cancelled:
            outcome = "stopped", None
        except MemoryError:
            message = "there was too little memory for it; try a smaller file"
            outcome = "failed", WorkerFailed(FailureKind.MEMORY, message)
        except Exception as e:
            outcome = "failed", ExceptionWithTraceback(e, e.__traceback__)  # its cause, for us
        _send(connection, outcome)
        stop.clear()


def _made(make_handler: Callable[[], Handler]) -> tuple[Handler, Exception | None]:
    """Make what does the tasks at once; if that fails every task hears why."""
    try:
        return make_handler(), None
    except Exception as e:
        return (lambda task, progress: None), e


def _send(connection: Connection, outcome: tuple[str, Any]) -> None:
    try:
        connection.send(outcome)
    except OSError:
        raise
    except Exception as e:  # an exception, or its cause, that cannot be pickled
        error = getattr(outcome[1], "exc", outcome[1])
        connection.send(("failed", RuntimeError(f"{type(error).__name__}: {error} ({e})")))


def _listen(connection: Connection, tasks: queue.SimpleQueue[Any], stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            kind, value = connection.recv()
            if kind == "stop":
                stop.set()
            else:
                stop.clear()
                tasks.put(value)
    os._exit(0)  # the caller is gone or ended this process: nobody needs the result


def _reporter(connection: Connection, stop: threading.Event) -> ProgressCallback:
    last = 0.0

    def progress(done_ns: int, total_ns: int | None) -> None:
        nonlocal last
        if stop.is_set():
            raise Cancelled
        if time.monotonic() - last > _PROGRESS_INTERVAL:
            last = time.monotonic()
            connection.send(("progress", (done_ns, total_ns)))

    return progress


def _limit_memory(memory_mb: int) -> None:
    """Limit this process's memory, and let the system kill it first when memory runs out."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    with contextlib.suppress(ValueError, OSError):  # not on every system
        limit = memory_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
