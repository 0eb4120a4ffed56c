"""The server for an hour under load and faults: what is lost, what leaks, how late it gets.

    python -m benchmarks.soak --minutes 60
    make soak SOAK=10

Four live streams with pictures and voice, jobs and page requests at once, on a server of our own
over the loopback interface. First without faults, for what is usual. Then, at random (`--seed`):

- a worker process is killed,
- the disk is full for some seconds: RLIMIT_FSIZE of the server and its workers is 0, so that the
  system refuses every write to a file (with EFBIG for ENOSPC), without a file system of its own,
- another process holds the job database's lock for longer than the server waits for it,
- the server's wall clock jumps by up to 30 days (`time.time` of the server process alone),
- clients are cut off: live sessions before and after they are open, uploads in the middle.

At the end the faults stop, every job must have ended, and what is there is compared with before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import mmap
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from websockets.asyncio.client import connect

from benchmarks.common import ROOT, write_result
from benchmarks.server import CLIP, PHOTO, clip, live_client, percentiles, wait

STREAMS = 4
SESSION_SECONDS = 20.0
FAULT_PAUSE = 4.0  # mean seconds between two faults
JOB_PAUSE = 2.0
PAGE_PAUSE = 0.5
SAMPLE_PAUSE = 2.0
SETTLE_SECONDS = 20.0  # until what is closed is gone
LAST_JOBS_SECONDS = 300.0  # for the jobs that are left at the end
LIMITS = {
    "EMOFUSE_JOBS_PER_CLIENT": 30,
    "EMOFUSE_SESSIONS": 16,
    "EMOFUSE_SESSIONS_PER_CLIENT": 16,
    "EMOFUSE_WAITING_PER_CLIENT": 32,
}


# ------------------------------------------------------------------- the server's side


def serve(port: int, state: Path, clock: Path) -> None:
    """Run the server with a wall clock that this script can move."""
    from emofuse.server.run import run
    from emofuse.server.settings import read_settings

    with clock.open("r+b") as file:
        offset = mmap.mmap(file.fileno(), 8)
    real = time.time
    time.time = lambda: real() + struct.unpack("<d", offset[:8])[0]  # type: ignore[assignment]
    run(read_settings({"port": port, "state": state}))


# --------------------------------------------------------------------------- the load


@dataclass
class Soak:
    """What goes on, and what was seen."""

    url: str
    state: Path
    clock: Path
    process: psutil.Process
    random: random.Random
    jobs: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    page_ms: list[float] = field(default_factory=list)
    live_ms: list[float] = field(default_factory=list)
    sent: int = 0
    dropped: int = 0
    broken_sessions: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)

    async def stream(self) -> None:
        """A live client that comes back again and again."""
        while True:
            try:
                result = await live_client(self.url, SESSION_SECONDS, voice=True)
            except Exception as error:
                self.broken_sessions += 1
                self.told[f"session: {type(error).__name__}"] += 1
                await asyncio.sleep(1)
                continue
            self.live_ms += result["latencies"]
            self.sent += round(SESSION_SECONDS * 5)
            self.dropped += result["stats"]["dropped"]["pictures"]

    async def submit(self) -> None:
        """Send a job; one in five that have ended is deleted."""
        kind = self.random.choices(("text", "photo", "clip"), (5, 4, 1))[0]
        path = {"photo": PHOTO, "clip": CLIP}.get(kind)
        async with httpx.AsyncClient(base_url=self.url, timeout=120) as client:
            if path is None:
                answer = await client.post("/v1/jobs", json={"text": "What a wonderful day!"})
            else:
                answer = await client.post(
                    "/v1/jobs", files={"file": (path.name, path.read_bytes())}
                )
            self._note(answer)
            if answer.status_code == 202:
                self.jobs.add(answer.json()["id"])
            if self.jobs and self.random.random() < 0.2:
                old = self.random.choice(sorted(self.jobs))
                answer = await client.get(f"/v1/jobs/{old}")
                if answer.status_code == 200 and answer.json()["state"] in ("COMPLETED", "FAILED"):
                    answer = await client.delete(f"/v1/jobs/{old}")
                    if answer.status_code == 204:
                        self.jobs.discard(old)
                        self.deleted.add(old)

    async def look(self) -> None:
        """Ask for the page and its files, and for what everybody asks."""
        path = self.random.choice(("/", "/static/js/app.js", "/v1/jobs", "/v1/models"))
        async with httpx.AsyncClient(base_url=self.url, timeout=120) as client:
            started = time.perf_counter()
            answer = await client.get(path)
            self.page_ms.append(1000 * (time.perf_counter() - started))
            self._note(answer)

    async def sample(self) -> None:
        """Note the server's memory."""
        self.memory.append((time.monotonic(), self.process.memory_info().rss / 1e6))

    def _note(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            self.told[f"{answer.status_code} {answer.json()['error']['code']}"] += 1

    # ------------------------------------------------------------------------- faults

    async def disturb(self) -> None:
        """Do one thing that nobody wants."""
        faults: list[Callable[[], Awaitable[None]]] = [
            *(self.kill_worker, self.fill_disk, self.lock_store, self.move_clock),
            *(self.cut_session, self.cut_session, self.cut_upload),
        ]
        fault = self.random.choice(faults)
        self.faults[fault.__name__] += 1
        await fault()

    async def kill_worker(self) -> None:
        """Kill a process that analyzes."""
        if workers := self._workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.random.choice(workers).send_signal(signal.SIGKILL)

    async def fill_disk(self) -> None:
        """Let nobody write for some seconds."""
        most = (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
        processes = [self.process, *self._workers()]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        await asyncio.sleep(self.random.uniform(1, 5))
        for process in {*processes, *self._workers()}:  # new ones have it from the server
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, most)

    async def lock_store(self) -> None:
        """Hold the job database."""
        with (
            contextlib.closing(
                sqlite3.connect(self.state / "jobs.sqlite", isolation_level=None, timeout=5)
            ) as other,
            contextlib.suppress(sqlite3.OperationalError),
        ):
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(self.random.uniform(1, 8))
            other.execute("ROLLBACK")

    async def move_clock(self) -> None:
        """Set the server's wall clock."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("<d", self.random.uniform(-30, 30) * 86400))

    async def cut_session(self) -> None:
        """Leave a live session without a word: before it is open, or in the middle."""
        jpegs, _ = loaded_clip()
        with contextlib.suppress(Exception):
            line = await connect(self.url.replace("http", "ws") + "/v1/stream", open_timeout=30)
            if self.random.random() < 0.5:
                await line.recv()
                for number, jpeg in enumerate(jpegs[:5]):
                    head = struct.pack("<BBHIQ", 1, 1, 0, number, number * 200_000)
                    await line.send(head + jpeg)
            line.transport.abort()

    async def cut_upload(self) -> None:
        """Leave in the middle of an upload."""
        host, port = self.url.removeprefix("http://").split(":")
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: "
                b'form-data; name="file"; filename="a"\r\n\r\n' + CLIP.read_bytes()[:100_000]
            )
            await writer.drain()
            writer.transport.abort()

    def _workers(self) -> list[psutil.Process]:
        found = []
        for child in self.process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    # -------------------------------------------------------------------- what is left

    def resources(self) -> dict[str, int]:
        """Count what the server holds when nobody asks for anything."""
        incoming = self.state / "incoming"
        homes = self.state / "jobs"
        return {
            "threads": self.process.num_threads(),
            "descriptors": self.process.num_fds(),
            "files_in_incoming": sum(1 for _ in incoming.rglob("*")) if incoming.is_dir() else 0,
            "job_folders": sum(1 for _ in homes.iterdir()) if homes.is_dir() else 0,
            "unfinished_attempts": sum(1 for _ in homes.glob("*/attempt-*")),
        }

    def orphans(self) -> list[str]:
        """Return the folders of jobs that the server does not know."""
        folders = (home.name for home in (self.state / "jobs").iterdir())
        with httpx.Client(base_url=self.url, timeout=120) as client:
            return [name for name in folders if client.get(f"/v1/jobs/{name}").status_code == 404]

    async def outcomes(self) -> dict[str, Any]:
        """Wait until every job has ended, and say how."""
        ended: Counter[str] = Counter()
        lost = []
        deadline = time.monotonic() + LAST_JOBS_SECONDS
        async with httpx.AsyncClient(base_url=self.url, timeout=120) as client:
            for job_id in sorted(self.jobs):
                while True:
                    answer = await client.get(f"/v1/jobs/{job_id}")
                    job = answer.json() if answer.status_code == 200 else {"state": "GONE"}
                    if job["state"] not in ("QUEUED", "IN_PROGRESS"):
                        break
                    if time.monotonic() > deadline:
                        break
                    await asyncio.sleep(0.5)
                why = f" ({job['error']['code']})" if job.get("error") else ""
                ended[job["state"] + why] += 1
                if job["state"] not in ("COMPLETED", "FAILED") or (
                    job["state"] == "FAILED" and not why
                ):
                    lost.append(job_id)
        return {
            "accepted": len(self.jobs) + len(self.deleted),
            "deleted_after_their_end": len(self.deleted),
            "ended": dict(sorted(ended.items())),
            "lost": len(lost),
        }


@functools.lru_cache(maxsize=1)
def loaded_clip() -> tuple[list[bytes], bytes]:
    """The clip, read once."""
    return clip()


async def again(step: Callable[[], Awaitable[None]], pause: float, chance: random.Random) -> None:
    """Do something again and again, about every `pause` seconds."""
    while True:
        await asyncio.sleep(chance.expovariate(1 / pause))
        with contextlib.suppress(httpx.TransportError):
            await step()


async def phase(soak: Soak, seconds: float, faults: bool) -> dict[str, Any]:
    """Run the load for some time; returns how late everything was."""
    soak.live_ms, soak.page_ms, soak.sent, soak.dropped = [], [], 0, 0
    chance = soak.random
    tasks = [asyncio.create_task(soak.stream()) for _ in range(STREAMS)]
    steps = [(soak.submit, JOB_PAUSE), (soak.look, PAGE_PAUSE), (soak.sample, SAMPLE_PAUSE)]
    if faults:
        steps.append((soak.disturb, FAULT_PAUSE))
    tasks += [asyncio.create_task(again(step, pause, chance)) for step, pause in steps]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "seconds": round(seconds),
        "live_ms": percentiles(soak.live_ms) if soak.live_ms else None,
        "page_ms": percentiles(soak.page_ms) if soak.page_ms else None,
        "pictures_sent": soak.sent,
        "pictures_dropped": soak.dropped,
        "sessions_broken": soak.broken_sessions,
    }


def slope(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Fit a line to the memory of the later two thirds."""
    times, sizes = np.array(samples[len(samples) // 3 :]).T
    per_second, _ = np.polyfit(times - times[0], sizes, 1)
    mean = float(sizes.mean())
    return {
        "mb_mean": round(mean, 1),
        "mb_first": round(float(sizes[:5].mean()), 1),
        "mb_last": round(float(sizes[-5:].mean()), 1),
        "percent_an_hour": round(float(per_second) * 3600 / mean * 100, 2),
    }


async def run(soak: Soak, minutes: float) -> dict[str, Any]:
    """The whole hour."""
    quiet_seconds = max(45.0, minutes * 60 / 10)
    quiet = await phase(soak, quiet_seconds, faults=False)
    await asyncio.sleep(SETTLE_SECONDS)
    await soak.outcomes()
    before = soak.resources()
    soak.memory.clear()
    soak.told.clear()
    disturbed = await phase(soak, minutes * 60 - quiet_seconds, faults=True)
    with soak.clock.open("r+b") as file:
        file.write(struct.pack("<d", 0.0))
    jobs = await soak.outcomes()
    await asyncio.sleep(SETTLE_SECONDS)
    after = soak.resources()
    health = httpx.get(f"{soak.url}/v1/health").json()
    return {
        "jobs": jobs,
        "orphaned_job_folders": len(soak.orphans()),
        "resources": {"before": before, "after": after},
        "memory_of_the_server": slope(soak.memory),
        "quiet": quiet,
        "disturbed": disturbed,
        "live_p95_ratio": _ratio(disturbed["live_ms"], quiet["live_ms"]),
        "page_p95_ratio": _ratio(disturbed["page_ms"], quiet["page_ms"]),
        "faults": dict(sorted(soak.faults.items())),
        "refusals": dict(sorted(soak.told.items())),
        "health_at_the_end": health["status"],
    }


def _ratio(one: dict[str, float] | None, other: dict[str, float] | None) -> float | None:
    return round(one["p95"] / other["p95"], 2) if one and other else None


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, Path, Path, psutil.Process, Path]]:
    """Run the server with a clock of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        state, clock, log = Path(folder) / "state", Path(folder) / "clock", Path(folder) / "log"
        clock.write_bytes(bytes(8))
        command = [sys.executable, "-m", "benchmarks.soak", "--serve", str(port), str(state)]
        environment = os.environ | {name: str(value) for name, value in LIMITS.items()}
        with log.open("w") as out:
            process = subprocess.Popen(
                [*command, str(clock)], env=environment, cwd=ROOT, stderr=out, stdout=out
            )
        try:
            url = f"http://127.0.0.1:{port}"
            wait(url)
            yield url, state, clock, psutil.Process(process.pid), log
        finally:
            process.terminate()
            process.wait(60)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="soak", help="of the result's file")
    parser.add_argument(
        "--serve", nargs=3, metavar=("PORT", "STATE", "CLOCK"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.serve:
        port, state, clock = args.serve
        serve(int(port), Path(state), Path(clock))
        return
    load = [round(os.getloadavg()[0], 1)]
    with serving() as (url, state, clock, process, log):
        soak = Soak(url, state, clock, process, random.Random(args.seed))
        figures = asyncio.run(run(soak, args.minutes))
        said = log.read_text()
    load.append(round(os.getloadavg()[0], 1))
    figures = {"minutes": args.minutes, "seed": args.seed, "load_before_and_after": load} | figures
    figures["unexpected_errors_in_the_log"] = said.count("unexpected error")
    write_result(args.name, figures)
    if figures["unexpected_errors_in_the_log"]:
        print(said[-20_000:], file=sys.stderr)


if __name__ == "__main__":
    main()
