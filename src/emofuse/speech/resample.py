"""Any sampling rate to the models' rate, without losing count of a sample."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ..core.media import AudioChunk, Track, Watermark
from ..core.time import ns_to_samples, samples_to_ns
from ..errors import InputError


class Resample:
    """Turns the chunks of a medium's own rate into chunks of one rate.

    Output sample k is the sound at k / rate seconds of the stream, whatever the
    medium's rate, where its sound starts, and how it was cut. A gap in the input
    stays a gap; what overlaps earlier samples is dropped.

    Args:
        rate: of what comes out, in Hz.

    Raises:
        ValueError: if the rate is not > 0.
    """

    def __init__(self, rate: int = 16_000) -> None:
        if rate <= 0:
            raise ValueError(f"need rate > 0, got {rate}")
        self.rate = rate
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._run: _Run | None = None  # the contiguous run that is open
        self._promised_ns = 0

    def feed(self, item: AudioChunk | Watermark) -> Iterator[AudioChunk | Watermark]:
        """Take sound or progress; yield the sound that is complete.

        Raises:
            InputError: if the sampling rate changes inside the stream.
        """
        if isinstance(item, Watermark):
            self._promised_ns = max(self._promised_ns, item.upto_ns)
            yield from self._advance()
        else:
            yield from self._extend(item)

    def flush(self) -> Iterator[AudioChunk | Watermark]:
        """End the stream: yield what the filter still held."""
        yield from self._close()
        if self._promised_ns:
            yield Watermark(Track.AUDIO, self._promised_ns)

    def _extend(self, chunk: AudioChunk) -> Iterator[AudioChunk]:
        if self._run is not None:
            if chunk.rate != self._run.source_rate:
                raise InputError(
                    f"the sampling rate changes from {self._run.source_rate} to {chunk.rate} Hz "
                    "inside the stream: convert the file to one rate"
                )
            if chunk.first > self._run.end:
                yield from self._close()
        if self._run is None:
            self._run = _Run(chunk.rate, self.rate, chunk.first)
        fresh = chunk.samples[self._run.end - chunk.first :]
        if len(fresh):
            yield from self._run.feed(fresh)

    def _advance(self) -> Iterator[AudioChunk | Watermark]:
        run = self._run
        # One sample of slack: times are rounded.
        if run and ns_to_samples(self._promised_ns, run.source_rate) > run.end + 1:
            yield from self._close()
        upto = self._promised_ns
        if self._run is not None:
            upto = min(upto, samples_to_ns(self._run.next, self.rate))
        yield Watermark(Track.AUDIO, upto)

    def _close(self) -> Iterator[AudioChunk]:
        if self._run is not None:
            yield from self._run.flush()
            self._run = None


class _Run:
    """Contiguous samples from `first` on, at `source_rate`, on their way to `rate`."""

    def __init__(self, source_rate: int, rate: int, first: int) -> None:
        self.source_rate = source_rate
        self.rate = rate
        self.end = first  # index after the last sample taken, at the source's rate
        self.next = -(-first * rate // source_rate)  # index of the next sample out
        if source_rate == rate:
            self._stream = None
            return
        import soxr

        self._stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32")
        # Both rates share a sample at every `period` samples of the source. The filter
        # starts at such a point, with silence before the sound: no fraction is lost.
        period = source_rate // gcd(source_rate, rate)
        lead = first % period
        self._at = (first - lead) * rate // source_rate  # index of the filter's next sample
        self._lead = np.zeros(lead, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> Iterator[AudioChunk]:
        self.end += len(samples)
        if self._stream is None:
            yield from self._out(samples)
            return
        if len(self._lead):
            samples, self._lead = np.concatenate((self._lead, samples)), self._lead[:0]
        yield from self._filtered(self._stream.resample_chunk(samples))

    def flush(self) -> Iterator[AudioChunk]:
        if self._stream is not None:
            rest = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
            last = -(-self.end * self.rate // self.source_rate)  # nothing beyond the sound's end
            yield from self._filtered(rest[: max(0, last - self._at)])

    def _filtered(self, samples: NDArray[np.float32]) -> Iterator[AudioChunk]:
        early = max(0, self.next - self._at)  # belongs to the silence put before
        self._at += len(samples)
        yield from self._out(samples[early:])

    def _out(self, samples: NDArray[np.float32]) -> Iterator[AudioChunk]:
        if len(samples):
            yield AudioChunk(np.ascontiguousarray(samples), self.rate, self.next)
            self.next += len(samples)
