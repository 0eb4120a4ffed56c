from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emofuse.face.detect import CompactDetector, Detector, HaarDetector, YunetDetector
from emofuse.models.store import WEIGHTS


@pytest.fixture(scope="session")
def portrait(media: Path) -> NDArray[np.uint8]:
    """One frontal face, 200 × 200, RGB."""
    return np.ascontiguousarray(cv2.imread(str(media / "portrait.jpg"))[..., ::-1])


@pytest.fixture(scope="session")
def yunet_weights(shared: Path) -> Path:
    return shared / "models" / "face_detection_yunet_2023mar.onnx"


@pytest.fixture(params=["compact", "haar", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    """Each detector in turn; YuNet where its weights are at hand."""
    if request.param == "haar":
        return HaarDetector()
    if request.param == "compact":
        return CompactDetector(WEIGHTS / "face-detector-v2.onnx")
    return YunetDetector(request.getfixturevalue("yunet_weights"))
