"""Who is served next: a bounded queue in which clients take turns, and threads that empty it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from ..http.errors import ApiError
from .tasks import Facts, ProgressCallback, Task
from .worker import Cancelled, Worker, WorkerConfig, bug


def _nobody(done_ns: int, total_ns: int | None) -> None:
    """ProgressCallback, and not interested."""


@dataclass(slots=True, eq=False)
class WorkItem:
    """A task that waits, runs, or is done.

    Args:
        task: what to do.
        timeout: seconds that it may take.
        told: told how far it is, from another thread.
        stop: set it when nobody wants the result any more.
        started: told when it is taken up, from another thread.
        result: what came of it.
    """

    task: Task
    timeout: float
    told: ProgressCallback = _nobody
    started: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    result: Future[Facts] = field(default_factory=Future)


class FairQueue:
    """Tickets by client: each client's in order, the clients in turns.

    Args:
        size: most tickets that may wait.
    """

    def __init__(self, size: int) -> None:
        self._size, self._count, self._closed = size, 0, False
        self._lines: OrderedDict[str, deque[WorkItem]] = OrderedDict()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._count

    def put(self, client: str, ticket: WorkItem) -> None:
        """Add a ticket.

        Raises:
            ApiError: ``busy`` if too many wait, ``stopping`` once closed.
        """
        with self._changed:
            if self._closed:
                raise ApiError("stopping", "the server is shutting down", retry_after=5)
            if self._count >= self._size:
                raise ApiError("busy", f"{self._count} requests are waiting already", retry_after=2)
            self._lines.setdefault(client, deque()).append(ticket)
            self._count += 1
            self._changed.notify()

    def get(self) -> WorkItem | None:
        """Wait for the next ticket and take it; None once closed and empty."""
        with self._changed:
            while not self._lines and not self._closed:
                self._changed.wait()
            if not self._lines:
                return None
            client, line = self._lines.popitem(last=False)
            ticket = line.popleft()
            if line:
                self._lines[client] = line  # at the end: the others first
            self._count -= 1
            return ticket

    def close(self) -> None:
        """Take no more; who waits is still served."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Pool:
    """Worker processes behind one queue.

    Args:
        size: how many processes.
        waiting: most tickets that may wait.
        equipment: what each process is given.
        restarted: told whenever a process had to be replaced, from another thread.
    """

    def __init__(
        self, size: int, waiting: int, equipment: WorkerConfig, restarted: Callable[[], None]
    ) -> None:
        self._queue = FairQueue(waiting)
        self._running: set[WorkItem] = set()
        self._workers = [Worker(equipment, restarted) for _ in range(size)]
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
        """How many tickets wait."""
        return len(self._queue)

    def submit(self, client: str, ticket: WorkItem) -> Future[Facts]:
        """Have a task done; its result raises `Cancelled` or `ApiError`.

        Raises:
            ApiError: ``busy`` if too many wait, ``stopping`` if the pool is closed.
        """
        self._queue.put(client, ticket)
        return ticket.result

    def _serve(self, worker: Worker) -> None:
        while (ticket := self._queue.get()) is not None:
            self._running.add(ticket)
            try:
                if ticket.stop.is_set():
                    raise Cancelled
                ticket.started()
                facts = worker.run(ticket.task, ticket.told, ticket.stop, ticket.timeout)
            except (Cancelled, ApiError) as error:
                _settle(ticket, error)
            except Exception:  # ours: the thread must go on
                _settle(ticket, bug())
            else:
                _settle(ticket, facts)
            finally:
                self._running.discard(ticket)

    def close(self, grace: float) -> None:
        """Take no more tasks, give those at hand some seconds to finish, end the processes."""
        self._queue.close()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        while (ticket := self._queue.get()) is not None:
            _settle(ticket, Cancelled())
        for ticket in tuple(self._running):
            ticket.stop.set()
        for thread in self._threads:
            thread.join(5.0)
        for worker in self._workers:
            worker.kill()


def _settle(ticket: WorkItem, outcome: Facts | Exception) -> None:
    with contextlib.suppress(InvalidStateError):  # whoever waited has gone
        if isinstance(outcome, Exception):
            ticket.result.set_exception(outcome)
        else:
            ticket.result.set_result(outcome)
