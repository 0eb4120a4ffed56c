"""Stages composed: packets of a medium in, estimates out.

A file, a webcam and a socket run the same pipeline. Its law: cut the same media
into packets in any way, and the estimates are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..core.estimates import Estimate
from ..core.identity import IdentityEmbedding
from ..core.media import AudioChunk, Diagnostic, Frame, Packet, Track, Utterance, Watermark
from ..core.protocols import Fuser, Slot, Stage

_ITEMS: dict[Track, type] = {
    Track.VIDEO: Frame,
    Track.AUDIO: AudioChunk,
    Track.TEXT: Utterance,
}


class Select:
    """Lets one track's packets and progress through."""

    def __init__(self, track: Track) -> None:
        self._track = track

    def feed(self, item: Packet) -> Iterator[Packet]:
        """Yield the packet if it is of the track."""
        if isinstance(item, Watermark):
            if item.track is self._track:
                yield item
        elif isinstance(item, _ITEMS[self._track]):
            yield item

    def flush(self) -> Iterator[Packet]:
        """Nothing is ever held."""
        return iter(())

    def reset(self) -> None:
        """Nothing to forget."""


class Chain:
    """Stages in series: what one yields the next is fed."""

    def __init__(self, *stages: Stage[Any, Any]) -> None:
        self._stages = stages

    def feed(self, item: Any) -> Iterator[Any]:
        """Feed the first stage; yield what leaves the last."""
        return self._through([item], 0)

    def flush(self) -> Iterator[Any]:
        """Flush the stages in order, each into the following ones."""
        for i, stage in enumerate(self._stages):
            yield from self._through(stage.flush(), i + 1)

    def reset(self) -> None:
        """Reset every stage."""
        for stage in self._stages:
            stage.reset()

    def _through(self, items: Iterable[Any], start: int) -> Iterator[Any]:
        if start == len(self._stages):
            yield from items
            return
        for item in items:
            if isinstance(item, (Diagnostic, IdentityEmbedding)):  # passes all stages by
                yield item
            else:
                yield from self._through(self._stages[start].feed(item), start + 1)


class Fork:
    """Stages in parallel: each is fed every item; their results follow each other."""

    def __init__(self, *stages: Stage[Any, Any]) -> None:
        self._stages = stages

    def feed(self, item: Any) -> Iterator[Any]:
        """Feed every stage; yield what each says."""
        for stage in self._stages:
            yield from stage.feed(item)

    def flush(self) -> Iterator[Any]:
        """Flush every stage."""
        for stage in self._stages:
            yield from stage.flush()

    def reset(self) -> None:
        """Reset every stage."""
        for stage in self._stages:
            stage.reset()


class Fuse:
    """Replaces slots by their fused estimates; everything else passes.

    Evidence of quality 0 has no say where there is any other: words in a language that the
    model does not read, say. Embeddings end here: what leaves is kept for as long as a timeline is.
    """

    def __init__(self, fuser: Fuser) -> None:
        self._fuser = fuser

    def feed(self, item: Estimate | Slot | Watermark) -> Iterator[Estimate | Watermark]:
        """Take what the aligner yields."""
        if not isinstance(item, Slot):
            if isinstance(item, Estimate) and item.embedding is not None:
                item = replace(item, embedding=None)
            yield item
        elif (fused := self._fuser.fuse(_of_worth(item))) is not None:
            yield fused

    def flush(self) -> Iterator[Estimate]:
        """Nothing is ever held."""
        return iter(())

    def reset(self) -> None:
        """Let the fuser forget the stream."""
        self._fuser.reset()


def _of_worth(slot: Slot) -> Slot:
    """Leave out evidence that is worth nothing, unless there is no other."""
    worth = {m: e for m, e in slot.evidence.items() if e.quality > 0}
    return replace(slot, evidence=worth) if worth else slot


class Pipeline:
    """The whole way from packets to estimates.

    Yields each modality's estimates, the fused ones, notes, embeddings of faces and voices, and
    `Watermark(Modality.FUSED, …)`: everything that starts before is out.

    Args:
        branches: one chain per modality or group of modalities, fed every
            packet, yielding estimates and their modality's progress.
        joint: aligner, fusion, smoothing: what brings the branches together.
    """

    def __init__(
        self, branches: Sequence[Stage[Any, Any]], joint: Sequence[Stage[Any, Any]]
    ) -> None:
        self._chain = Chain(Fork(*branches), *joint)

    def feed(
        self, packet: Packet
    ) -> Iterator[Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """Take one packet; yield what can be said now."""
        if isinstance(packet, Diagnostic):
            yield packet
        else:
            yield from self._chain.feed(packet)

    def flush(self) -> Iterator[Estimate | Watermark | Diagnostic | IdentityEmbedding]:
        """End the stream; yield the rest."""
        return self._chain.flush()

    def reset(self) -> None:
        """Make the pipeline as new, for another stream."""
        self._chain.reset()
