"""The one image reader: a file or bytes become upright RGB pixels, or an error in words."""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.media import Diagnostic
from ..errors import InputError, MissingExtra
from .media_types import HEAD, by_content
from .paths import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # in EXIF

MOST_PIXELS = 100e6
"""Larger images are refused, but for JPEGs that are decoded smaller than they are."""

_SCALABLE = ("L", "RGB", "RGBA", "CMYK", "YCbCr")
"""Modes in which an image can be made smaller before anything else is done to it."""

_libtiff = threading.Lock()


class TooManyPixels(InputError):  # noqa: N818 - what it is
    """An image is larger than allowed."""


class TooManyScans(InputError):  # noqa: N818 - what it is
    """A JPEG goes over its pixels again and again, which takes time without end."""


MOST_SCANS = 64
"""Scans of a JPEG; progressive ones have about ten, and as many again in each preview."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image that was read.

    Args:
        pixels: RGB uint8, (H, W, 3), upright.
        width: before it was scaled down, in pixels, upright.
        height: likewise.
        format: such as ``jpeg``.
        notes: what was left out or scaled.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str
    notes: tuple[Diagnostic, ...] = ()


FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "HEIF")
"""Formats that Pillow may open: some of the others start programs (EPS) or open other files."""


def read_image(
    source: Path | bytes,
    *,
    max_side: int | None = None,
    max_pixels: float | None = None,
    max_scans: int = MOST_SCANS,
    formats: tuple[str, ...] | None = None,
) -> DecodedImage:
    """Read an image and turn it as its EXIF orientation says.

    Modes other than RGB are converted; grey of more than eight bits, and floats, are scaled
    by what they hold. Of several pages the first is read.

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
        max_scans: JPEGs of more scans are refused before they are decoded.
        formats: names of the formats that are accepted, such as ``("JPEG",)``; default:
            `FORMATS`.

    Raises:
        TooManyPixels: if it is larger than `max_pixels`, or than `MOST_PIXELS` (a JPEG of one
            pass: 179 million).
        TooManyScans: if it is a JPEG of more than `max_scans`.
        InputError: if it is missing, empty, damaged or no image.
    """
    from PIL import ImageOps

    with _opened(source, max_pixels, formats, max_scans) as stored:
        width, height = _upright_size(stored)
        if max_side is not None:
            stored.draft("RGB", (max_side, max_side))
        notes = tuple(_notes(stored))
        if max_side is not None and stored.mode in _SCALABLE:
            stored.load()  # as coarsely as was said
            stored.thumbnail((max_side, max_side))
        upright = _to_rgb(ImageOps.exif_transpose(stored))
        if max_side is not None:
            upright.thumbnail((max_side, max_side))
        return DecodedImage(
            np.array(upright), width, height, (stored.format or "image").lower(), notes
        )


def image_size(source: Path | bytes, *, max_pixels: float | None = None) -> tuple[int, int]:
    """Return the upright width and height of an image, from its header alone.

    Raises:
        TooManyPixels: if it is larger than `max_pixels`.
        TooManyScans: if it is a JPEG of too many scans.
        InputError: if it is missing, empty or no image.
    """
    with _opened(source, max_pixels, None) as stored:
        return _upright_size(stored)


@contextmanager
def _opened(
    source: Path | bytes,
    max_pixels: float | None,
    formats: tuple[str, ...] | None,
    max_scans: int = MOST_SCANS,
) -> Iterator[Image]:
    """Open an image, and put what goes wrong inside into words."""
    import PIL.Image
    from PIL import UnidentifiedImageError

    name = "the image" if isinstance(source, bytes) else str(source)
    if not isinstance(source, bytes):
        check_file(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        opened = PIL.Image.open(file, formats=formats or _formats())
        with opened as stored, _quiet(stored):
            width, height = stored.size
            most = min(max_pixels or MOST_PIXELS, MOST_PIXELS)
            if max_pixels is None and stored.format == "JPEG" and "progressive" not in stored.info:
                most = float("inf")  # Pillow has a limit of its own: 179 million
            if width * height > most:
                raise TooManyPixels(
                    f"{name} is {width} × {height}, more than {most / 1e6:g} million "
                    "pixels; shrink it"
                )
            if stored.format in ("JPEG", "MPO"):
                _check_scans(source, name, max_scans)
            yield stored
    except UnidentifiedImageError:
        if _is_heic(source):
            raise MissingExtra("heif", f"the photo {name} (HEIC)") from None
        raise InputError(
            f"{name} is not an image that can be read; give a jpg, png, webp or bmp file"
        ) from None
    except PIL.Image.DecompressionBombError:
        raise TooManyPixels(f"{name} has far too many pixels; shrink it") from None
    except InputError:
        raise
    except MemoryError:
        raise TooManyPixels(f"{name} takes more memory than there is; shrink it") from None
    except Exception as error:  # plugins raise whatever damaged headers make of them
        reason = str(error).replace(f"{name!r}", name) or type(error).__name__
        raise InputError(f"cannot read the image {name}: {reason}; try another copy") from None


def _check_scans(source: Path | bytes, name: str, most: int) -> None:
    """Count the starts of scans: in the data of a scan, 0xFF is never followed by 0xDA."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    if (scans := data.count(b"\xff\xda")) > most:
        raise TooManyScans(
            f"{name} is a JPEG of {scans} scans, expected at most {most}; save it as a baseline "
            "JPEG"
        )


def _is_heic(source: Path | bytes) -> bool:
    """Whether an image that cannot be read is one of iPhones, for which a package is missing."""
    if find_spec("pillow_heif") is not None:
        return False
    head = source[:HEAD] if isinstance(source, bytes) else source.read_bytes()[:HEAD]
    found = by_content(head)
    return found is not None and found.suffix == ".heic"


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Return the formats that this machine reads; iPhones' HEIC needs pillow-heif.

    Pillow's remarks on odd files are kept off stderr from here on: what matters is an error
    or a note. A filter for the time of a call would not be safe among threads.
    """
    import PIL.Image

    if find_spec("pillow_heif") is not None:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    PIL.Image.init()
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    return tuple(name for name in FORMATS if name in PIL.Image.OPEN)


@contextmanager
def _quiet(image: Image) -> Iterator[None]:
    """Keep what libtiff itself writes to stderr away from users; its errors are raised as well."""
    if image.format != "TIFF":
        yield
        return
    with _libtiff:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _notes(image: Image) -> Iterator[Diagnostic]:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        yield Diagnostic(
            "first-page-only", f"the image has {pages} pages or frames; the first is read"
        )
    if image.mode.startswith(("I", "F")):
        told = "the image has more than eight bits a pixel and was scaled by what it holds"
        yield Diagnostic("image-scaled", told)


def _upright_size(image: Image) -> tuple[int, int]:
    width, height = image.size
    quarter_turn = image.getexif().get(_ORIENTATION, 1) > 4
    return (height, width) if quarter_turn else (width, height)


def _to_rgb(image: Image) -> Image:
    from PIL.Image import fromarray

    if image.mode.startswith(("I", "F")):
        with np.errstate(invalid="ignore"):  # damaged floats
            values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
        image = fromarray((values * (255 / _white(values))).clip(0, 255).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def _white(values: NDArray[np.float32]) -> float:
    """Return the value of white: that of the fewest bits that hold all values, or 1 of floats."""
    largest = float(values.max(initial=0.0))
    if largest <= 1.0:
        return 1.0
    return float(2 ** max(8, int(largest).bit_length()) - 1)
