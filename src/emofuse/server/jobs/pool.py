"""A bounded queue in which clients take turns, and worker processes that empty it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from ...core.protocols import ProgressCallback
from ..http.errors import ApiError
from .tasks import Facts, Task
from .worker import Cancelled, Worker, WorkerConfig, internal_error


def _ignore(done_ns: int, total_ns: int | None) -> None:
    """Ignore progress."""


@dataclass(slots=True, eq=False)
class WorkItem:
    """A task that waits, runs, or is done.

    Args:
        task: what to do.
        timeout: seconds that it may take.
        progress: called with how far it is, from another thread.
        stop: set it when nobody wants the result any more.
        started: called when it is taken up, from another thread.
        result: what came of it.
    """

    task: Task
    timeout: float
    progress: ProgressCallback = _ignore
    started: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    result: Future[Facts] = field(default_factory=Future)


class FairQueue:
    """Work items by client: each client's in order, clients in turn.

    Args:
        size: how many items may wait.
    """

    def __init__(self, size: int) -> None:
        self._size, self._count, self._closed = size, 0, False
        self._waiting: OrderedDict[str, deque[WorkItem]] = OrderedDict()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._count

    def put(self, client: str, item: WorkItem) -> None:
        """Add an item.

        Raises:
            ApiError: ``busy`` if too many wait, ``stopping`` once closed.
        """
        with self._changed:
            if self._closed:
                raise ApiError("stopping", "the server is shutting down", retry_after=5)
            if self._count >= self._size:
                raise ApiError("busy", f"{self._count} requests are waiting already", retry_after=2)
            self._waiting.setdefault(client, deque()).append(item)
            self._count += 1
            self._changed.notify()

    def get(self) -> WorkItem | None:
        """Wait for the next item and take it; None once closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return None
            client, items = self._waiting.popitem(last=False)
            item = items.popleft()
            if items:
                self._waiting[client] = items  # at the end: the others first
            self._count -= 1
            return item

    def close(self) -> None:
        """Accept no more; items that wait are still served."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Pool:
    """Worker processes behind one queue.

    Args:
        size: how many processes.
        waiting: how many items may wait.
        worker_config: what each process gets.
        restarted: called whenever a process had to be replaced, from another thread.
    """

    def __init__(
        self, size: int, waiting: int, worker_config: WorkerConfig, restarted: Callable[[], None]
    ) -> None:
        self._queue = FairQueue(waiting)
        self._running: set[WorkItem] = set()
        self._workers = [Worker(worker_config, restarted) for _ in range(size)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), name="emofuse-pool", daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def start(self) -> None:
        """Start the processes now, not with the first task."""
        for worker in self._workers:
            worker.start()

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return len(self._queue)

    def submit(self, client: str, item: WorkItem) -> Future[Facts]:
        """Have a task done; its result raises `Cancelled` or `ApiError`.

        Raises:
            ApiError: ``busy`` if too many wait, ``stopping`` if the pool is closed.
        """
        self._queue.put(client, item)
        return item.result

    def _serve(self, worker: Worker) -> None:
        while (item := self._queue.get()) is not None:
            self._running.add(item)
            try:
                if item.stop.is_set():
                    raise Cancelled
                item.started()
                facts = worker.run(item.task, item.progress, item.stop, item.timeout)
            except (Cancelled, ApiError) as error:
                _resolve(item, error)
            except Exception:  # ours: the thread must go on
                _resolve(item, internal_error())
            else:
                _resolve(item, facts)
            finally:
                self._running.discard(item)

    def close(self, grace: float) -> None:
        """Take no more tasks, give those at hand some seconds to finish, end the processes."""
        self._queue.close()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        while (item := self._queue.get()) is not None:
            _resolve(item, Cancelled())
        for item in tuple(self._running):
            item.stop.set()
        for thread in self._threads:
            thread.join(5.0)
        for worker in self._workers:
            worker.kill()


def _resolve(item: WorkItem, outcome: Facts | Exception) -> None:
    with contextlib.suppress(InvalidStateError):  # whoever waited has gone
        if isinstance(outcome, Exception):
            item.result.set_exception(outcome)
        else:
            item.result.set_result(outcome)
