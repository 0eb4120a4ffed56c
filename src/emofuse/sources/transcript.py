"""Text on its own: a transcript without video or audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.media import MediaInfo, MediaKind, Packet, Track, Utterance, Watermark


class UtteranceSource:
    """Utterances that were read elsewhere, in order.

    Args:
        info: describes the text; `describe_text` makes one for a file.
        utterances: what is said, in any order.
    """

    def __init__(self, info: MediaInfo, utterances: Sequence[Utterance]) -> None:
        self.info = info
        self._utterances = sorted(utterances, key=lambda u: u.span)

    def packets(self) -> Iterator[Packet]:
        """Yield each utterance and the progress up to it, then progress to the end."""
        for utterance in self._utterances:
            yield Watermark(Track.TEXT, utterance.span.start_ns)
            yield utterance
        yield Watermark(Track.TEXT, end_ns(self._utterances))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def describe_text(path: Path, utterances: Sequence[Utterance]) -> MediaInfo:
    """Describe a text file that holds these utterances."""
    end = end_ns(utterances)
    return MediaInfo(path.name, MediaKind.TEXT, end, text=path.name, path=str(path))


def end_ns(utterances: Sequence[Utterance]) -> int:
    """Return when the last of the utterances ends."""
    return max((u.span.end_ns for u in utterances), default=0)
