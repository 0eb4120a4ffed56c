"""The one image reader: a file or bytes become upright RGB pixels, or an error in words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .paths import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # in EXIF


class TooManyPixels(InputError):  # noqa: N818 - what it is
    """An image is larger than allowed."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image that was read.

    Args:
        pixels: RGB uint8, (H, W, 3), upright.
        width: before it was scaled down, in pixels, upright.
        height: likewise.
        format: such as ``jpeg``.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


def read_image(
    source: Path | bytes,
    *,
    max_side: int | None = None,
    max_pixels: float | None = None,
    formats: tuple[str, ...] | None = None,
) -> DecodedImage:
    """Read an image and turn it as its EXIF orientation says.

    Modes other than RGB are converted; 16-bit grey keeps its eight high bits.

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("L", (60, 40), 200).save(file, "PNG")
    >>> image = read_image(file.getvalue(), max_side=30)
    >>> image.pixels.shape, image.width, image.height, image.format
    ((20, 30, 3), 60, 40, 'png')

    Args:
        source: a file, or what is in one.
        max_side: an image with a longer side is scaled down to this many pixels; a JPEG is
            decoded no finer than that needs.
        max_pixels: larger images are refused before they are decoded.
        formats: names of the formats that are accepted, such as ``("JPEG",)``; default: all
            that Pillow reads.

    Raises:
        TooManyPixels: if it is larger than `max_pixels`, or than any sane image.
        InputError: if it is missing, empty, damaged or no image.
    """
    from PIL import ImageOps

    with _opened(source, max_pixels, formats) as stored:
        width, height = _upright_size(stored)
        if max_side is not None:
            stored.draft("RGB", (max_side, max_side))
        upright = _to_rgb(ImageOps.exif_transpose(stored))
        if max_side is not None:
            upright.thumbnail((max_side, max_side))
        return DecodedImage(np.array(upright), width, height, (stored.format or "image").lower())


def image_size(source: Path | bytes, *, max_pixels: float | None = None) -> tuple[int, int]:
    """Return the upright width and height of an image, from its header alone.

    Raises:
        TooManyPixels: if it is larger than `max_pixels`.
        InputError: if it is missing, empty or no image.
    """
    with _opened(source, max_pixels, None) as stored:
        return _upright_size(stored)


@contextmanager
def _opened(
    source: Path | bytes, max_pixels: float | None, formats: tuple[str, ...] | None
) -> Iterator[Image]:
    """Open an image, and put what goes wrong inside into words."""
    import PIL.Image
    from PIL import UnidentifiedImageError

    name = "the image" if isinstance(source, bytes) else str(source)
    if not isinstance(source, bytes):
        check_file(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with PIL.Image.open(file, formats=formats) as stored:
            width, height = stored.size
            if max_pixels is not None and width * height > max_pixels:
                raise TooManyPixels(
                    f"{name} is {width} × {height}, more than {max_pixels / 1e6:g} million "
                    "pixels; shrink it"
                )
            yield stored
    except UnidentifiedImageError:
        raise InputError(
            f"{name} is not an image that can be read; give a jpg, png, webp or bmp file"
        ) from None
    except PIL.Image.DecompressionBombError:
        raise TooManyPixels(f"{name} has far too many pixels; shrink it") from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).replace(f"{name!r}", name)
        raise InputError(f"cannot read the image {name}: {reason}; try another copy") from None


def _upright_size(image: Image) -> tuple[int, int]:
    width, height = image.size
    quarter_turn = image.getexif().get(_ORIENTATION, 1) > 4
    return (height, width) if quarter_turn else (width, height)


def _to_rgb(image: Image) -> Image:
    from PIL.Image import fromarray

    if image.mode.startswith("I"):
        image = fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")
