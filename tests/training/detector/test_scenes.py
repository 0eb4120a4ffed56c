"""Made scenes: what is drawn into them is where they say it is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from emofuse.training.detector.photos import Photo
from emofuse.training.detector.scenes import SceneConfig, make_scene, moved

PLAIN = SceneConfig(
    side=128, clutter=0, cover=0, light=0, grey=0, blur=0, noise=0, jpeg=0, negative=0, grids=(1.0,)
)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
FACE = np.array([30, 20, 40, 52, 40, 38, 60, 38, 50, 50, 42, 62, 58, 62, 0.9], np.float32)


@pytest.fixture(scope="module")
def doll() -> Photo:
    """A face with five coloured dots for landmarks."""
    pixels = np.full((100, 100, 3), 128, np.uint8)
    cv2.ellipse(pixels, (50, 46), (20, 26), 0, 0, 360, (200, 160, 140), -1)
    for (x, y), colour in zip(FACE[4:14].reshape(5, 2), COLOURS, strict=True):
        cv2.circle(pixels, (int(x), int(y)), 2, colour, -1)
    return Photo("doll.png", pixels, FACE[None])


def centre_of(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray | None:
    close = np.abs(pixels.astype(int) - colour).max(axis=2) < 60
    rows, columns = np.nonzero(close)
    if len(rows) < 4 or max(np.ptp(rows), np.ptp(columns)) > 30:
        return None  # not there, or something else (the margin, say) has that colour
    return np.array([columns.mean(), rows.mean()])


def test_landmarks_lie_on_what_they_name(doll: Photo) -> None:
    """Also after rotation, stretching and mirroring; a mirrored right eye is a left eye."""
    rng = np.random.default_rng(0)
    seen, mirrored = 0, 0
    for _ in range(40):
        scene = make_scene([doll], replace(PLAIN, rotation=20.0), rng)
        points = scene.faces[0, 4:].reshape(5, 2)
        if scene.faces[0, 2] < 25 or (points < 4).any() or (points > 123).any():
            continue  # too small or too near the edge to measure the dots
        dots = [centre_of(scene.pixels, colour) for colour in COLOURS]
        if any(dot is None for dot in dots):
            continue
        flipped = dots[0][0] > dots[1][0]  # the first dot is the right eye: left in a photo
        order = (1, 0, 2, 4, 3) if flipped else range(5)
        apart = np.linalg.norm(points - np.array(dots)[list(order)], axis=1)
        assert apart.max() < 2.5
        assert points[0, 0] < points[1, 0], "the person's right eye stays on the left"
        seen, mirrored = seen + 1, mirrored + flipped
    assert seen > 10
    assert 0 < mirrored < seen


def test_a_quarter_turn_swaps_width_and_height() -> None:
    quarter = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]])
    (x, y, w, h), points = np.split(moved(FACE[None, :14], quarter)[0], [4])
    assert (w, h) == pytest.approx((52, 40))
    assert (x + w / 2, y + h / 2) == pytest.approx((100 - 46, 50))
    assert points[:2] == pytest.approx((100 - 38, 40))


def test_a_small_turn_keeps_the_box_close() -> None:
    """The corners' box would grow by a third; the head does not."""
    angle = np.radians(15)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    _, _, w, h = moved(FACE[None, :14], turn)[0, :4]
    assert 40 <= w < 44
    assert 49 < h <= 52


def test_tiny_cut_and_unsure_faces_are_not_taught(doll: Photo) -> None:
    rng = np.random.default_rng(1)
    unsure = Photo("doll.png", doll.pixels, FACE[None] * np.array([1] * 14 + [0.5], np.float32))
    assert not any(make_scene([unsure], PLAIN, rng).taught.any() for _ in range(5))
    config = replace(PLAIN, smallest=60.0, grids=(0.0, 1.0))
    for _ in range(20):
        scene = make_scene([doll], config, rng)
        size = np.sqrt(scene.faces[:, 2] * scene.faces[:, 3])
        assert not scene.taught[size < 59.9].any()


def test_negatives_show_no_face(doll: Photo) -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        scene = make_scene([doll], replace(PLAIN, negative=1.0), rng)
        assert len(scene.faces) == 0
        assert centre_of(scene.pixels, COLOURS[4]) is None, "a mouth was left over"


def test_things_are_drawn_beside_the_faces(doll: Photo) -> None:
    changed = 0
    for seed in range(10):
        bare, full = (
            make_scene([doll], replace(PLAIN, clutter=c), np.random.default_rng(seed))
            for c in (0, 1)
        )
        x, y, w, h = bare.faces[0, :4].round().astype(int)
        window = slice(max(0, y), max(0, y + h)), slice(max(0, x), max(0, x + w))
        assert np.array_equal(bare.faces, full.faces)
        assert np.abs(bare.pixels[window].astype(int) - full.pixels[window]).mean() < 6
        changed += not np.array_equal(bare.pixels, full.pixels)
    assert changed >= 5


def test_the_same_seed_makes_the_same_scene(doll: Photo) -> None:
    one, two = (make_scene([doll], SceneConfig(side=96), np.random.default_rng(5)) for _ in "ab")
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.faces, two.faces)


def test_mosaics_have_a_face_in_each_tile(doll: Photo) -> None:
    config = replace(PLAIN, grids=(0, 0, 1.0), side=192)
    scene = make_scene([doll], config, np.random.default_rng(3))
    assert len(scene.faces) == 9
    assert scene.pixels.shape == (192, 192, 3)


@pytest.mark.parametrize("wrong", [{"side": 100}, {"side": 32}, {"grids": (0.5, 0.4)}])
def test_impossible_scenes_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        SceneConfig(**wrong)
