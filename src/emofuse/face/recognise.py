"""From a face crop to scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser


@dataclass(frozen=True, slots=True)
class FacePreparation:
    """How a face crop becomes a row of numbers; training and inference share it.

    The crop is made grey, brought to `side` × `side` and standardised: less its
    own mean, divided by its own deviation. Exposure and gain of a camera drop
    out that way.

    Args:
        side: side of the prepared face in pixels.
        floor: smallest deviation (in grey levels of 0-255) that is divided by, so
            that the noise of a flat crop is not blown up.
    """

    side: int = 48
    floor: float = 8.0

    def __post_init__(self) -> None:
        if self.side < 8 or not self.floor > 0:
            raise ValueError(f"need side >= 8 and floor > 0, got {self}")

    def __call__(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepare one crop: RGB uint8, (side', side', 3) → float32, (1, side, side).

        Raises:
            InputError: if it is not an RGB uint8 image.
        """
        row: NDArray[np.float32] = self.normalise(self.grey(crop)[None])[0]
        return row

    def grey(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Make an RGB crop grey (Rec. 601 luma) and resize it: uint8, (side, side)."""
        import cv2

        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or crop.size == 0:
            raise InputError(
                f"a face crop must be RGB uint8 of shape (H, W, 3), got {crop.dtype} {crop.shape}"
            )
        grey: Any = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        if grey.shape != (self.side, self.side):
            # Area averaging does not alias when it shrinks, and is blocky when it grows.
            shrinks = min(grey.shape) > self.side
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            grey = cv2.resize(grey, (self.side, self.side), interpolation=how)
        out: NDArray[np.uint8] = grey
        return out

    def normalise(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Standardise grey faces, each by itself: (n, side, side) → (n, 1, side, side)."""
        levels = faces.astype(np.float32)[:, None]
        levels -= levels.mean(axis=(2, 3), keepdims=True)
        deviation = levels.std(axis=(2, 3), keepdims=True)
        levels /= np.maximum(deviation, np.float32(self.floor))
        return levels


class FaceRecogniser(OnnxRecogniser):
    """Reads the expression of one face.

    Its card's `preparation` holds ``side``, ``floor`` (see `FacePreparation`) and
    ``crop``, the name of the crop geometry the model was trained with.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        super().__init__(card, files, threads)
        p = card.preparation
        self.preparation = FacePreparation(int(p["side"]), float(p["floor"]))

    def prepare(self, sample: Any) -> NDArray[np.float32]:
        """Turn an aligned RGB uint8 crop into float32 (1, side, side)."""
        return self.preparation(sample)
