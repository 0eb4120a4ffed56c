"""Making training data more varied, always before `prepare` (mixup alone comes after)."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .loop import Batch

Faces = NDArray[np.uint8]  # grey, (n, side, side), or RGB, (n, side, side, 3)


@dataclass(frozen=True, slots=True)
class FaceAugmentation:
    """How far faces are changed; every probability is per face.

    Args:
        rotation: largest rotation to either side, degrees.
        scale: largest relative change of size.
        shift: largest shift, in shares of the side.
        light: probability of another exposure (gamma 0.5-2, gain 0.4-1.3).
        noise: probability of sensor noise (deviation up to 12 grey levels).
        blur: probability of being seen from further away (down to 16-36 pixels).
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
            (self.erase, _cover),
        ):
            _change_some(out, chance, change, rng)
        return out


def mixup(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """FusionDetails each sample with another one of the batch (Zhang et al. 2018).

    The blend's share is drawn from Beta(alpha, alpha), once per sample; a label is
    known in the blend if either sample knows it. `alpha` = 0 changes nothing.
    """
    if not alpha:
        return batch
    n = len(batch.target)
    share = torch.from_numpy(rng.beta(alpha, alpha, n).astype(np.float32))
    other = torch.from_numpy(rng.permutation(n))

    def blend(x: Tensor) -> Tensor:
        weight = share.view(-1, *[1] * (x.ndim - 1))
        return x * weight + x[other] * (1 - weight)

    mask = None if batch.mask is None else batch.mask | batch.mask[other]
    return replace(
        batch, inputs=tuple(blend(x) for x in batch.inputs), target=blend(batch.target), mask=mask
    )


def _change_some(
    faces: Faces,
    chance: float,
    change: Callable[[Faces, np.random.Generator], Faces],
    rng: np.random.Generator,
) -> None:
    chosen = np.flatnonzero(rng.random(len(faces)) < chance)
    if len(chosen):
        faces[chosen] = change(faces[chosen], rng)


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
    levels = _channels_first(faces)
    grid = F.affine_grid(torch.from_numpy(matrix), list(levels.shape), align_corners=False)
    warped = F.grid_sample(levels, grid, padding_mode="border", align_corners=False)
    return _pixels(warped, faces)


def _relight(faces: Faces, rng: np.random.Generator) -> Faces:
    each = (len(faces), *[1] * (faces.ndim - 1))
    gamma = np.exp2(rng.uniform(-1, 1, each))
    gain = rng.uniform(0.4, 1.3, each)
    return _levels(255 * gain * (faces / 255.0) ** gamma)


def _add_noise(faces: Faces, rng: np.random.Generator) -> Faces:
    each = (len(faces), *[1] * (faces.ndim - 1))
    deviation = rng.uniform(2, 12, each).astype(np.float32)
    return _levels(faces + deviation * rng.standard_normal(faces.shape, np.float32))


def _recede(faces: Faces, rng: np.random.Generator) -> Faces:
    side, small = faces.shape[1], int(rng.integers(16, 37))
    coarse = F.interpolate(_channels_first(faces), size=small, mode="area")
    back = F.interpolate(coarse, size=side, mode="bilinear", align_corners=False)
    return _pixels(back, faces)


def _compress(faces: Faces, rng: np.random.Generator) -> Faces:
    from PIL import Image

    out = np.empty_like(faces)
    for i, face in enumerate(faces):
        file = io.BytesIO()
        Image.fromarray(face).save(file, "JPEG", quality=int(rng.integers(15, 61)))
        out[i] = np.asarray(Image.open(file))
    return out


def _cover(faces: Faces, rng: np.random.Generator) -> Faces:
    side = faces.shape[1]
    out = faces.copy()
    for face in out:
        height, width = rng.integers(side // 6, side // 2 + 1, 2)
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        face[top : top + height, left : left + width] = rng.integers(0, 256)
    return out


def _channels_first(faces: Faces) -> Tensor:
    """Return faces as float32 (n, channels, side, side)."""
    levels = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
    return torch.from_numpy(levels.astype(np.float32))


def _pixels(levels: Tensor, like: Faces) -> Faces:
    """Return what `_channels_first` made as faces again."""
    values = levels.numpy()
    return _levels(values[:, 0] if like.ndim == 3 else values.transpose(0, 2, 3, 1))


def _levels(values: NDArray[np.floating]) -> Faces:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
