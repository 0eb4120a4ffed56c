"""Damaged messages to live sessions of a real server, beside a client who does nothing wrong.

    python -m benchmarks.damaged --messages 10000

Messages are those of a clip with bits flipped, cut, doubled, with headers of nonsense and times of
other days, and JSON that is none; twenty to a session, so that every one of them is looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import struct
import time
from collections import Counter
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from benchmarks.common import write_result
from benchmarks.server import clip, live_client, percentiles, serving

_HEADER = struct.Struct("<BBHIQ")
_TEXTS = ("", "{", "[]", "null", '{"type": 1}', '{"type": "dance"}', '"' * 500, "[" * 5000, "\0")


def damaged(chance: random.Random, jpegs: list[bytes], pcm: bytes) -> bytes | str:
    """Make a message that no client should send."""
    kind = chance.randrange(7)
    body = chance.choice(jpegs) if chance.random() < 0.5 else pcm[: chance.randrange(40_000)]
    if kind == 0:
        return chance.choice(_TEXTS)
    if kind == 1:  # a header of nonsense
        return chance.randbytes(16) + body
    if kind == 2:  # cut, before or behind the header's end
        return (_HEADER.pack(1, 1, 0, 0, 0) + body)[: chance.randrange(len(body) + 16)]
    if kind == 3:  # of another time
        return _HEADER.pack(chance.choice((1, 2)), 1, 0, 0, chance.randrange(1 << 63)) + body
    if kind == 4:  # nothing but noise
        return _HEADER.pack(1, 1, 0, 0, 0) + chance.randbytes(chance.randrange(1, 50_000))
    if kind == 5:  # sound as a picture, a picture as sound
        return _HEADER.pack(1 if body is not jpegs[0] else 2, 1, 0, 0, 0) + pcm[:3201]
    flipped = bytearray(chance.choice(jpegs))
    for _ in range(chance.randrange(1, 200)):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return _HEADER.pack(1, 1, 0, 0, chance.randrange(2_000_000)) + bytes(flipped)


async def attack(url: str, messages: int, chance: random.Random) -> dict[str, Any]:
    """Send damaged messages; count what came back."""
    jpegs, pcm = clip()
    address = url.replace("http", "ws") + "/v1/stream?asr=0"
    sent, sessions = 0, 0
    told: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    while sent < messages:
        try:
            line = await connect(address, open_timeout=60, max_size=None)
        except InvalidStatus as refusal:
            told[str(refusal.response.status_code)] += 1
            await asyncio.sleep(0.1)
            continue
        sessions += 1
        async with line:
            await line.recv()  # session.created
            with contextlib.suppress(ConnectionClosed):
                for _ in range(min(20, messages - sent)):  # one more would end it
                    await line.send(damaged(chance, jpegs, pcm))
                    sent += 1
                await line.send('{"type": "session.close"}')
                while True:
                    message = json.loads(await line.recv())
                    if message["type"] == "error":
                        told[message["error"]["code"]] += 1
                    elif message["type"] == "session.closed":
                        ends[message["reason"]] += 1
            if line.close_code not in (1000, 1008):
                ends[f"code {line.close_code}"] += 1
    return {
        "messages": sent,
        "sessions": sessions,
        "errors_told": dict(sorted(told.items())),
        "sessions_ended": dict(sorted(ends.items())),
    }


async def both(url: str, messages: int, seed: int) -> dict[str, Any]:
    """Attack beside an honest client, who streams until the attack is over."""
    attacking = asyncio.create_task(attack(url, messages, random.Random(seed)))
    latencies: list[float] = []
    dropped = sent = 0
    while not attacking.done():
        result = await live_client(url, 5, voice=True)
        latencies += result["latencies"]
        dropped += result["stats"]["dropped"]["pictures"]
        sent += 25
    honest = {"sent": sent, "dropped": dropped, "latency_ms": percentiles(latencies)}
    return await attacking | {"beside": honest}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with serving() as (url, process):
        asyncio.run(live_client(url, 2, voice=True))  # loads the models
        time.sleep(2)
        before = {"threads": process.num_threads(), "mb": round(process.memory_info().rss / 1e6)}
        figures = asyncio.run(both(url, args.messages, args.seed))
        time.sleep(5)
        after = {"threads": process.num_threads(), "mb": round(process.memory_info().rss / 1e6)}
        status = httpx.get(f"{url}/v1/health").json()["status"]
    write_result(
        "damaged",
        {"seed": args.seed, **figures, "before": before, "after": after, "health": status},
    )


if __name__ == "__main__":
    main()
