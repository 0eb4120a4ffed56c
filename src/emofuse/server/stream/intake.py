"""What comes: pictures are decoded, sound gets its place in time, both are pushed."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.media import AudioChunk, Frame
from ...core.time import NS
from ..http.errors import ApiError
from ..metrics import Metrics
from ..settings import Limits
from .frames import PictureClock, decode_jpeg
from .protocol import PICTURE, Packet, SessionParams, bad
from .publisher import EventPublisher, MetricState, Shown

if TYPE_CHECKING:
    from ...streaming import LiveSession

_SOUND_SECONDS = 1.0  # longest piece of sound
_JITTER_NS = NS // 20  # a clock may be off by this much before a gap is taken for one
_BACKWARDS_NS = NS  # and this much into the past


class _Waiting(NamedTuple):
    """A picture that came, and when by our clock."""

    packet: Packet
    arrived: float


class Intake:
    """Takes pictures and sound in and pushes them into the engine; never blocks.

    Args:
        wish: what the client said would come.
        limits: how much is taken in.
        side: pixels of the longest side to which pictures are decoded.
        decoders: decode pictures.
        metrics: is told of pictures that are refused.
        teller: is told which pictures were pushed, and what is wrong with others.
        tally: counts.
    """

    def __init__(
        self,
        wish: SessionParams,
        limits: Limits,
        side: int,
        decoders: ThreadPoolExecutor,
        metrics: Metrics,
        teller: EventPublisher,
        tally: MetricState,
    ) -> None:
        self._wish, self._limits, self._side = wish, limits, side
        self._decoders, self._metrics = decoders, metrics
        self._teller, self._tally = teller, tally
        self._picture: _Waiting | None = None  # the newest, undecoded
        self._decoding: asyncio.Task[None] | None = None
        self._clock = PictureClock()
        self._next_sample = 0
        self._live: LiveSession | None = None

    def open(self, live: LiveSession) -> None:
        """Push what comes from now on; what came before was dropped."""
        self._live = live

    def take(self, packet: Packet) -> None:
        """Take a picture, or a piece of sound.

        Raises:
            ApiError: if it must not come, is too large, or too late.
        """
        if packet.kind == PICTURE:
            self._take_picture(packet)
        else:
            self._take_sound(packet.time_ns, packet.body)

    async def calibrate_batchnorm(self, seconds: float) -> None:
        """Wait until the pictures that came are pushed, but no longer than this."""
        if self._decoding is not None:
            await asyncio.wait([self._decoding], timeout=seconds)

    def cancel(self) -> None:
        """Decode no more."""
        if self._decoding is not None:
            self._decoding.cancel()

    def _take_picture(self, packet: Packet) -> None:
        if not self._wish.video:
            raise bad("a picture came in a session without video")
        size, most = len(packet.body), self._limits.picture_bytes
        if size > most:
            raise ApiError("too-large", f"a picture of {size} bytes; at most {most}")
        self._tally.pictures += 1
        if self._live is None:  # models are being loaded
            self._tally.skipped += 1
            return
        if self._picture is not None:
            self._tally.skipped += 1
        self._picture = _Waiting(packet, time.perf_counter())
        if self._decoding is None or self._decoding.done():
            self._decoding = asyncio.create_task(self._decode())

    async def _decode(self) -> None:
        """Decode the newest picture, and again while there is a newer one."""
        loop = asyncio.get_running_loop()
        most = self._limits.picture_megapixels
        while self._picture is not None:
            (packet, arrived), self._picture = self._picture, None
            try:
                image = await loop.run_in_executor(
                    self._decoders, decode_jpeg, packet.body, most, self._side
                )
                span = self._clock.span(packet.time_ns)
            except ApiError as error:
                self._metrics.frames.labels("refused").inc()
                self._teller.complain(error)
                continue
            self._teller.show(Shown(packet.number, packet.time_ns, span.end_ns, arrived))
            assert self._live is not None
            self._live.push(Frame(image, span))

    def _take_sound(self, time_ns: int, pcm: bytes) -> None:
        rate = self._wish.rate
        if not self._wish.audio:
            raise bad("sound came in a session without audio")
        if len(pcm) % 2 or len(pcm) > 2 * rate * _SOUND_SECONDS:
            raise bad(
                f"sound of {len(pcm)} bytes; expected whole 16-bit samples, at most "
                f"{_SOUND_SECONDS:g} s of them"
            )
        if self._live is None:
            return
        expected_ns = self._next_sample * NS // rate
        if time_ns < expected_ns - _BACKWARDS_NS:
            raise bad(f"sound of {time_ns / NS:.3f} s came after that of {expected_ns / NS:.3f} s")
        if time_ns > expected_ns + _JITTER_NS:  # a pause: the time in between was silent
            self._next_sample = time_ns * rate // NS
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        self._live.push(AudioChunk(samples, rate, self._next_sample))
        self._next_sample += len(samples)
        self._tally.sound_ns += len(samples) * NS // rate
