"""The faces of an image, in pixels: what the adapters for faces are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analyzer import Analyzer, AnalyzerConfig
from ..core.details import FaceDetails
from ..core.estimates import Estimate, Modality
from ..observe import Observer
from ..sources.memory import PictureSource, read_pixels

EKMAN = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The labels of FER2013 in its order, as other libraries name them. They know no contempt."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face of an image.

    Args:
        box: left, top, width and height in pixels.
        emotions: label of `EKMAN` → probability; they sum to 1.
        quality: how good the view is, in [0, 1].
    """

    box: tuple[int, int, int, int]
    emotions: dict[str, float]
    quality: float

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.emotions, key=lambda label: self.emotions[label])


@lru_cache(maxsize=1)
def shared_observer() -> Observer:
    """Return an observer of faces that all calls share: these libraries load models once, too."""
    return Observer(Analyzer(AnalyzerConfig(modalities=(Modality.FACE,))))


def find_faces(image: Any, observer: Observer | None = None) -> list[Face]:
    """Find the faces of an image and read them.

    Args:
        image: anything but an array: see `read_pixels`. Arrays are BGR, as OpenCV reads them.
        observer: default: `shared_observer`.

    Raises:
        InputError: if it cannot be read.
    """
    pixels = to_rgb(image)
    height, width = pixels.shape[:2]
    found = (observer or shared_observer()).read(PictureSource(pixels), (Modality.FACE,))
    return [_face(e, width, height) for e in found]


def whole(image: Any, observer: Observer | None = None) -> Face:
    """Read an image that is nothing but a face."""
    pixels = to_rgb(image)
    seen = (observer or shared_observer()).observe(image=pixels, face_crop=True)["face"]
    return _face(seen, pixels.shape[1], pixels.shape[0])


def to_rgb(image: Any) -> NDArray[np.uint8]:
    """Read an image; an array of colours is taken for BGR."""
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3:
        image = np.ascontiguousarray(image[:, :, ::-1])
    return read_pixels(image, max_side=1 << 15)


def _face(e: Estimate, width: int, height: int) -> Face:
    details = e.find_details(FaceDetails)
    x, y, w, h = (details.box if details else None) or (0.0, 0.0, 1.0, 1.0)
    box = (round(x * width), round(y * height), round(w * width), round(h * height))
    known = dict(e.probabilities.items())
    total = sum(known.get(label, 0.0) for label in EKMAN) or 1.0
    return Face(box, {label: known.get(label, 0.0) / total for label in EKMAN}, e.quality)
