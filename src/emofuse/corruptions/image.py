"""Corruptions of images: blur, light, occlusion, resolution, compression, noise.

Images are uint8, RGB (height, width, 3) or gray (height, width); where nothing else is said,
a function keeps their shape.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Fractions = tuple[float, float]


def blur(image: Image, pixels: float) -> Image:
    """Blur by a Gaussian with a standard deviation in pixels."""
    from PIL import Image as Pillow
    from PIL import ImageFilter

    return np.asarray(Pillow.fromarray(image).filter(ImageFilter.GaussianBlur(pixels)))


def motion_blur(image: Image, pixels: int, degrees: float) -> Image:
    """Blur along a straight line of an odd length in pixels, at an angle."""
    import cv2

    half = pixels // 2
    kernel = np.zeros((2 * half + 1,) * 2, np.float32)
    step = half * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    a, b = (tuple(np.rint(half + sign * step).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, a, b, 1.0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())  # type: ignore[return-value]


def low_light(image: Image, fraction: float, rng: np.random.Generator) -> Image:
    """Leave a fraction of the light, and the noise of a sensor that has little (sd 3 of 255)."""
    return _levels(image * fraction + _noise(image, rng) * 3.0)


def expose(image: Image, gain: Any, gamma: float, offset: float = 0.0) -> Image:
    """Change the exposure: gain · level ** gamma + offset, of levels from 0 to 1.

    `gain` is one number, or an array of one for each color.
    """
    levels = np.arange(256) / 255
    gains = np.atleast_1d(np.asarray(gain, float))
    curves = _levels(255 * (gains * levels[:, None] ** gamma + offset))
    if len(gains) == 1:
        return np.asarray(curves[:, 0][image])
    return np.stack([curves[:, c][image[..., c]] for c in range(len(gains))], axis=-1)


def contrast(image: Image, factor: float, brightness: float) -> Image:
    """Scale the distance from mid-gray by `factor`, and mid-gray itself by `brightness`."""
    return _levels((image - 127.5) * factor + 127.5 * brightness)


def cover(
    image: Image, rows: Fractions, columns: Fractions, level: NDArray[Any] | float | None = None
) -> Image:
    """Cover a rectangle, in fractions of height and width; by default in the mean color."""
    height, width = image.shape[:2]
    out = image.copy()
    out[
        round(rows[0] * height) : round(rows[1] * height),
        round(columns[0] * width) : round(columns[1] * width),
    ] = image.mean(axis=(0, 1)).round() if level is None else level
    return out


def cover_quarter(image: Image, rng: np.random.Generator) -> Image:
    """Cover a random square of a quarter of the area in the mean color."""
    top, left = rng.uniform(0, 0.5, 2)
    return cover(image, (top, top + 0.5), (left, left + 0.5))


def downscale(image: Image, pixels: int) -> Image:
    """Show an image `pixels` wide and high, as if it were far away."""
    from PIL import Image as Pillow

    small = Pillow.fromarray(image).resize((pixels, pixels), Pillow.Resampling.BOX)
    return np.asarray(small)


def lose_resolution(image: Image, pixels: int) -> Image:
    """Downscale a square image to a side in pixels, and enlarge it again."""
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    small = Pillow.fromarray(downscale(image, pixels))
    return np.asarray(small.resize((width, height), Pillow.Resampling.BILINEAR))


def jpeg(image: Image, quality: int) -> Image:
    """Store and read back as JPEG of a quality of 1 to 95."""
    from PIL import Image as Pillow

    packed = io.BytesIO()
    Pillow.fromarray(image).save(packed, "JPEG", quality=quality)
    with Pillow.open(packed) as stored:
        return np.asarray(stored)


def sensor_noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Add Gaussian noise of a deviation in levels (0-255), the same in all colors."""
    return _levels(image + _noise(image, rng) * deviation)


def rotate(image: Image, degrees: float) -> Image:
    """Rotate about the middle; what was outside repeats the edge."""
    from scipy import ndimage

    turned = ndimage.rotate(image, degrees, reshape=False, order=1, mode="nearest")
    return np.asarray(turned, np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> NDArray[np.float64]:
    noise = rng.standard_normal(image.shape[:2])
    return noise[..., None] if image.ndim == 3 else noise


def _levels(values: NDArray[np.floating[Any]]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
