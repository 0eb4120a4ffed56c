"""How good a view of a face is: size, sharpness, light, pose, and the detector's trust."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.details import FaceDetails
from .crop import FER2013, CropGeometry, crop_matrix, crop_side
from .detect import Detection

GOOD_SIDE = 48.0
"""Pixels of the frame across a crop from which size is no obstacle: the net sees no more."""

BLURRED, SHARP = 0.01, 0.2
"""Sharpness (see `sharpness`) that counts as 0 and as 1.

FER2013's training faces have 0.75 (median; 1 % below 0.23); blurred by a Gaussian of
1 pixel of the crop 0.07, of 2 pixels 0.01.
"""

GOOD_CONTRAST = 30.0
"""Grey levels of standard deviation that count as 1; 97 % of FER2013's faces have more."""

CLIPPED_FROM, CLIPPED_TO = 0.2, 0.8
"""Share of black or white pixels that counts as 1 and as 0; 95 % of FER2013 have less than 0.2."""

FRONTAL, PROFILE = 0.15, 0.6
"""How far the nose is off the middle, in distances between the eyes; FER2013 has half turns."""

GOOD_SCORE = 0.8
"""Detector score that counts as 1."""


SURE = 1.0
"""Score of a detection that was not made but is known: of a corpus' crop."""


@dataclass(frozen=True, slots=True)
class View:
    """How good a view of a face is.

    Args:
        quality: as evidence, in [0, 1].
        side: pixels of the frame across the crop.
        sharpness: in [0, 1]: 0 blurred, 1 as sharp as a face of that many pixels is.
    """

    quality: float
    side: float
    sharpness: float

    @property
    def details(self) -> FaceDetails:
        """What an estimate keeps of it, to say why it is doubted."""
        return FaceDetails(side=round(self.side, 1), sharpness=round(self.sharpness, 3))


def face_quality(
    crop: NDArray[np.uint8], detection: Detection, geometry: CropGeometry = FER2013
) -> float:
    """Return how good the evidence in a face crop is, in [0, 1]; see `look`."""
    return look(crop, detection, geometry).quality


def crop_quality(crop: NDArray[np.uint8], geometry: CropGeometry = FER2013) -> float:
    """Return the quality of a crop of which no more is known, such as a corpus' face."""
    side = min(crop.shape[:2]) / geometry.box_scale
    return face_quality(crop, Detection((0.0, 0.0, side, side), SURE), geometry)


def look(crop: NDArray[np.uint8], detection: Detection, geometry: CropGeometry = FER2013) -> View:
    """Measure how good a view of a face is as evidence.

    The quality is the product of five factors, each in [0, 1] and 1 for an ordinary
    good view:

    - size: pixels of the frame across the crop, over `GOOD_SIDE`;
    - sharpness: on a logarithmic scale from `BLURRED` to `SHARP`;
    - light: contrast over `GOOD_CONTRAST`, times how little is black or white;
    - pose: 1 while the nose stays within `FRONTAL` of midway between the eyes, then
      falling to 0.1 in profile; 1 without landmarks, since detectors without them
      find frontal faces only;
    - trust: the detector's score over `GOOD_SCORE`.

    Args:
        crop: RGB uint8, as `crop_face` makes it.
        detection: what it was made from.
        geometry: how it was made.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    clipped = float(np.mean((grey < 8) | (grey > 247)))
    side = crop_side(detection, geometry)
    sharp = np.log(max(sharpness(grey), BLURRED) / BLURRED) / np.log(SHARP / BLURRED)
    factors = (
        side / GOOD_SIDE,
        sharp,
        float(grey.std()) / GOOD_CONTRAST,
        (CLIPPED_TO - clipped) / (CLIPPED_TO - CLIPPED_FROM),
        _frontality(detection, geometry),
        detection.score / GOOD_SCORE,
    )
    quality = float(np.prod(np.clip(factors, 0.0, 1.0)))
    return View(quality, side, float(np.clip(sharp, 0.0, 1.0)))


def sharpness(grey: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian over the variance: 0 if flat, larger if sharper.

    Dividing makes it independent of contrast; that crops are of one size makes it
    comparable between faces (Pech-Pacheco et al. 2000 for the numerator).
    """
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(float(grey.var()), 1.0))


def _frontality(detection: Detection, geometry: CropGeometry) -> float:
    if detection.landmarks is None:
        return 1.0
    matrix = crop_matrix(detection, geometry)  # turned upright
    right, left, nose = (detection.landmarks[:3] @ matrix[:, :2].T + matrix[:, 2])[:, 0]
    aside = abs(nose - (right + left) / 2) / max(float(left - right), 1e-6)
    return float(np.interp(aside, (FRONTAL, PROFILE), (1.0, 0.1)))
