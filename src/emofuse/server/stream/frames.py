"""Frames of a live session: pictures become pixels, and each gets a stretch of time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ...core.time import NS, Span
from ...errors import InputError
from ...io.images import TooManyPixels, TooManyScans, read_image
from ..http.errors import ApiError
from .protocol import bad

_FORMATS = ("JPEG", "PNG", "WEBP")
_MOST_SCANS = 4  # of a baseline JPEG: one, or one for each component

_USUAL_PERIOD_NS = NS // 25
_SHORTEST_PERIOD_NS, _LONGEST_PERIOD_NS = NS // 100, NS // 5  # how long a frame can stand for


class FrameClock:
    """Says which stretch of time a frame stands for: about the interval between frames.

    Spans never overlap: when frames suddenly come faster, one starts where the last one's
    span ends, and is short.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._end_ns = 0
        self._gaps: deque[int] = deque(maxlen=5)

    def span(self, time_ns: int) -> Span:
        """Return a frame's span.

        Raises:
            ApiError: ``bad-message`` if its time is not after the last one's.
        """
        if self._last_ns is not None:
            if time_ns <= self._last_ns:
                raise bad(
                    f"a frame of {time_ns / NS:.3f} s came after that of {self._last_ns / NS:.3f} s"
                )
            self._gaps.append(time_ns - self._last_ns)
        self._last_ns = time_ns
        period = min(self._gaps, default=_USUAL_PERIOD_NS)  # the least: drops leave gaps
        start_ns = max(time_ns, self._end_ns)
        end_ns = time_ns + min(period, _LONGEST_PERIOD_NS)
        self._end_ns = max(end_ns, start_ns + _SHORTEST_PERIOD_NS)
        return Span(start_ns, self._end_ns)


def decode_frame(data: bytes, megapixels: float, side: int) -> NDArray[np.uint8]:
    """Decode a baseline JPEG, PNG or WebP to RGB uint8, (H, W, 3), no side longer than `side`.

    Raises:
        ApiError: if it is none of these, damaged or too large.
    """
    try:
        return read_image(
            data,
            max_side=side,
            max_pixels=megapixels * 1e6,
            max_scans=_MOST_SCANS,
            formats=_FORMATS,
        ).pixels
    except TooManyPixels as error:
        raise ApiError("too-many-pixels", str(error)) from None
    except TooManyScans as error:
        raise bad(str(error)) from None
    except InputError:
        raise bad("a frame is not a baseline JPEG, PNG or WebP that can be decoded") from None


T = TypeVar("T")


class Decoders:
    """Threads that decode frames: a client's one after the other, and no more than its share.

    Decoding a frame is what brings it to the models; so a client with many sessions, or one
    that floods its session, takes no more of the machine than any other.

    Args:
        threads: how many.
        rate: frames of one client that are decoded in a second.
    """

    def __init__(self, threads: int, rate: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="emofuse-frames")
        self._gap = 1 / rate
        self._clients: WeakValueDictionary[str, _Turns] = WeakValueDictionary()

    def turns(self, client: str) -> _Turns:
        """Return what the sessions of a client share; it is kept as long as one has it."""
        return self._clients.setdefault(client, _Turns())

    async def run(self, turns: _Turns, decode: Callable[[], T]) -> T:
        """Decode when it is the client's turn."""
        async with turns.lock:
            await asyncio.sleep(max(0.0, turns.next - time.monotonic()))
            turns.next = time.monotonic() + self._gap
            return await asyncio.get_running_loop().run_in_executor(self._threads, decode)


class _Turns:
    """When a client's next frame may be decoded."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.next = 0.0
