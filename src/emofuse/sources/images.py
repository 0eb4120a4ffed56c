"""Still pictures, read with Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.media import Frame, MediaInfo, MediaKind, Packet, Utterance, VideoInfo, Watermark
from ..core.time import NS, Span
from ..errors import InputError
from ..io.paths import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

EXIF_ORIENTATION = 0x0112

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


class ImageSource:
    """A picture, turned as its EXIF orientation says, shown for one sampling period.

    Args:
        path: the file.
        fps: the sampling rate whose period the picture lasts.
        max_side: larger pictures are scaled down to this.
        utterances: what is said about or in the picture, if anything.
        transcript: where that comes from, for `info`.

    Raises:
        InputError: if the file is missing, empty, damaged or not a picture.
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
        image, width, height, codec = read_image(path, max_side)
        self._utterances = sorted(utterances or (), key=lambda u: u.span)
        self._frame = Frame(image, Span(0, round(NS / fps)))
        self.info = MediaInfo(
            name=path.name,
            kind=MediaKind.IMAGE,
            duration_ns=self._frame.at.end_ns,
            video=VideoInfo(width, height, None, codec),
            text=None if utterances is None else transcript or "transcript",
            path=str(path),
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the picture, the utterances, and progress to the end."""
        yield self._frame
        yield from self._utterances
        end = max([self._frame.at.end_ns, *(u.span.end_ns for u in self._utterances)])
        for track in sorted(self.info.tracks, key=lambda t: t.value):
            yield Watermark(track, end)

    def close(self) -> None:
        """Do nothing: the file was closed when it had been read."""


def read_image(path: Path, max_side: int) -> tuple[NDArray[np.uint8], int, int, str]:
    """Read a picture as RGB uint8, (H, W, 3), upright, no side longer than `max_side`.

    Returns:
        The picture, its width and height before scaling, and its format's name.

    Raises:
        InputError: if the file is missing, empty, damaged or not a picture.
    """
    import PIL.Image
    from PIL import ImageOps, UnidentifiedImageError

    check_file(path)
    try:
        with PIL.Image.open(path) as stored:
            codec = (stored.format or "image").lower()
            size = stored.size
            stored.draft("RGB", (max_side, max_side))  # lets JPEG skip detail that is not needed
            if stored.getexif().get(EXIF_ORIENTATION, 1) > 4:  # a quarter turn
                size = size[1], size[0]
            upright = to_rgb(ImageOps.exif_transpose(stored))
            upright.thumbnail((max_side, max_side))
            return np.array(upright), size[0], size[1], codec
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture that can be read; give a jpg, png, webp or bmp file"
        ) from None
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise InputError(f"cannot read the picture {path}: {error}; try another copy") from None


def to_rgb(image: Image) -> Image:
    """Convert a Pillow image of any mode to RGB; 16-bit greys keep their eight high bits."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):
        image = fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")
