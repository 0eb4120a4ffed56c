"""The whole frame is searched only where something may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emofuse.core.media import Frame, Sample
from emofuse.core.time import NS
from emofuse.face.config import FaceConfig
from emofuse.face.detect import Box, CompactDetector, Detection, iou
from emofuse.face.detectors import make_detector
from emofuse.face.roi import RoiDetector
from emofuse.face.track import FaceTracker, layout
from emofuse.models.store import Store
from emofuse.sources.file import open_source

SCENE = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
BOX: Box = (100.0, 80.0, 60.0, 60.0)


class Counting:
    """A detector that sees what it is told, and counts how it looked."""

    name = "compact"

    def __init__(self, near: Sequence[Detection | None] = ()) -> None:
        self.near, self.searches = list(near), 0

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.searches += 1
        return [Detection(BOX, 0.99)]

    def detect_near(self, image: NDArray[np.uint8], box: Box) -> Detection | None:
        return self.near.pop(0) if self.near else Detection(box, 0.9)


def searches(detector: Counting, image: NDArray[np.uint8], at_ns: int, known: object) -> int:
    """Count searches of the whole frame for the second of two frames."""
    roi = RoiDetector(detector, NS)
    roi.detect(SCENE, 0, layout(SCENE), None)
    found = roi.detect(image, at_ns, layout(image), known)  # type: ignore[arg-type]
    assert found
    return detector.searches - 1


def test_a_known_face_in_a_calm_frame_is_looked_at_alone() -> None:
    assert searches(Counting(), SCENE, NS // 4, [BOX]) == 0


@pytest.mark.parametrize(
    ("near", "known", "at_ns"),
    [
        ([], None, NS // 4),  # not all faces are certain
        ([], [BOX], NS),  # long ago
        ([None], [BOX], NS // 4),  # it is not there any more
        ([Detection(BOX, 0.5)], [BOX], NS // 4),  # not plainly
        ([Detection(BOX, 0.9)] * 2, [BOX, BOX], NS // 4),  # two became one
        ([], [BOX] * 4, NS // 4),  # as dear as the whole frame
    ],
)
def test_in_doubt_the_whole_frame_is_searched(near: list, known: object, at_ns: int) -> None:
    assert searches(Counting(near), SCENE, at_ns, known) == 1


def test_who_enters_is_searched_for_but_who_moves_in_place_is_not() -> None:
    enters, moves = SCENE.copy(), SCENE.copy()
    enters[60:120, 250:290] = 255
    moves[90:200, 90:170] = 255
    assert searches(Counting(), enters, NS // 4, [BOX]) == 1
    assert searches(Counting(), moves, NS // 4, [BOX]) == 0


def test_the_embedded_detector_finds_a_face_near_its_place(portrait: np.ndarray) -> None:
    detector = make_detector("compact", Store())
    assert isinstance(detector, CompactDetector)
    face = detector.detect(portrait)[0]
    x, y, w, h = face.box
    near = detector.detect_near(portrait, (x + 0.15 * w, y - 0.1 * h, 1.1 * w, 1.1 * h))
    assert near is not None
    assert near.landmarks is not None
    assert face.landmarks is not None
    assert iou(near.box, face.box) > 0.8
    assert np.linalg.norm(near.landmarks - face.landmarks, axis=1).mean() < 0.06 * w
    assert detector.detect_near(portrait, (0.0, 0.0, w / 3, h / 3)) is None


def test_tracks_are_those_of_a_search_of_every_frame(media: Path) -> None:
    with closing(open_source(media / "comes_and_goes.mp4")) as source:
        frames = [p for p in source.packets() if isinstance(p, Frame)]
    seen = []
    for seconds in (0.0, 1.0):
        detector = make_detector("compact", Store())
        tracker = FaceTracker(detector, FaceConfig(search_seconds=seconds))
        items = [out for frame in frames for out in tracker.feed(frame)] + list(tracker.flush())
        seen.append([(s.subject, s.span) for s in items if isinstance(s, Sample)])
    assert seen[0] == seen[1]
