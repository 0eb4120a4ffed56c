"""A few small pictures of a stream of unknown length, evenly spread."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, SubjectKind
from ..core.media import Frame
from ..core.time import NS, Span
from ..core.timeline import Timeline
from ..io.images import read_image
from .summary import highlights

_WAITING = 180
"""Pictures that wait at most: longer than any moment and what is known of it take."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG and the time for which its frame was shown."""

    jpeg: bytes
    at: Span


class Thumbnails:
    """Keeps at most `limit` thumbnails of the frames written to it.

    Every k-th frame is kept; when there are too many, every other one is dropped
    and k doubles. So at any moment, however long the stream gets, the kept ones
    are evenly spread over it and number more than limit / 2 (once that many
    frames came), and each frame costs nothing unless it is kept. Only frames
    matter to it.

    Args:
        limit: most thumbnails held (≥ 2).
        side: their longer side in pixels; smaller frames are not enlarged.
        quality: of the JPEG, 1 … 95.
    """

    def __init__(self, limit: int = 60, side: int = 256, quality: int = 70) -> None:
        if limit < 2:
            raise ValueError(f"limit must be >= 2, got {limit}")
        self._limit = limit
        self._side = side
        self._quality = quality
        self._kept: list[Thumbnail] = []
        self._step = 1
        self._count = 0

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Look at one frame."""
        if not isinstance(item, Frame):
            return
        if self._count % self._step == 0:
            if len(self._kept) == self._limit:
                self._thin()
            # A frame that only the step before wanted is left out after thinning.
            if self._count % self._step == 0:
                jpeg = encode_jpeg(item.image, self._side, self._quality)
                self._kept.append(Thumbnail(jpeg, item.at))
        self._count += 1

    def close(self) -> None:
        """Nothing to finish: the thumbnails stay."""

    @property
    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """Those kept so far, in order of time."""
        return tuple(self._kept)

    def _thin(self) -> None:
        self._kept = self._kept[::2]
        self._step *= 2


class HighlightThumbnails:
    """Keeps a picture of each of a group's most expressive moments.

    Frames come before what is said of them: small pictures wait, one a second, until the moment
    that they belong to is told. Memory does not grow with the medium.

    Args:
        side: of a picture, its longer one, in pixels.
    """

    def __init__(self, side: int = 320) -> None:
        self._side = side
        self._waiting: list[Thumbnail] = []
        self._kept: list[tuple[Estimate, Thumbnail]] = []

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Look at a frame, or at what is said of a group."""
        if isinstance(item, Frame):
            last = self._waiting[-1].at.start_ns // NS if self._waiting else -1
            if item.at.start_ns // NS != last:
                self._waiting.append(Thumbnail(encode_jpeg(item.image, self._side), item.at))
                del self._waiting[:-_WAITING]
        elif isinstance(item, Estimate) and item.subject.kind is SubjectKind.GROUP:
            self._take(item)

    def _take(self, moment: Estimate) -> None:
        seen = [t for t in self._waiting if moment.span.start_ns <= t.at.start_ns]
        here = [t for t in seen if t.at.start_ns < max(moment.span.end_ns, 1)]
        self._waiting = [t for t in seen if t.at.start_ns >= moment.span.end_ns]
        if here:
            self._kept.append((moment, here[len(here) // 2]))
            best = {run.span for run in highlights(e for e, _ in self._kept)}
            self._kept = [(e, t) for e, t in self._kept if e.span in best]

    @property
    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """One a moment, in order of time; each has the moment's time."""
        return tuple(Thumbnail(t.jpeg, e.span) for e, t in self._kept)


def encode_jpeg(image: NDArray[np.uint8], side: int, quality: int = 70) -> bytes:
    """Shrink an RGB image (uint8, (H, W, 3)) to at most `side` pixels and encode it as JPEG."""
    from PIL import Image  # only who makes pictures pays for it

    picture = Image.fromarray(image)
    scale = side / max(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        # Averages of whole pixels first: half the time of a better filter.
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def best_face(rows: Sequence[Estimate], thumbnails: Sequence[Thumbnail]) -> bytes | None:
    """Cut the portrait of one face out of the thumbnail that shows it largest and clearest.

    Args:
        rows: the face's estimates in order of time; those with a ``box`` count.
        thumbnails: in order of time.

    Returns:
        A square JPEG, or None if no thumbnail shows the face.
    """
    seen = list(_pictured(rows, thumbnails))
    if not seen:
        return None
    _, box, thumbnail = max(seen, key=lambda found: found[0].quality * _area(found[1]))
    return _cut(thumbnail.jpeg, box)


def _pictured(
    rows: Sequence[Estimate], thumbnails: Sequence[Thumbnail]
) -> Iterator[tuple[Estimate, Sequence[float], Thumbnail]]:
    """Pair estimates that know their face's box with the thumbnails taken during them."""
    i = 0
    for e in rows:
        while i < len(thumbnails) and thumbnails[i].at.start_ns < e.span.start_ns:
            i += 1
        end_ns = max(e.span.end_ns, e.span.start_ns + 1)
        box = e.details_mapping().get("box")
        if i < len(thumbnails) and thumbnails[i].at.start_ns < end_ns and box is not None:
            yield e, box, thumbnails[i]


def _area(box: Sequence[float]) -> float:
    return box[2] * box[3]


def _cut(jpeg: bytes, box: Sequence[float]) -> bytes:
    """Cut a square around a box (x, y, width, height in fractions) out of a JPEG."""
    from PIL import Image

    picture = Image.fromarray(read_image(jpeg).pixels)
    x, y, w, h = box
    side = 1.3 * max(w * picture.width, h * picture.height)
    cx, cy = (x + w / 2) * picture.width, (y + h / 2) * picture.height
    square = picture.crop(
        (round(cx - side / 2), round(cy - side / 2), round(cx + side / 2), round(cy + side / 2))
    )
    out = io.BytesIO()
    square.resize((144, 144), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
    return out.getvalue()
