"""Mouth motion: on a portrait whose mouth is opened by hand, while the face moves or not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emofuse.core.time import NS, Span
from emofuse.face.detect import Detection, HaarDetector
from emofuse.face.mouth import MouthMotion

STEP = NS // 8


@pytest.fixture(scope="module")
def portrait(media: Path) -> NDArray[np.uint8]:
    return cv2.imread(str(media / "portrait.jpg"))[..., ::-1].copy()


@pytest.fixture(scope="module")
def face(portrait: NDArray[np.uint8]) -> Detection:
    (found,) = HaarDetector().detect(portrait)
    return found


def opened(image: NDArray[np.uint8], face: Detection, how_far: float) -> NDArray[np.uint8]:
    """Open the mouth: a dark ellipse grows between the lips."""
    x, y, w, h = face.box
    out = image.copy()
    middle = (round(x + w / 2), round(y + 0.8 * h))
    axes = (round(0.16 * w), max(1, round(0.12 * h * how_far)))
    if how_far:
        cv2.ellipse(out, middle, axes, 0, 0, 360, (40, 15, 15), -1)
    return out


def film(image: NDArray[np.uint8], face: Detection, speaks: bool, moves: bool) -> list[float]:
    mouths, out = MouthMotion(), []
    for k in range(16):
        picture = opened(image, face, (k % 3) / 2) if speaks else image
        if moves:  # nods, and the light changes a little
            shift = np.array([[1, 0, 1.5 * np.sin(k)], [0, 1, 1.5 * np.cos(2 * k)]])
            picture = cv2.warpAffine(picture, shift, picture.shape[1::-1], borderMode=1)
            picture = np.clip(picture * (1 + 0.02 * np.sin(3 * k)), 0, 255).astype(np.uint8)
        at = Span(k * STEP, (k + 1) * STEP)
        motion = mouths.measure(1, picture, face, at)
        assert (motion is None) == (k == 0)
        out += [] if motion is None else [motion]
    return out


def test_a_speaking_mouth_moves_more_than_a_nodding_face(
    portrait: NDArray[np.uint8], face: Detection
) -> None:
    still, nods = film(portrait, face, False, False), film(portrait, face, False, True)
    speaks, both = film(portrait, face, True, False), film(portrait, face, True, True)
    assert max(still) < 0.01
    assert np.median(nods) < 0.12 < 0.2 < np.median(speaks)
    assert np.median(both) > 2 * np.median(nods)


def test_pictures_are_compared_over_the_same_time_whatever_their_rate(
    portrait: NDArray[np.uint8], face: Detection
) -> None:
    """At 50 pictures a second a mouth hardly moves from one to the next."""
    motions = {}
    for fps in (10, 50):
        mouths = MouthMotion()
        for k in range(fps):
            picture = opened(portrait, face, 0.5 - 0.5 * np.cos(2 * np.pi * k / fps))
            at = Span(k * NS // fps, (k + 1) * NS // fps)
            motion = mouths.measure(1, picture, face, at)
            motions.setdefault(fps, []).extend([] if motion is None else [motion])
    assert np.mean(motions[50]) == pytest.approx(np.mean(motions[10]), rel=0.2)


def test_a_face_that_was_away_is_new(portrait: NDArray[np.uint8], face: Detection) -> None:
    mouths = MouthMotion()
    assert mouths.measure(1, portrait, face, Span(0, STEP)) is None
    assert mouths.measure(2, portrait, face, Span(STEP, 2 * STEP)) is None
    assert mouths.measure(1, portrait, face, Span(STEP, 2 * STEP)) is not None
    assert mouths.measure(1, portrait, face, Span(9 * STEP, 10 * STEP)) is None
