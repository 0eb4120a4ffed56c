"""Faces carried along by optical flow."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emofuse.core.media import Frame
from emofuse.core.time import NS
from emofuse.face.detect import Detection
from emofuse.face.flow import FlowDetector
from emofuse.sources.file import FileSource

FIRST = Detection((100.0, 60.0, 90.0, 90.0), 0.9, np.full((5, 2), 120.0, np.float32))


class Script:
    """A detector that finds what it is told, and counts how often it looks."""

    name = "compact"

    def __init__(self, *finds: list[Detection]) -> None:
        self.finds, self.looks = list(finds), 0

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.looks += 1
        return list(self.finds.pop(0)) if self.finds else []


@pytest.fixture(scope="module")
def portrait(media: Path) -> NDArray[np.uint8]:
    with closing(FileSource(media / "talking.mp4", fps=25)) as source:
        picture = next(p.image for p in source.packets() if isinstance(p, Frame))
    return np.ascontiguousarray(picture)


def shifted(picture: NDArray[np.uint8], dx: int, dy: int) -> NDArray[np.uint8]:
    return np.roll(picture, (dy, dx), axis=(0, 1))


def face_in(picture: NDArray[np.uint8]) -> Detection:
    height, width = picture.shape[:2]
    side = min(height, width) / 2
    box = (width / 2 - side / 2, height / 2 - side / 2, side, side)
    return Detection(box, 0.9, np.full((5, 2), width / 2, np.float32))


def show(detector: FlowDetector, *pictures: NDArray[np.uint8]) -> list[list[Detection]]:
    """Return the answers to pictures that come 25 a second."""
    return [detector.detect(picture, n * NS // 25) for n, picture in enumerate(pictures)]


def test_a_move_between_looks_is_followed_by_box_and_landmarks(portrait: NDArray[np.uint8]) -> None:
    face = face_in(portrait)
    detector = FlowDetector(script := Script([face]), every=5)
    *_, (now,) = show(detector, *(shifted(portrait, 3 * n, 2 * n) for n in range(3)))
    assert script.looks == 1
    assert now.carried
    assert now.box[0] - face.box[0] == pytest.approx(6, abs=1)
    assert now.box[1] - face.box[1] == pytest.approx(4, abs=1)
    assert now.landmarks is not None
    assert face.landmarks is not None
    np.testing.assert_allclose(now.landmarks - face.landmarks, [[6, 4]] * 5, atol=1)


def test_a_face_that_looks_miss_is_held_for_a_moment(portrait: NDArray[np.uint8]) -> None:
    face = face_in(portrait)
    detector = FlowDetector(Script([face], [face]), every=1, hold_seconds=0.08)
    answers = show(detector, *[portrait] * 6)
    assert [len(a) for a in answers] == [1, 1, 1, 1, 0, 0]
    assert [d.carried for a in answers for d in a] == [False, False, True, True]
    assert answers[3][0].score < answers[2][0].score < face.score


def test_a_find_that_is_not_found_again_is_dropped(portrait: NDArray[np.uint8]) -> None:
    detector = FlowDetector(Script([face_in(portrait)]), every=2)
    assert [len(a) for a in show(detector, *[portrait] * 3)] == [1, 1, 0]


def test_where_pictures_are_slow_the_detector_looks_at_each(portrait: NDArray[np.uint8]) -> None:
    detector = FlowDetector(script := Script(), every=3)
    for n in range(6):
        detector.detect(portrait, n * NS // 5)
    assert script.looks == 6


def test_at_a_cut_the_detector_looks_at_once(portrait: NDArray[np.uint8]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, portrait.shape, np.uint8)
    detector = FlowDetector(script := Script([face_in(portrait)]), every=50)
    assert [len(a) for a in show(detector, portrait, noise)] == [1, 0]
    assert script.looks == 2


def test_pictures_may_change_their_size(portrait: NDArray[np.uint8]) -> None:
    small = np.ascontiguousarray(portrait[::2, ::2])
    detector = FlowDetector(Script([face_in(portrait)], [face_in(small)]), every=9)
    _, (now,) = show(detector, portrait, small)
    assert now.box == face_in(small).box
