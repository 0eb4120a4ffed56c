"""What a client sends: frames are decoded, audio is placed in time, both go to the engine."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.media import AudioChunk, Frame
from ...core.time import NS
from ..http.errors import ApiError
from ..metrics import Metrics
from ..settings import Limits
from .frames import Decoders, FrameClock, decode_frame
from .protocol import FRAME, Packet, SessionParams, bad
from .publisher import EventPublisher, PushedFrame, StreamCounts

if TYPE_CHECKING:
    from ...streaming import LiveSession

_CHUNK_SECONDS = 1.0  # longest chunk of audio
_JITTER_NS = NS // 20  # a clock may be off by this much before a gap is taken for one
_BACKWARDS_NS = NS  # and this much into the past
_AHEAD_NS = 10 * NS  # how far times may be ahead of the clock: silence is analyzed, too


class _PendingFrame(NamedTuple):
    """A frame that is not decoded yet, and when it arrived by our clock."""

    packet: Packet
    arrived: float


class Intake:
    """Takes frames and audio and pushes them into the engine; never blocks.

    Args:
        params: what the client announced.
        limits: what is accepted.
        side: longest side, in pixels, to which frames are decoded.
        decoders: threads that decode frames.
        client: whose frames they are.
        metrics: counts refused frames.
        publisher: learns which frames were pushed, and what was wrong with others.
        counts: keeps count.
    """

    def __init__(
        self,
        params: SessionParams,
        limits: Limits,
        side: int,
        decoders: Decoders,
        client: str,
        metrics: Metrics,
        publisher: EventPublisher,
        counts: StreamCounts,
    ) -> None:
        self._params, self._limits, self._side = params, limits, side
        self._decoders, self._turns, self._metrics = decoders, decoders.turns(client), metrics
        self._publisher, self._counts = publisher, counts
        self._pending: _PendingFrame | None = None  # the newest, undecoded
        self._decoding: asyncio.Task[None] | None = None
        self._clock = FrameClock()
        self._began = time.monotonic_ns()
        self._next_sample = 0
        self._live: LiveSession | None = None

    def open(self, live: LiveSession) -> None:
        """Push everything from now on; what came before was dropped."""
        self._live = live

    def take(self, packet: Packet) -> None:
        """Take a frame or a chunk of audio.

        Raises:
            ApiError: if it was not announced, is too large, or its time cannot be.
        """
        if packet.kind == FRAME:
            self._take_frame(packet)
        else:
            self._take_audio(packet.time_ns, packet.body)

    async def drain(self, seconds: float) -> None:
        """Wait until the received frames are pushed, at most this many seconds."""
        if self._decoding is not None:
            await asyncio.wait([self._decoding], timeout=seconds)

    def cancel(self) -> None:
        """Stop decoding."""
        if self._decoding is not None:
            self._decoding.cancel()

    def _take_frame(self, packet: Packet) -> None:
        if not self._params.video:
            raise bad("got a frame in a session without video")
        size, limit = len(packet.body), self._limits.picture_bytes
        if size > limit:
            raise ApiError("too-large", f"a frame of {size} bytes; the limit is {limit}")
        self._check_clock(packet.time_ns)
        self._counts.frames += 1
        if self._live is None:  # models are being loaded
            self._counts.skipped += 1
            return
        if self._pending is not None:
            self._counts.skipped += 1
        self._pending = _PendingFrame(packet, time.perf_counter())
        if self._decoding is None or self._decoding.done():
            self._decoding = asyncio.create_task(self._decode())

    async def _decode(self) -> None:
        """Decode the newest frame, and repeat while there is a newer one."""
        megapixels = self._limits.picture_megapixels
        while self._pending is not None:
            (packet, arrived), self._pending = self._pending, None
            try:
                decode = partial(decode_frame, packet.body, megapixels, self._side)
                image = await self._decoders.run(self._turns, decode)
                span = self._clock.span(packet.time_ns)
            except ApiError as error:
                self._metrics.frames.labels("refused").inc()
                self._publisher.report(error)
                continue
            self._publisher.expect(PushedFrame(packet.number, packet.time_ns, span.end_ns, arrived))
            assert self._live is not None
            self._live.push(Frame(image, span))

    def _take_audio(self, time_ns: int, pcm: bytes) -> None:
        rate = self._params.rate
        if not self._params.audio:
            raise bad("got audio in a session without audio")
        if len(pcm) % 2 or len(pcm) > 2 * rate * _CHUNK_SECONDS:
            raise bad(
                f"audio of {len(pcm)} bytes; expected whole 16-bit samples, at most "
                f"{_CHUNK_SECONDS:g} s of them"
            )
        if self._live is None:
            return
        expected_ns = self._next_sample * NS // rate
        if time_ns < expected_ns - _BACKWARDS_NS:
            raise bad(f"audio of {time_ns / NS:.3f} s came after that of {expected_ns / NS:.3f} s")
        self._check_clock(time_ns)
        if time_ns > expected_ns + _JITTER_NS:  # a pause: the time in between was silent
            self._next_sample = time_ns * rate // NS
        self._check_clock((self._next_sample + len(pcm) // 2) * NS // rate)
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        self._live.push(AudioChunk(samples, rate, self._next_sample))
        self._next_sample += len(samples)
        self._counts.audio_ns += len(samples) * NS // rate

    def _check_clock(self, time_ns: int) -> None:
        """Check that a time has come, by our clock: what lies before it has to be analyzed."""
        passed_ns = time.monotonic_ns() - self._began
        if time_ns > passed_ns + _AHEAD_NS:
            raise bad(
                f"time {time_ns / NS:.1f} s, but the session began {passed_ns / NS:.1f} s ago; "
                "count from its start and send in real time"
            )
