"""A source with notes about what was done before it was opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.media import Diagnostic, MediaInfo, Packet
from ..core.protocols import Source


class Noted:
    """Yields notes, then what another source yields.

    Args:
        source: belongs to this object and is closed with it.
        notes: e.g. what was guessed about a transcript.
    """

    def __init__(self, source: Source, notes: Sequence[Diagnostic]) -> None:
        self._source, self._notes = source, tuple(notes)

    @property
    def info(self) -> MediaInfo:
        """What is known before reading."""
        return self._source.info

    def packets(self) -> Iterator[Packet]:
        """Yield the notes and the packets."""
        yield from self._notes
        yield from self._source.packets()

    def close(self) -> None:
        """Close the source."""
        self._source.close()
