"""Corruptions of images do what their names say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.corruptions import image


@pytest.fixture(scope="module")
def face(media: Path) -> np.ndarray:
    with Image.open(media / "portrait.jpg") as image:
        return np.asarray(image.convert("RGB").resize((64, 64)))


def test_blur_takes_detail_away(face: np.ndarray) -> None:
    def detail(x: np.ndarray) -> float:
        return float(np.abs(np.diff(x.astype(float), axis=0)).mean())

    assert detail(image.blur(face, 2)) < detail(image.blur(face, 1)) < detail(face)
    assert image.blur(face, 1).shape == face.shape


def test_low_light_is_dark_and_noisy(face: np.ndarray) -> None:
    dark = image.low_light(face, 0.25, np.random.default_rng(0))
    assert dark.mean() == pytest.approx(face.mean() / 4, rel=0.1)
    noise = dark.astype(float) - face / 4
    assert 2 < noise.std() < 4


def test_occlusion_covers_what_it_says(face: np.ndarray) -> None:
    masked = image.cover(face, (0.5, 1.0), (0.0, 1.0))
    np.testing.assert_array_equal(masked[:32], face[:32])
    assert np.ptp(masked[32:], axis=(0, 1)).max() == 0
    changed = (image.cover_quarter(face, np.random.default_rng(3)) != face).any(axis=2).mean()
    assert 0.2 < changed <= 0.26


def test_small_faces_are_small(face: np.ndarray) -> None:
    small = image.downscale(face, 16)
    assert small.shape == (16, 16, 3)
    np.testing.assert_allclose(small.mean(), face.mean(), atol=1)


def test_jpeg_noise_rotation_contrast(face: np.ndarray) -> None:
    def error(x: np.ndarray) -> float:
        return float(np.abs(x.astype(float) - face).mean())

    assert 0 < error(image.jpeg(face, 90)) < error(image.jpeg(face, 10))
    flat = np.full_like(face, 128)
    assert image.sensor_noise(flat, 10, np.random.default_rng(0)).std() == pytest.approx(
        10, rel=0.1
    )
    turned = image.rotate(face, 20)
    back = image.rotate(turned, -20)
    middle = np.s_[20:44, 20:44]
    assert np.abs(back[middle].astype(float) - face[middle]).mean() < error(turned) / 2
    assert image.contrast(face, 0.5, 1.0).std() == pytest.approx(face.std() / 2, rel=0.05)


def test_motion_blurs_along_its_direction() -> None:
    dot = np.zeros((21, 21, 3), np.uint8)
    dot[10, 10] = 255
    lit = image.motion_blur(dot, 5, 0).any(axis=2)
    assert lit[10].sum() == 5
    assert lit.sum() == 5


def test_exposure_changes_gray_and_each_color(face: np.ndarray) -> None:
    gray = face[..., 0]
    np.testing.assert_allclose(image.expose(gray, 0.5, 1.0), gray / 2, atol=0.51)
    tinted = image.expose(face, np.array([1.0, 0.5, 0.0]), 1.0)
    np.testing.assert_array_equal(tinted[..., 0], face[..., 0])
    assert tinted[..., 2].max() == 0
    assert image.expose(face, 1.0, 2.0).mean() < face.mean()


def test_resolution_is_lost_but_not_size(face: np.ndarray) -> None:
    coarse = image.lose_resolution(face, 16)
    assert coarse.shape == face.shape
    assert np.abs(np.diff(coarse.astype(float), axis=0)).mean() < (
        np.abs(np.diff(face.astype(float), axis=0)).mean()
    )
