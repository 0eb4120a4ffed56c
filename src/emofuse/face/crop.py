"""How a face is cut out of a picture, alike in training and in use.

A model learns faces at one size and place in the crop. FER2013's crops are what
the embedded model was trained on, so crops in use are made like them: this file
holds where FER2013's crops have eyes, nose and mouth, as measured by
`benchmarks/crop_geometry.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.card import Card
from .detect import Detection

CROP_SIDE = 48
"""Side of a crop in pixels: FER2013's."""

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class CropGeometry:
    """Where a face lies in a crop.

    Args:
        name: as in the card of a model that was trained on such crops.
        landmarks: x and y of right eye, left eye, nose tip, right and left corner
            of the mouth, in fractions of the crop.
        box_scale: side of the crop in widths of a box without landmarks, as the
            Haar cascade draws it around a frontal face.
        box_shift: centre of the crop from the centre of that box, right and down,
            in widths of the box.
    """

    name: str
    landmarks: Points
    box_scale: float
    box_shift: tuple[float, float]

    def wider(self, margin: float) -> CropGeometry:
        """Return the geometry with more around the face: `margin` sides of the crop each way."""
        if not margin:
            return self
        scale = 1 + 2 * margin
        points = tuple(
            ((x - 0.5) / scale + 0.5, (y - 0.5) / scale + 0.5) for x, y in self.landmarks
        )
        return CropGeometry(
            f"{self.name}+{margin:g}", points, self.box_scale * scale, self.box_shift
        )


FER2013 = CropGeometry(
    name="fer2013",
    landmarks=((0.31, 0.384), (0.69, 0.384), (0.5, 0.616), (0.342, 0.763), (0.658, 0.763)),
    box_scale=1.03,
    box_shift=(0.0, 0.0),
)
"""The crops of FER2013 (Goodfellow et al. 2013).

Measured on its training faces; single faces scatter around these points by 0.07
to 0.09 of the crop. A crop is the Haar box itself, give or take: 1.04 widths of it
as measured on natural photos, 1.01 on FER2013's own faces, and not moved by more
than 0.005 widths.
"""


ARCFACE = CropGeometry(
    name="arcface",
    landmarks=tuple(
        (x / 112, y / 112)
        for x, y in (
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        )
    ),
    box_scale=1.24,
    box_shift=(0.0, -0.07),
)
"""The 112 × 112 crops of face recognition (InsightFace; Deng et al. 2019, ArcFace).

Their makers give the landmarks. The box follows from these and from `FER2013`'s.
"""


GEOMETRIES = {geometry.name: geometry for geometry in (FER2013, ARCFACE)}
"""The geometries that a card may name."""


@dataclass(frozen=True, slots=True)
class CropStyle:
    """How a model wants its faces cut out.

    Args:
        geometry: where a face lies in the crop.
        side: of the crop in pixels: at least what the model looks at, so that a model of
            large pictures is not given enlarged small ones.
    """

    geometry: CropGeometry = FER2013
    side: int = CROP_SIDE

    @classmethod
    def of_card(cls, card: Card) -> CropStyle:
        """Read it from a card's preparation: ``crop``, ``margin`` and ``side``.

        ``margin`` is how much more is to be seen on each side, in sides of the crop.

        Raises:
            ModelError: if the card names an unknown geometry.
        """
        p = card.preparation
        name = p.get("crop", FER2013.name)
        if name not in GEOMETRIES:
            raise ModelError(
                f"card {card.id!r} wants its faces cut out like {name!r}; there are "
                f"{', '.join(GEOMETRIES)}"
            )
        side = p.get("side", CROP_SIDE)
        wider = GEOMETRIES[name].wider(float(p.get("margin", 0.0)))
        return cls(wider, max(CROP_SIDE, side if isinstance(side, int) else CROP_SIDE))


USUAL = CropStyle()
"""The crops of the embedded model."""


def crop_face(
    image: NDArray[np.uint8],
    detection: Detection,
    geometry: CropGeometry = FER2013,
    side: int = CROP_SIDE,
    finest: int | None = None,
) -> NDArray[np.uint8]:
    """Cut a face out of an RGB picture: uint8 (H, W, 3) → uint8 (side, side, 3).

    With landmarks the face is turned upright, scaled and moved so that they lie
    as near as possible (least squares) to the geometry's; without, the crop is
    a square around the box. Beyond the picture's edge its border is repeated.

    Args:
        image: the whole picture.
        detection: where the face is in it.
        geometry: where the face shall lie in the crop.
        side: of the crop, in pixels.
        finest: average at most so many samples along a side of a pixel; None: as many
            as the picture has pixels there. Time grows with its square.
    """
    matrix = crop_matrix(detection, geometry)
    # A crop pixel stands for the mean of the pixels that it covers: cut out at
    # full resolution, then average. Sampling single points would alias. A large face is
    # averaged before it is turned, too, which is much faster.
    samples = max(1, round(crop_side(detection, geometry) / side))
    if samples >= 4 and (finest is None or finest >= samples):
        image, matrix = _shrunk(image, matrix, samples // 2)
        samples = math.ceil(samples / (samples // 2))
    fine = side * (samples if finest is None else min(samples, finest))
    to_pixels = matrix * fine
    to_pixels[:, 2] += to_pixels[:, :2].sum(axis=1) / 2 - 0.5  # pixel i's centre is at i + ½
    crop = cv2.warpAffine(
        image,
        to_pixels,
        (fine, fine),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    out = crop if fine == side else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(out, np.uint8)


def _shrunk(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of a picture that a crop shows, `factor` times smaller, and its matrix."""
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ back[:, :2].T + back[:, 2]
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2 * factor, 0, size)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2 * factor, 0, size)
    width, height = (high - low) // factor
    if min(width, height) < 1:
        return image, matrix
    part = image[low[1] : low[1] + height * factor, low[0] : low[0] + width * factor]
    small = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    moved = matrix[:, :2] @ low + matrix[:, 2]
    return np.asarray(small, np.uint8), np.column_stack((matrix[:, :2] * factor, moved))


@lru_cache(maxsize=32)
def crop_matrix(detection: Detection, geometry: CropGeometry = FER2013) -> NDArray[np.float64]:
    """Return the map from pixels of the picture to fractions of the crop, shape (2, 3).

    A similarity: turn, scale, move. Not to be written to: crop, mouth and quality share it.
    """
    if detection.landmarks is not None:
        return similarity(detection.landmarks, np.asarray(geometry.landmarks))
    x, y, w, h = detection.box
    side = w * geometry.box_scale
    left = x + w / 2 + w * geometry.box_shift[0] - side / 2
    top = y + h / 2 + w * geometry.box_shift[1] - side / 2
    return np.array([[1 / side, 0.0, -left / side], [0.0, 1 / side, -top / side]])


def crop_side(detection: Detection, geometry: CropGeometry = FER2013) -> float:
    """Return the length of the crop's side in pixels of the picture."""
    matrix = crop_matrix(detection, geometry)
    return 1 / math.hypot(matrix[0, 0], matrix[1, 0])


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the similarity, shape (2, 3), that takes points (n, 2) nearest to others (n, 2).

    Least squares (Umeyama 1991, without mirroring). With points as complex numbers
    about their means, turn and scale are one factor: the regression of target on
    source.

    Raises:
        ValueError: if all source points coincide.
    """
    s, t = (points.astype(np.float64) @ (1, 1j) for points in (source, target))
    centred = s - s.mean()
    spread = float(np.vdot(centred, centred).real)
    if spread == 0:
        raise ValueError("a similarity needs source points that differ")
    factor = np.vdot(centred, t) / spread
    shift = t.mean() - factor * s.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )
