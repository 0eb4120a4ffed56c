"""Batches on a Ray cluster: the same engine, with actors that keep their models.

Each actor runs its analyses in a process of its own, so that a file that crashes a
decoder, hangs or takes too much memory costs that file and not the actor. Ray replaces
actors whose node is lost, and the file is tried again elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.protocols import ProgressCallback
from ..errors import EmofuseError, InputError, MissingExtra
from ..io.worker import Cancelled, Limits
from .results import Outcome, Results
from .run import ProcessRunner, Task

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig

_TRIES = 3
"""How often a file is tried whose actor is lost; after that it is taken to be the cause."""

_PATIENCE = 120.0
"""Seconds in which a cluster must give another actor: it may notice late that a node is lost."""

_PAUSE = 1.0  # seconds between two tries to get one

_POLL = 0.5  # seconds between looks at whether a result is still wanted


def connect(address: str) -> int:
    """Join a cluster and return how many processor cores it has.

    Args:
        address: ``"auto"`` for the cluster that this machine belongs to, ``"local"`` for one
            of this machine alone, or ``ray://HOST:PORT``.

    Raises:
        MissingExtra: if Ray is not installed.
        InputError: if there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as e:
        raise MissingExtra("ray", "a batch on a cluster") from e
    try:
        if not ray.is_initialized():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        return int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    except (ConnectionError, ValueError, RuntimeError) as e:
        first = str(e).splitlines()[0]
        raise InputError(
            f"cannot join a Ray cluster at {address!r}: {first}; start one with  ray start --head  "
            "or give  --ray local"
        ) from e


class RayRunner:
    """Does tasks in an actor somewhere in the cluster.

    Args:
        config: how media are analyzed.
        results: where results go; a folder must be one that all nodes share.
        memory_mb: limit of a process's memory, in MB; None: without limit.
        limits: how long a file may take.
    """

    def __init__(
        self, config: AnalyzerConfig, results: Results, memory_mb: int | None, limits: Limits
    ) -> None:
        self._arguments = config, results, memory_mb, limits
        self._actor: Any = None

    def ready(self) -> None:
        """Wait until a node has room for the actor: one of an autoscaler may come late."""
        import ray

        self._actor = _remote_actor().remote(*self._arguments)
        ray.get(self._actor.ready.remote())

    def __call__(self, task: Task, progress: ProgressCallback, stop: threading.Event) -> Outcome:
        """Analyze a job's file and write its results."""
        from ray.exceptions import RayError

        for _ in range(_TRIES):
            self._revive(stop)
            try:
                return self._result(task, stop)
            except RayError:  # of actors, nodes and objects; our own errors are results
                self._actor = None
                # It may have been lost after it wrote, before it could say so.
                task = replace(task, overwrite=True)
        raise EmofuseError(
            f"{task.job.source}: the node or process that analyzed it was lost {_TRIES} times; "
            "look at the cluster's log, or try the file alone"
        )

    def _revive(self, stop: threading.Event) -> None:
        """Get another actor if ours was lost; that this fails says nothing about a file."""
        from ray.exceptions import RayError

        until = time.monotonic() + _PATIENCE
        while self._actor is None:
            if stop.wait(_PAUSE):
                raise Cancelled
            try:
                self.ready()
            except RayError as e:
                self._actor = None
                if time.monotonic() > until:
                    raise EmofuseError(
                        f"the cluster gave no other process for {_PATIENCE:.0f} s after one was "
                        "lost; look at  ray status"
                    ) from e

    def _result(self, task: Task, stop: threading.Event) -> Outcome:
        import ray

        waiting = [self._actor.analyze.remote(task)]
        while waiting:
            done, waiting = ray.wait(waiting, timeout=_POLL)
            if stop.is_set():
                raise Cancelled
            if done:
                break
        result = ray.get(done[0])
        if isinstance(result, EmofuseError):
            raise result
        assert isinstance(result, Outcome)
        return result

    def close(self) -> None:
        """End the actor."""
        import ray

        if self._actor is not None and ray.is_initialized():
            ray.kill(self._actor)


class _Actor:
    """What runs on a node."""

    def __init__(self, *arguments: Any) -> None:
        self._runner = ProcessRunner(*arguments)
        self._runner.ready()

    def ready(self) -> bool:
        """Whether it runs; who asks waits for it."""
        return True

    def analyze(self, task: Task) -> Outcome | EmofuseError:
        """Do a task. Errors are results: Ray would wrap them."""
        try:
            return self._runner(task, _ignore, threading.Event())
        except EmofuseError as e:
            return e


def _ignore(done_ns: int, total_ns: int | None) -> None:
    """Ignore progress: a callback does not reach from a node to here."""


def _remote_actor() -> Any:
    import ray

    return ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(_Actor)
