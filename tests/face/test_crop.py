from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.face.crop import CROP_SIDE, FER2013, crop_face, crop_matrix, crop_side, similarity
from emofuse.face.detect import Detection, HaarDetector, YunetDetector

TEMPLATE = np.array(FER2013.landmarks)


def placed(side: float, angle: float, centre: tuple[float, float]) -> np.ndarray:
    """The template's points for a crop of `side` pixels, turned, around a centre."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((TEMPLATE - 0.5) * side @ turn.T + centre).astype(np.float32)


@given(
    side=st.floats(20, 800),
    angle=st.floats(-3, 3),
    x=st.floats(-200, 2000),
    y=st.floats(-200, 2000),
)
def test_a_similarity_is_recovered(side: float, angle: float, x: float, y: float) -> None:
    detection = Detection((x, y, side, side), 1.0, placed(side, angle, (x, y)))
    matrix = crop_matrix(detection)
    np.testing.assert_allclose(
        detection.landmarks @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=2e-3
    )
    assert crop_side(detection) == pytest.approx(side, rel=1e-3)


def test_points_that_coincide_have_no_similarity() -> None:
    with pytest.raises(ValueError, match="differ"):
        similarity(np.ones((5, 2)), TEMPLATE)


@pytest.mark.parametrize("side", [30, 96, 300])
@pytest.mark.parametrize("angle", [0.0, 0.5, -0.4])
def test_the_points_come_to_lie_on_the_template(side: int, angle: float) -> None:
    points = placed(side, angle, (330.5, 240.25))
    y, x = np.mgrid[:480, :640] + 0.5
    # A blob at each point; their common centre of mass per blob tells where it went.
    for point, wanted in zip(points, TEMPLATE, strict=True):
        blob = np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * (side / 16) ** 2))
        picture = np.repeat((blob * 255).astype(np.uint8)[..., None], 3, axis=2)
        crop = crop_face(picture, Detection((0, 0, 1, 1), 1.0, points))[..., 0].astype(float)
        rows, columns = np.mgrid[:CROP_SIDE, :CROP_SIDE] + 0.5
        found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        np.testing.assert_allclose(found, wanted * CROP_SIDE, atol=0.35)


def test_a_box_becomes_a_square_around_it() -> None:
    detection = Detection((100, 50, 80, 80), 1.0)
    matrix = crop_matrix(detection)
    centre = matrix[:, :2] @ (140, 90) + matrix[:, 2]
    np.testing.assert_allclose(centre, 0.5 - np.array(FER2013.box_shift) / FER2013.box_scale)
    assert crop_side(detection) == pytest.approx(80 * FER2013.box_scale)


def test_shrinking_averages() -> None:
    """A fine chequerboard turns grey; sampling points would turn it into stripes."""
    y, x = np.mgrid[:720, :720]
    board = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    crop = crop_face(board, Detection((100, 100, 480, 480), 1.0))
    assert crop.std() < 12
    assert crop.mean() == pytest.approx(127.5, abs=3)


def test_fewer_samples_see_the_same_face(portrait: np.ndarray) -> None:
    side = min(portrait.shape[:2])
    detection = Detection((0.0, 0.0, side, side), 1.0)
    exact, quick = (crop_face(portrait, detection, finest=n) for n in (None, 2))
    assert side > 4 * CROP_SIDE  # else both would average alike
    assert np.abs(exact.astype(float) - quick).mean() < 3
    np.testing.assert_array_equal(exact, crop_face(portrait, detection, finest=1000))


def test_beyond_the_edge_the_border_goes_on() -> None:
    picture = np.full((100, 100, 3), (200, 10, 90), np.uint8)
    crop = crop_face(picture, Detection((-40, 60, 90, 90), 1.0))
    assert crop.shape == (CROP_SIDE, CROP_SIDE, 3)
    assert (crop == (200, 10, 90)).all()


def test_colours_and_picture_stay_as_they_are(portrait: np.ndarray) -> None:
    before = portrait.copy()
    crop = crop_face(portrait, Detection((50, 60, 96, 96), 1.0))
    assert crop.dtype == np.uint8
    assert np.array_equal(portrait, before)
    part = portrait[60:156, 50:146]
    np.testing.assert_allclose(crop.mean(axis=(0, 1)), part.mean(axis=(0, 1)), atol=5)


def test_both_detectors_lead_to_like_crops(yunet_weights: Path, portrait: np.ndarray) -> None:
    """The measured relation holds: what Haar boxes and what YuNet's points give agree."""
    (boxed,) = HaarDetector().detect(portrait)
    (pointed,) = YunetDetector(yunet_weights).detect(portrait)
    assert crop_side(boxed) == pytest.approx(crop_side(pointed), rel=0.15)
    one, other = (crop_face(portrait, d).astype(float).ravel() for d in (boxed, pointed))
    assert np.corrcoef(one, other)[0, 1] > 0.65
