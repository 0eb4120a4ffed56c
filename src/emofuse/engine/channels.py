"""Each channel of a sound as a speaker of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..core.estimates import Estimate, Modality, SubjectKind
from ..core.identity import IdentityEmbedding
from ..core.media import AudioChunk, Diagnostic, Packet, Track, Watermark
from .pipeline import Pipeline

MOST_CHANNELS = 8
"""More are no speakers each."""


class ByChannel:
    """A pipeline for each channel, and one for what is seen and read.

    The speaker of channel n is ``speaker-n``; speakers of a text come after them. Estimates
    come out in order of time, once every pipeline got past their start.

    Args:
        heard: of the channels, in order.
        others: of all other tracks; None: there are none.
    """

    def __init__(self, heard: Sequence[Pipeline], others: Pipeline | None) -> None:
        self._heard, self._others = list(heard), others
        self._progress = dict.fromkeys(range(len(heard) + (others is not None)), 0)
        self._held: list[Estimate] = []
        self._notes: set[tuple[str, str]] = set()
        self._told_ns = 0

    def feed(
        self, packet: Packet
    ) -> Iterator[Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """Take one packet; yield what can be said now."""
        if isinstance(packet, Diagnostic):
            yield packet
            return
        for number, pipeline in self._concerned(packet):
            yield from self._take(number, pipeline.feed(packet))
        yield from self._release(min(self._progress.values()))

    def flush(self) -> Iterator[Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """End the stream; yield the rest."""
        for number, pipeline in enumerate(self._all):
            yield from self._take(number, pipeline.flush())
        end = max([*self._progress.values(), *(e.span.end_ns for e in self._held)])
        yield from self._release(end)

    @property
    def _all(self) -> list[Pipeline]:
        return [*self._heard, *([self._others] if self._others is not None else [])]

    def _concerned(self, packet: Packet) -> Iterator[tuple[int, Pipeline]]:
        """Yield the pipelines that a packet goes to, with their numbers."""
        if isinstance(packet, AudioChunk):
            if packet.channel < len(self._heard):
                yield packet.channel, self._heard[packet.channel]
        elif isinstance(packet, Watermark) and packet.track is Track.AUDIO:
            yield from enumerate(self._heard)
        elif self._others is not None:
            yield len(self._heard), self._others

    def _take(
        self, number: int, items: Iterable[Estimate | Watermark | Diagnostic | IdentityEmbedding]
    ) -> Iterator[Diagnostic | IdentityEmbedding]:
        for item in items:
            if isinstance(item, IdentityEmbedding):  # of a face
                yield item
            elif isinstance(item, Estimate):
                self._held.append(self._numbered(item, number))
            elif isinstance(item, Watermark):
                self._progress[number] = max(self._progress[number], item.upto_ns)
            elif (item.code, item.message) not in self._notes:  # it may be true of every channel
                self._notes.add((item.code, item.message))
                yield item

    def _numbered(self, estimate: Estimate, pipeline: int) -> Estimate:
        subject = estimate.subject
        if subject.kind is not SubjectKind.SPEAKER:
            return estimate
        return replace(estimate, subject=replace(subject, number=subject.number + pipeline))

    def _release(self, upto_ns: int) -> Iterator[Estimate | Watermark]:
        """Yield what starts before a time that all have passed, in order."""
        if upto_ns <= self._told_ns:
            return
        ready = [e for e in self._held if e.span.start_ns < upto_ns]
        self._held = [e for e in self._held if e.span.start_ns >= upto_ns]
        self._told_ns = upto_ns
        yield from sorted(ready, key=lambda e: e.span.start_ns)
        yield Watermark(Modality.FUSED, upto_ns)
