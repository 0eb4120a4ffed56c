"""Pictures, sound and words that a program holds: whatever form they have, as a source."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.media import (
    AudioChunk,
    AudioInfo,
    Frame,
    MediaInfo,
    MediaKind,
    Packet,
    Track,
    Utterance,
    VideoInfo,
    Watermark,
)
from ..core.protocols import Source
from ..core.time import NS, Span, samples_to_ns
from ..errors import InputError
from ..io.images import read_image
from .file import open_source
from .transcript import UtteranceSource

_CHUNK = 1 << 15  # samples


class PictureSource:
    """One picture, shown for an eighth of a second.

    Args:
        pixels: RGB uint8, (H, W, 3).
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[:2]
        self._frame = Frame(pixels, Span(0, NS // 8))
        self.info = MediaInfo(
            "image", MediaKind.IMAGE, NS // 8, video=VideoInfo(width, height, None, "raw")
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the frame."""
        yield self._frame
        yield Watermark(Track.VIDEO, self._frame.at.end_ns)

    def close(self) -> None:
        """Nothing is open."""


class SoundSource:
    """Samples.

    Args:
        samples: mono float32 in about [-1, 1], shape (n,).
        rate: in Hz.
    """

    def __init__(self, samples: NDArray[np.float32], rate: int) -> None:
        self._samples, self._rate = samples, rate
        self._end_ns = samples_to_ns(len(samples), rate)
        self.info = MediaInfo(
            "audio", MediaKind.AUDIO, self._end_ns, audio=AudioInfo(rate, 1, "raw")
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the sound in pieces."""
        for first in range(0, len(self._samples), _CHUNK):
            piece = self._samples[first : first + _CHUNK]
            yield AudioChunk(piece, self._rate, first)
            yield Watermark(Track.AUDIO, samples_to_ns(first + len(piece), self._rate))
        yield Watermark(Track.AUDIO, self._end_ns)

    def close(self) -> None:
        """Nothing is open."""


def text_source(text: str) -> UtteranceSource:
    """Return words as a source.

    Raises:
        InputError: if there are none.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"text: got {text!r}, expected words")
    said = Utterance(text.strip(), Span(0, NS))
    return UtteranceSource(MediaInfo("text", MediaKind.TEXT, NS, text="text"), [said])


def read_pixels(image: Any, max_side: int = 1280) -> NDArray[np.uint8]:
    """Return an image as RGB uint8, (H, W, 3), upright.

    Args:
        image: a path, the bytes of an image file, a file that is open for reading, a
            `PIL.Image.Image`, or an array: RGB uint8 (H, W, 3), with alpha (H, W, 4), or grey
            (H, W).
        max_side: larger images are scaled down to this.

    Raises:
        InputError: if it is none of these, or cannot be read.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image), max_side=max_side).pixels
    if isinstance(image, (bytes, bytearray, memoryview)):
        return read_image(bytes(image), max_side=max_side).pixels
    if hasattr(image, "convert") and hasattr(image, "size"):
        from PIL import ImageOps

        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((max_side, max_side))
        return np.array(upright)
    if hasattr(image, "read"):
        return read_image(_read(image, "image"), max_side=max_side).pixels
    return _checked_pixels(np.asarray(image), type(image), max_side)


def _checked_pixels(pixels: NDArray[Any], kind: type, max_side: int) -> NDArray[np.uint8]:
    grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    coloured = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.dtype != np.uint8 or not (grey or coloured) or not pixels.size:
        got = f"{pixels.dtype} of shape {pixels.shape}" if pixels.dtype != object else kind.__name__
        raise InputError(
            f"image: got {got}, expected a path, bytes, a file, a PIL image, or RGB pixels: an "
            "array of uint8, 0 to 255, of shape (H, W, 3). OpenCV reads BGR: image[:, :, ::-1]"
        )
    from PIL import Image

    picture = Image.fromarray(pixels.reshape(pixels.shape[:2]) if grey else pixels[:, :, :3])
    picture.thumbnail((max_side, max_side))
    return np.array(picture.convert("RGB"))


@contextmanager
def sound_source(audio: Any) -> Iterator[Source]:
    """Open sound.

    Args:
        audio: a path, the bytes of a sound file, a file that is open for reading, or
            ``(samples, rate)``: samples as float in [-1, 1] or as integers, mono (n,) or
            (n, channels), and their rate in Hz.

    Raises:
        InputError: if it is none of these, or cannot be read.
    """
    if isinstance(audio, (str, os.PathLike)):
        opened = open_source(Path(audio))
        try:
            yield opened
        finally:
            opened.close()
    elif isinstance(audio, (bytes, bytearray, memoryview)) or hasattr(audio, "read"):
        data = _read(audio, "audio") if hasattr(audio, "read") else bytes(audio)
        with tempfile.NamedTemporaryFile(prefix="emofuse-", suffix=".audio") as file:
            file.write(data)
            file.flush()
            with sound_source(file.name) as opened:
                yield opened
    else:
        yield SoundSource(*_checked_sound(audio))


def _checked_sound(audio: Any) -> tuple[NDArray[np.float32], int]:
    expected = (
        "expected a path, bytes, a file, or (samples, rate): an array of shape (n,) or "
        "(n, channels), and Hz"
    )
    if not isinstance(audio, tuple) or len(audio) != 2 or not np.isscalar(audio[1]):
        raise InputError(f"audio: got {type(audio).__name__}, {expected}")
    samples, rate = np.asarray(audio[0]), int(audio[1])  # type: ignore[arg-type]
    if samples.ndim not in (1, 2) or not samples.size or samples.dtype.kind not in "iuf":
        raise InputError(f"audio: got {samples.dtype} of shape {samples.shape}, {expected}")
    if not 1000 <= rate <= 768_000:
        raise InputError(f"audio: got a rate of {rate} Hz, {expected}")
    if samples.ndim == 2 and samples.shape[1] > 32:
        raise InputError(
            f"audio: got shape {samples.shape}, {expected}; are its axes the other way round?"
        )
    wave = _scaled(samples)
    if not np.isfinite(wave).all():
        raise InputError("audio: some samples are not finite numbers; check how they were made")
    return (wave.mean(axis=1) if wave.ndim == 2 else wave).astype(np.float32), rate


def _scaled(samples: NDArray[Any]) -> NDArray[Any]:
    """Bring integers to [-1, 1) by the range of their type."""
    if samples.dtype.kind == "f":
        return samples
    info = np.iinfo(samples.dtype)
    middle = 0 if samples.dtype.kind == "i" else (info.max + 1) / 2
    return (samples.astype(np.float64) - middle) / ((info.max + 1) - middle)


def _read(file: Any, what: str) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise InputError(f'{what}: the file is open as text; open it in binary, mode "rb"')
    return data
