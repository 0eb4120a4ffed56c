"""Processes that analyze; one may crash, hang or run out of memory without harming the server.

`io.worker` keeps the process; here its failures become answers of the API.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.protocols import ProgressCallback
from ...errors import EmofuseError
from ...io import worker as process
from ...io.worker import Cancelled, FailureKind, WorkerFailed
from ..http.errors import ApiError, from_emofuse, from_os
from ..settings import Limits
from .tasks import AnalyzerWorker, Facts, Task

if TYPE_CHECKING:
    from ...analyzer import AnalyzerConfig

__all__ = ["Cancelled", "Worker", "WorkerConfig", "internal_error"]

log = logging.getLogger("emofuse.server")


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker process gets; called there, it makes what does the tasks.

    Args:
        config: how media are analyzed.
        limits: what is accepted.
        memory_mb: limit of its memory, in MB.
    """

    config: AnalyzerConfig
    limits: Limits
    memory_mb: int

    def __call__(self) -> process.Handler:
        """Load the models before a client waits for them."""
        analyzer_worker = AnalyzerWorker(self.config, self.limits)
        with contextlib.suppress(EmofuseError):  # whoever needs a missing model will hear of it
            analyzer_worker.warm_up()

        def handle(task: Any, progress: ProgressCallback) -> Facts:
            try:
                return analyzer_worker.do(task, progress)
            except (Cancelled, ApiError, MemoryError):
                raise
            except EmofuseError as error:
                raise from_emofuse(error) from None
            except OSError as error:
                raise from_os(error) or internal_error() from None
            except Exception:
                raise internal_error() from None

        return handle


class Worker:
    """A process that does one task after the other, and is replaced when it dies.

    Args:
        worker_config: what it gets.
        restarted: called whenever a process had to be replaced.
    """

    def __init__(self, worker_config: WorkerConfig, restarted: Callable[[], None]) -> None:
        self._process = process.Worker(worker_config, worker_config.memory_mb, restarted)

    def start(self) -> None:
        """Start the process if there is none; it begins to load its models."""
        self._process.start()

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
        try:
            facts = self._process.run(task, process.Limits(total=timeout), progress, stop)
        except WorkerFailed as error:
            raise _as_answer(error) from None
        assert isinstance(facts, Facts)
        return facts

    def kill(self) -> None:
        """End the process now."""
        self._process.close()


def _as_answer(error: WorkerFailed) -> ApiError:
    if error.kind is FailureKind.TOO_LONG:
        return ApiError("took-too-long", f"the analysis was {error}; send a shorter recording")
    if error.kind is FailureKind.CRASHED:
        log.error("a worker process died: %s", error)
    return ApiError("crashed", str(error))


def internal_error() -> ApiError:
    """Log the exception being handled; return an error that names its entry in the log."""
    number = secrets.token_hex(4)
    log.exception("unexpected error %s", number)
    return ApiError(
        "internal",
        f"an unexpected error occurred; look for {number} in the server's log",
    )
