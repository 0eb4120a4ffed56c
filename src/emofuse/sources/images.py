"""Still images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.media import Frame, MediaInfo, MediaKind, Packet, Utterance, VideoInfo, Watermark
from ..core.protocols import Source
from ..core.time import NS, Span
from ..io.images import read_image


class ImageSource:
    """An image, shown for one sampling period.

    Args:
        path: the file.
        fps: the sampling rate whose period the image lasts.
        max_side: larger images are scaled down to this.
        utterances: what is said about or in the image, if anything.
        transcript: where that comes from, for `info`.

    Raises:
        InputError: if the file is missing, empty, damaged or no image.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: float = 8.0,
        max_side: int = 1280,
        utterances: Sequence[Utterance] | None = None,
        transcript: str | None = None,
    ) -> None:
        path = Path(path)
        image = read_image(path, max_side=max_side)
        self._utterances = sorted(utterances or (), key=lambda u: u.span)
        self._notes = image.notes
        self._frame = Frame(image.pixels, Span(0, round(NS / fps)))
        self.info = MediaInfo(
            name=path.name,
            kind=MediaKind.IMAGE,
            duration_ns=self._frame.at.end_ns,
            video=VideoInfo(image.width, image.height, None, image.format),
            text=None if utterances is None else transcript or "transcript",
            path=str(path),
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the frame, the utterances, and progress to the end."""
        yield from self._notes
        yield self._frame
        yield from self._utterances
        end = max([self._frame.at.end_ns, *(u.span.end_ns for u in self._utterances)])
        for track in sorted(self.info.tracks, key=lambda t: t.value):
            yield Watermark(track, end)

    def close(self) -> None:
        """Do nothing: the file was closed when it had been read."""


class _Still:
    """The one frame of a film, as an image."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.info = replace(source.info, kind=MediaKind.IMAGE)

    def packets(self) -> Iterator[Packet]:
        """Yield what the film yields."""
        return self._source.packets()

    def close(self) -> None:
        """Close the film."""
        self._source.close()


def still(source: Source) -> Source:
    """Show a film of a single frame as the image that it is."""
    return _Still(source)
