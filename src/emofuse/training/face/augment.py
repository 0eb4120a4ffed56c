"""Changes to training faces, always before `prepare`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ...corruptions import image
from ...corruptions.image import Image

Faces = NDArray[np.uint8]  # gray, (n, side, side), or RGB, (n, side, side, 3)


@dataclass(frozen=True, slots=True)
class FaceAugmentation:
    """How far faces are changed; every probability is per face.

    Args:
        rotation: largest rotation to either side, degrees.
        scale: largest relative change of size.
        shift: largest shift, in fractions of the side.
        light: probability of another exposure (gamma 0.5-2, gain 0.4-1.3).
        noise: probability of sensor noise (deviation 2-12 levels).
        blur: probability of being seen from further away (16-36 pixels).
        jpeg: probability of strong JPEG compression (quality 15-60).
        erase: probability that a rectangle (up to half the side) is covered.
    """

    rotation: float = 15.0
    scale: float = 0.15
    shift: float = 0.08
    light: float = 0.25
    noise: float = 0.15
    blur: float = 0.15
    jpeg: float = 0.1
    erase: float = 0.2

    def __call__(self, faces: Faces, rng: np.random.Generator) -> Faces:
        """Return changed faces of the same shape and type."""
        out = _warp(faces, self, rng)
        for chance, change in (
            (self.light, _relight),
            (self.noise, _add_noise),
            (self.blur, _recede),
            (self.jpeg, _compress),
            (self.erase, _erase),
        ):
            for i in np.flatnonzero(rng.random(len(out)) < chance):
                out[i] = change(out[i], rng)
        return out


def _warp(faces: Faces, config: FaceAugmentation, rng: np.random.Generator) -> Faces:
    """Mirror, rotate, scale and shift; the border is continued outwards."""
    n = len(faces)
    angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation, n))
    zoom = 1 + rng.uniform(-config.scale, config.scale, n)
    mirror = rng.choice([-1.0, 1.0], n)
    matrix = np.empty((n, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * mirror * zoom, -np.sin(angle) * zoom
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * mirror * zoom, np.cos(angle) * zoom
    matrix[:, :, 2] = 2 * rng.uniform(-config.shift, config.shift, (n, 2))
    levels = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
    pixels = torch.from_numpy(levels.astype(np.float32))
    grid = F.affine_grid(torch.from_numpy(matrix), list(pixels.shape), align_corners=False)
    warped = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False).numpy()
    rounded = np.clip(np.rint(warped), 0, 255).astype(np.uint8)
    return rounded[:, 0] if faces.ndim == 3 else rounded.transpose(0, 2, 3, 1)


def _relight(face: Image, rng: np.random.Generator) -> Image:
    gamma, gain = np.exp2(rng.uniform(-1, 1)), rng.uniform(0.4, 1.3)
    return image.expose(face, gain, gamma)


def _add_noise(face: Image, rng: np.random.Generator) -> Image:
    return image.sensor_noise(face, rng.uniform(2, 12), rng)


def _recede(face: Image, rng: np.random.Generator) -> Image:
    return image.lose_resolution(face, int(rng.integers(16, 37)))


def _compress(face: Image, rng: np.random.Generator) -> Image:
    return image.jpeg(face, int(rng.integers(15, 61)))


def _erase(face: Image, rng: np.random.Generator) -> Image:
    size = rng.uniform(1 / 6, 1 / 2, 2)
    low = rng.uniform(0, 1 - size)
    (top, left), (bottom, right) = low, low + size
    return image.cover(face, (top, bottom), (left, right), float(rng.integers(0, 256)))
