"""The server under load: live clients, many small pictures at once, memory over many requests.

    python -m benchmarks.server            everything, about five minutes
    python -m benchmarks.server --seconds 10 --requests 200
    python -m benchmarks.server --load --name server-load    streams beside jobs, uploads at once

Server and clients share the machine's cores, as they do in use on one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import httpx
import psutil
from websockets.asyncio.client import connect

from benchmarks.common import ROOT, write_result

CLIP = ROOT / "tests" / "media" / "talking.mp4"
PHOTO = ROOT / "tests" / "media" / "portrait.jpg"
CLIENTS, FPS = 4, 5
AT_ONCE = 50
UPLOADS, UPLOAD_MB = 16, 30


@contextmanager
def serving(**variables: Any) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server of our own; yields its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "emofuse", "serve", "--port", str(port), "--state", state]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            wait(url)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def wait(url: str) -> None:
    """Wait until the server answers and has loaded its models."""
    for _ in range(600):
        try:
            httpx.get(f"{url}/v1/health").raise_for_status()
            break
        except httpx.HTTPError:
            time.sleep(0.2)
    photo = {"file": ("p.jpg", PHOTO.read_bytes())}
    httpx.post(f"{url}/v1/analyze", files=photo, timeout=120).raise_for_status()


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum, rounded."""
    ordered = sorted(values)
    at = min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))
    middle = statistics.median(ordered)
    return {"p50": round(middle, 1), "p95": round(ordered[at], 1), "max": round(ordered[-1], 1)}


def clip() -> tuple[list[bytes], bytes]:
    """Read the clip: JPEGs at `FPS`, and all its sound as PCM of 16 kHz."""
    jpegs, due, pcm = [], 0.0, b""
    with av.open(str(CLIP)) as file:
        for frame in file.decode(video=0):
            if frame.time is not None and frame.time >= due:
                due += 1 / FPS
                data = io.BytesIO()
                frame.to_image().resize((640, 480)).save(data, "JPEG", quality=85)
                jpegs.append(data.getvalue())
    to_pcm = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(CLIP)) as file:
        for frame in file.decode(audio=0):
            pcm += b"".join(s.to_ndarray().tobytes() for s in to_pcm.resample(frame))
    return jpegs, pcm


async def live_client(url: str, seconds: float, voice: bool) -> dict[str, Any]:
    """Stream the clip again and again; measures from sending a picture to its answer."""
    jpegs, pcm = clip()
    sent: dict[int, float] = {}
    latencies: list[float] = []
    query = f"?audio={int(voice)}&asr=0"
    async with connect(url.replace("http", "ws") + "/v1/stream" + query, open_timeout=60) as line:
        await line.recv()  # session.created

        async def play() -> None:
            started = time.perf_counter()
            step = 2 * 16_000 // FPS
            to_and_fro = jpegs + jpegs[-2:0:-1]  # a jump would be a cut, where faces begin anew
            for number in range(round(seconds * FPS)):
                at = number / FPS
                await asyncio.sleep(max(0.0, started + at - time.perf_counter()))
                jpeg, micros = to_and_fro[number % len(to_and_fro)], round(at * 1e6)
                sent[number] = time.perf_counter()
                await line.send(struct.pack("<BBHIQ", 1, 1, 0, number, micros) + jpeg)
                if voice:
                    begin = number * step % (len(pcm) // step * step)
                    piece = pcm[begin : begin + step]
                    await line.send(struct.pack("<BBHIQ", 2, 1, 0, number, micros) + piece)
            await line.send('{"type": "session.close"}')

        player = asyncio.create_task(play())
        stats: dict[str, Any] = {}
        try:
            async for text in line:
                message = json.loads(text)
                if message.get("kind") == "face":
                    latencies.append(1000 * (time.perf_counter() - sent[message["number"]]))
                elif message["type"] == "session.closed":
                    stats = message["stats"]
            await player
        finally:
            player.cancel()
    return {"latencies": latencies, "stats": stats}


async def live(url: str, process: psutil.Process, seconds: float, voice: bool) -> dict[str, Any]:
    """Several live clients at once."""
    await live_client(url, 2, voice)  # loads the models
    before = process.cpu_times()
    results = await asyncio.gather(*(live_client(url, seconds, voice) for _ in range(CLIENTS)))
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    latencies = [ms for result in results for ms in result["latencies"]]
    dropped = sum(result["stats"]["dropped"]["pictures"] for result in results)
    return {
        "clients": CLIENTS,
        "fps": FPS,
        "seconds": seconds,
        "pictures": "640x480 JPEG",
        "voice": voice,
        "sent": round(seconds * FPS) * CLIENTS,
        "answered": len(latencies),
        "dropped": dropped,
        "server_cores_busy": round(busy / seconds, 2),
        "server_cpu_ms_per_answer": round(1000 * busy / max(1, len(latencies)), 1),
        "latency_ms": percentiles(latencies),
    }


async def pictures(url: str) -> dict[str, Any]:
    """Many requests at once; who is told to come back does."""
    photo = PHOTO.read_bytes()
    times: list[float] = []
    answers: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:

        async def ask() -> None:
            started = time.perf_counter()
            while True:
                response = await client.post("/v1/analyze", files={"file": ("p.jpg", photo)})
                answers[response.status_code] += 1
                if response.status_code != 429:
                    break
                await asyncio.sleep(float(response.headers["retry-after"]))
            times.append(1000 * (time.perf_counter() - started))

        started = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        elapsed = time.perf_counter() - started
    return {
        "requests": AT_ONCE,
        "per_second": round(AT_ONCE / elapsed, 1),
        "milliseconds_until_answered": percentiles(times),
        "answers": {str(status): number for status, number in sorted(answers.items())},
    }


async def uploads(url: str) -> dict[str, Any]:
    """Several large uploads at once, and what the page has to wait meanwhile."""
    body = CLIP.read_bytes()
    padded = body + bytes(UPLOAD_MB * 1_000_000 - len(body))  # players ignore what follows
    times: list[float] = []
    waits: list[float] = []
    answers: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:

        async def send() -> None:
            started = time.perf_counter()
            answer = await client.post("/v1/jobs", files={"file": ("a.mp4", padded)})
            answers[answer.status_code] += 1
            times.append(1000 * (time.perf_counter() - started))

        async def look() -> None:
            while True:
                started = time.perf_counter()
                (await client.get("/v1/health")).raise_for_status()
                waits.append(1000 * (time.perf_counter() - started))
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        await asyncio.gather(*(send() for _ in range(UPLOADS)))
        looking.cancel()
    return {
        "uploads": UPLOADS,
        "mb_each": UPLOAD_MB,
        "milliseconds_until_accepted": percentiles(times),
        "answers": {str(status): number for status, number in sorted(answers.items())},
        "health_meanwhile_ms": percentiles(waits),
    }


async def live_beside_jobs(url: str, process: psutil.Process, seconds: float) -> dict[str, Any]:
    """Live clients while one job after the other is analyzed."""
    done = 0

    async def work() -> None:
        nonlocal done
        async with httpx.AsyncClient(base_url=url, timeout=300) as client:
            while True:
                sent = await client.post("/v1/jobs", files={"file": ("a.mp4", CLIP.read_bytes())})
                job = sent.json()
                while job["state"] in ("QUEUED", "IN_PROGRESS"):
                    await asyncio.sleep(0.2)
                    job = (await client.get(job["links"]["self"])).json()
                done += job["state"] == "COMPLETED"

    working = asyncio.create_task(work())
    try:
        figures = await live(url, process, seconds, voice=True)
    finally:
        working.cancel()
    return figures | {"jobs_meanwhile": done}


def memory(url: str, process: psutil.Process, requests: int) -> dict[str, Any]:
    """Resident memory of server and workers while requests come one after the other."""
    photo = PHOTO.read_bytes()
    curve: list[dict[str, float]] = []
    with httpx.Client(base_url=url, timeout=120) as client:
        for number in range(requests + 1):
            if number % max(1, requests // 10) == 0:
                family = [process, *process.children(recursive=True)]
                total = sum(p.memory_info().rss for p in family) / 1e6
                own = process.memory_info().rss / 1e6
                curve.append({"requests": number, "mb": round(total, 1), "server": round(own, 1)})
            client.post("/v1/analyze", files={"file": ("p.jpg", photo)}).raise_for_status()
    return {
        "curve": curve,
        "growth_mb_after_first_tenth": round(curve[-1]["mb"] - curve[1]["mb"], 1),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of live streaming")
    parser.add_argument("--requests", type=int, default=1000, help="for the memory curve")
    parser.add_argument("--name", default="server", help="of the result's file")
    parser.add_argument("--load", action="store_true", help="streams beside jobs, uploads at once")
    args = parser.parse_args()
    figures: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2)}
    if args.load:
        with serving(EMOFUSE_WAITING_PER_CLIENT=64, EMOFUSE_JOBS_PER_CLIENT=64) as (url, process):
            figures["live_beside_jobs"] = asyncio.run(live_beside_jobs(url, process, args.seconds))
            figures["uploads_at_once"] = asyncio.run(uploads(url))
        write_result(args.name, figures)
        return
    with serving(EMOFUSE_WAITING_PER_CLIENT=64) as (url, process):
        figures["pictures_at_once"] = asyncio.run(pictures(url))
        figures["memory"] = memory(url, process, args.requests)
        figures["live_pictures"] = asyncio.run(live(url, process, args.seconds, voice=False))
        figures["live_pictures_and_voice"] = asyncio.run(
            live(url, process, args.seconds, voice=True)
        )
    with serving() as (url, _):
        figures["pictures_at_once_with_usual_limits"] = asyncio.run(pictures(url))
    write_result(args.name, figures)


if __name__ == "__main__":
    main()
