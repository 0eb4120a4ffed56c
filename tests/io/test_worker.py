"""Workers whose tasks crash, hang, fail or are not wanted any more: real processes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import pytest

from emofuse.core.protocols import ProgressCallback
from emofuse.errors import InputError
from emofuse.io.worker import Cancelled, FailureKind, Limits, Worker, WorkerFailed


def act(task: str, progress: ProgressCallback) -> Any:
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(60)
    if task == "plod":
        for n in range(100):
            progress(n, 100)
            time.sleep(0.05)
    if task == "refuse":
        raise InputError("not this one")
    if task == "odd":
        raise type("Local", (Exception,), {})("cannot be pickled")
    if task == "hoard":
        return len(bytearray(1 << 30))
    if task == "threads":
        return cv2.getNumThreads()
    return os.getpid()


def make() -> Callable[[str, ProgressCallback], Any]:
    return act


def make_nothing() -> Callable[[str, ProgressCallback], Any]:
    raise InputError("no model")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(make, memory_mb=700)
    yield worker
    worker.close()


def test_a_crash_costs_one_task(worker: Worker) -> None:
    first = worker.run("who")
    with pytest.raises(WorkerFailed, match=f"signal {signal.SIGSEGV.value}") as caught:
        worker.run("crash")
    assert caught.value.kind is FailureKind.CRASHED
    assert worker.run("who") not in (first, os.getpid())


def test_pictures_are_worked_on_in_one_thread(worker: Worker) -> None:
    assert worker.run("threads") == 1
    assert "OPENCV_FOR_THREADS_NUM" not in os.environ


def test_a_task_that_hangs_is_ended(worker: Worker) -> None:
    with pytest.raises(WorkerFailed, match=r"0\.3 s without any progress"):
        worker.run("hang", Limits(stall=0.3))
    with pytest.raises(WorkerFailed, match=r"after 0\.4 s, the longest allowed"):
        worker.run("plod", Limits(total=0.4, stall=5.0))
    assert worker.run("who") > 0


def test_errors_reach_the_caller_and_the_process_lives_on(worker: Worker) -> None:
    first = worker.run("who")
    with pytest.raises(InputError, match="not this one"):
        worker.run("refuse")
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        worker.run("odd")
    with pytest.raises(WorkerFailed, match="too little memory"):
        worker.run("hoard")
    assert worker.run("who") == first


def test_a_task_that_is_not_wanted_is_stopped(worker: Worker) -> None:
    stop, seen = threading.Event(), list[int]()

    def progress(done_ns: int, total_ns: int | None) -> None:
        seen.append(done_ns)
        stop.set()

    with pytest.raises(Cancelled):
        worker.run("plod", Limits(), progress, stop)
    assert seen
    assert worker.run("who") > 0


def test_what_cannot_be_made_is_told_by_every_task() -> None:
    worker = Worker(make_nothing)
    try:
        for _ in range(2):
            with pytest.raises(InputError, match="no model"):
                worker.run("who")
    finally:
        worker.close()
