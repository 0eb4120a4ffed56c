"""MTCNN (Zhang et al. 2016, arXiv:1604.02878), from the package mtcnn (extra `mtcnn`).

The package carries its nets (MIT) and runs them in TensorFlow, which is large; the embedded
detector needs nothing. It is here for those who follow recipes that name it.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra
from ..models.store import Store
from .detect import Detection

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""What the package calls our landmarks; its left is the picture's."""


class MtcnnDetector:
    """Finds faces by a cascade of three nets.

    Raises:
        MissingExtra: if the package is not installed.
    """

    name: str = "mtcnn"

    def __init__(self) -> None:
        try:
            from mtcnn import MTCNN
        except ImportError as e:
            raise MissingExtra("mtcnn", "the face detector mtcnn") from e
        self._lock = threading.Lock()
        self._nets = MTCNN()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an RGB picture, uint8 (H, W, 3), surest first; [] if none."""
        if min(image.shape[:2]) < 24:  # less than its smallest face
            return []
        with self._lock:
            found = self._nets.detect_faces(np.ascontiguousarray(image))
        faces = [_detection(face) for face in found if min(face["box"][2:]) > 0]
        return sorted(faces, key=lambda face: -face.score)


def mtcnn(store: Store) -> MtcnnDetector:
    """Make the detector; the store is not needed."""
    return MtcnnDetector()


def _detection(face: dict[str, Any]) -> Detection:
    left, top, width, height = map(float, face["box"])
    points = np.array([face["keypoints"][name] for name in _POINTS], np.float32)
    return Detection((left, top, width, height), min(float(face["confidence"]), 1.0), points)
