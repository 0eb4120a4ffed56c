from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.face.crop import FER2013, crop_face
from emofuse.face.detect import Detection
from emofuse.face.quality import crop_quality, face_quality, look

SIDE = 150.0
FACE = Detection((26.0, 28.0, SIDE, SIDE), 0.9)


@pytest.fixture
def crop(portrait: np.ndarray) -> np.ndarray:
    return crop_face(portrait, FACE)


def test_an_ordinary_good_view_is_good(crop: np.ndarray) -> None:
    assert face_quality(crop, FACE) > 0.9


def test_blur_lowers_it(crop: np.ndarray) -> None:
    blurred = [face_quality(cv2.GaussianBlur(crop, (0, 0), s), FACE) for s in (0.5, 1, 1.5, 2.5)]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[-1] < 0.2


def test_a_small_face_is_worse(portrait: np.ndarray) -> None:
    qualities = []
    for side in (96, 48, 32, 16):
        scale = side / SIDE
        picture = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small = replace(FACE, box=tuple(v * scale for v in FACE.box))
        qualities.append(face_quality(crop_face(picture, small), small))
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.9
    assert qualities[-1] < 0.35


@pytest.mark.parametrize("gain", [0.05, 0.1])
def test_darkness_lowers_it(crop: np.ndarray, gain: float) -> None:
    assert face_quality((crop * gain).astype(np.uint8), FACE) < 0.4


def test_overexposure_lowers_it(crop: np.ndarray) -> None:
    burnt = np.clip(crop.astype(int) * 2 + 100, 0, 255).astype(np.uint8)
    assert face_quality(burnt, FACE) < 0.5


def test_a_doubtful_find_is_worse(crop: np.ndarray) -> None:
    assert face_quality(crop, replace(FACE, score=0.4)) == pytest.approx(
        face_quality(crop, FACE) / 2, rel=0.05
    )


def test_a_profile_is_worse(crop: np.ndarray) -> None:
    qualities = []
    for aside in (0.0, 0.05, 0.12, 0.2, 0.3):
        points = np.array(FER2013.landmarks, np.float32)
        points[2, 0] += aside
        landmarks = (points * SIDE + FACE.box[:2]).astype(np.float32)
        qualities.append(face_quality(crop, replace(FACE, landmarks=landmarks)))
    assert qualities[0] == qualities[1] > 0.9
    assert qualities == sorted(qualities, reverse=True)
    assert 0 < qualities[-1] < 0.3


@given(
    seed=st.integers(0, 2**32 - 1),
    low=st.integers(0, 255),
    width=st.floats(0.1, 5000),
    score=st.floats(0, 1),
)
def test_it_always_lies_between_0_and_1(seed: int, low: int, width: float, score: float) -> None:
    noise = np.random.default_rng(seed).integers(low, 256, (48, 48, 3), dtype=np.uint8)
    quality = face_quality(noise, Detection((0, 0, width, width), score))
    assert 0 <= quality <= 1


def test_what_tells_why_is_told(crop: np.ndarray) -> None:
    third = replace(FACE, box=tuple(v / 3 for v in FACE.box))
    assert look(crop, third).side == pytest.approx(look(crop, FACE).side / 3, rel=0.01)
    blurred = look(cv2.GaussianBlur(crop, (0, 0), 2), FACE)
    assert blurred.details.sharpness < 0.2 < look(crop, FACE).details.sharpness


def test_a_crop_of_a_corpus_is_judged_like_one_that_was_found(crop: np.ndarray) -> None:
    assert crop_quality(crop) == pytest.approx(face_quality(crop, FACE), abs=0.1)
    assert crop_quality(cv2.GaussianBlur(crop, (0, 0), 2)) < 0.2
