"""What every detector must do, and what each one promises beyond."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emofuse.errors import InputError, ModelError
from emofuse.face.detect import (
    CompactConfig,
    CompactDetector,
    Detection,
    Detector,
    HaarConfig,
    HaarDetector,
    YunetDetector,
    _voted,
    iou,
    suppress,
)
from emofuse.face.detectors import DETECTORS
from emofuse.models.runtime import Session
from emofuse.models.store import WEIGHTS, ModelLocation, Store

COMPACT = WEIGHTS / "face-detector-v2.onnx"

FACE = (30.0, 30.0, 140.0, 145.0)
"""Where the portrait's face is, roughly."""


def on_canvas(picture: np.ndarray, left: int, top: int, size: tuple[int, int]) -> np.ndarray:
    canvas = np.full((size[1], size[0], 3), 120, np.uint8)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def test_it_is_a_detector(detector: Detector) -> None:
    assert isinstance(detector, Detector)
    assert detector.name in DETECTORS


def test_it_finds_the_face_of_a_portrait(detector: Detector, portrait: np.ndarray) -> None:
    (found,) = detector.detect(portrait)
    assert iou(found.box, FACE) > 0.6
    assert 0.5 < found.score <= 1


@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_are_in_pixels_of_the_picture(
    detector: Detector, portrait: np.ndarray, scale: int
) -> None:
    """Also of one that is shrunk before the search."""
    large = cv2.resize(portrait, None, fx=scale, fy=scale)
    picture = on_canvas(large, 700, 300, (1280, 720))
    (found,) = detector.detect(picture)
    x, y, w, h = (v * scale for v in FACE)
    assert iou(found.box, (700 + x, 300 + y, w, h)) > 0.5


def test_it_finds_all_faces_surest_first(detector: Detector, portrait: np.ndarray) -> None:
    picture = on_canvas(portrait, 20, 20, (640, 360))
    picture[140:340, 380:580] = portrait[:, ::-1]
    found = detector.detect(picture)
    assert len(found) == 2
    assert found[0].score >= found[1].score


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (20, 20), (1, 1), (5, 900)])
def test_where_no_face_is_it_finds_none(detector: Detector, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for picture in (np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 255, np.uint8), noise):
        assert detector.detect(picture) == []


def test_it_keeps_no_memory_and_leaves_the_picture_alone(
    detector: Detector, portrait: np.ndarray
) -> None:
    picture = portrait.copy()
    (first,) = detector.detect(picture)
    detector.detect(portrait[::-1].copy())
    (second,) = detector.detect(picture)
    assert first.box == second.box
    assert first.score == second.score
    assert np.array_equal(picture, portrait)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
    ids=["grey", "RGBA", "float"],
)
def test_what_is_no_rgb_picture_is_refused(detector: Detector, wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected|needs an RGB picture"):
        detector.detect(wrong)


def test_haar_leaves_weak_finds_out(portrait: np.ndarray) -> None:
    (found,) = HaarDetector().detect(portrait)
    assert HaarDetector(HaarConfig(min_score=found.score + 0.01)).detect(portrait) == []


@pytest.mark.parametrize("wrong", [{"side": 10}, {"min_face": 5}, {"step": 1.0}, {"min_score": 2}])
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="need"):
        HaarConfig(**wrong)


def test_an_unknown_cascade_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="cannot load OpenCV's cascade"):
        HaarDetector(HaarConfig(fine="no_such"))


@pytest.mark.parametrize("name", ["compact", "yunet"])
def test_points_are_named_by_the_persons_sides(
    name: str, request: pytest.FixtureRequest, portrait: np.ndarray
) -> None:
    if name == "compact":
        detector: Detector = CompactDetector(COMPACT)
    else:
        detector = YunetDetector(request.getfixturevalue("yunet_weights"))
    (found,) = detector.detect(portrait)
    assert found.landmarks is not None
    right_eye, left_eye, nose, mouth_right, mouth_left = found.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert mouth_right[0] < mouth_left[0]
    assert right_eye[1] < nose[1] < mouth_right[1]


def test_yunet_decodes_as_opencv_does(yunet_weights: Path, portrait: np.ndarray) -> None:
    picture = on_canvas(portrait, 130, 90, (640, 640))
    picture[330:530, 330:530] = portrait[:, ::-1]
    reference = cv2.FaceDetectorYN.create(str(yunet_weights), "", (640, 640), 0.7, 0.3)
    _, rows = reference.detect(np.ascontiguousarray(picture[..., ::-1]))
    rows = rows[np.argsort(-rows[:, 14])]
    found = YunetDetector(yunet_weights).detect(picture)
    assert len(found) == len(rows) == 2
    for detection, row in zip(found, rows, strict=True):
        np.testing.assert_allclose(detection.box, row[:4], atol=0.1)
        np.testing.assert_allclose(detection.landmarks.ravel(), row[4:14], atol=0.1)
        assert detection.score == pytest.approx(row[14], abs=1e-3)


def test_another_model_is_not_taken_for_yunet(shared: Path) -> None:
    with pytest.raises(ModelError, match="is not YuNet"):
        YunetDetector(shared / "models" / "silero_vad.onnx")


def test_the_embedded_detector_is_small_and_says_where_it_comes_from() -> None:
    store = Store(folders=[])
    card = store.card("face-detector-v2")
    assert store.location(card) is ModelLocation.EMBEDDED
    assert card.bytes <= 300_000
    assert any("YuNet" in note for note in card.notes)
    assert "experiments" in card.data[0].licence


def test_the_embedded_detector_answers_as_when_it_was_exported() -> None:
    """Each grid's surest cell, in pictures of drawn faces."""
    session = Session(COMPACT)
    with np.load(COMPACT.with_suffix(".golden.npz")) as golden:
        for i, wanted in enumerate(golden["logits"]):
            maps = session.run({session.inputs[0]: golden[f"input_{i}"][None]})
            cells = [grid[0].reshape(grid.shape[1], -1) for grid in maps]
            got = np.concatenate([c[:, c[0].argmax()] for c in cells])
            np.testing.assert_allclose(got, wanted, atol=5e-3)


def test_the_embedded_detector_finds_a_face_of_any_size(portrait: np.ndarray) -> None:
    """From 16 pixels to more than the whole picture's width."""
    detector = CompactDetector(COMPACT, CompactConfig(side=480))
    for side in (32, 64, 128, 256, 400):
        small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        picture = on_canvas(small, 41, 23, (480, 448))
        found = detector.detect(picture)
        assert len(found) == 1, side
        scale = side / 200
        x, y, w, h = (v * scale for v in FACE)
        assert iou(found[0].box, (41 + x, 23 + y, w, h)) > 0.5, side


def test_the_embedded_detector_leaves_weak_finds_out(portrait: np.ndarray) -> None:
    (found,) = CompactDetector(COMPACT).detect(portrait)
    above = CompactConfig(min_score=min(0.999, found.score + 0.01))
    assert CompactDetector(COMPACT, above).detect(portrait) == []


def test_another_model_is_not_taken_for_the_embedded_detector() -> None:
    with pytest.raises(ModelError, match="is not the embedded face detector"):
        CompactDetector(WEIGHTS / "face-v4.onnx")


@pytest.mark.parametrize(
    "wrong", [{"side": 16}, {"again": 0.5}, {"min_score": 0.0}, {"min_score": 1.0}]
)
def test_wrong_settings_of_the_embedded_detector_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="need"):
        CompactConfig(**wrong)


def test_suppression_is_greedy() -> None:
    """Against the plain definition, on crowded random boxes."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        places, sizes = rng.uniform(0, 100, (40, 2)), rng.uniform(10, 60, (40, 2))
        crowd = [
            Detection((*map(float, p), *map(float, s)), float(v))
            for p, s, v in zip(places, sizes, rng.random(40), strict=True)
        ]
        kept: list[Detection] = []
        for d in sorted(crowd, key=lambda d: -d.score):
            if all(iou(d.box, k.box) <= 0.3 and inside(d, k) <= 0.7 for k in kept):
                kept.append(d)
        assert suppress(crowd) == kept


def inside(a: Detection, b: Detection) -> float:
    """Share of the smaller box that lies in the other."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = a.box, b.box
    width = max(0.0, min(ax + aw, bx + bw) - max(ax, bx))
    height = max(0.0, min(ay + ah, by + bh) - max(ay, by))
    return width * height / min(aw * ah, bw * bh)


def test_overlapping_and_nested_finds_are_one_face() -> None:
    sure = Detection((10, 10, 100, 100), 0.9)
    shifted = Detection((20, 10, 100, 100), 0.8)
    nested = Detection((40, 40, 30, 30), 0.7)
    apart = Detection((200, 10, 100, 100), 0.6)
    assert suppress([apart, nested, shifted, sure]) == [sure, apart]


def test_a_detection_needs_a_size_and_five_points() -> None:
    with pytest.raises(ValueError, match="positive width"):
        Detection((0, 0, 0, 5), 1.0)
    with pytest.raises(ValueError, match="landmarks"):
        Detection((0, 0, 5, 5), 1.0, np.zeros((4, 2), np.float32))


def test_landmarks_are_those_of_all_finds_of_a_face() -> None:
    points = np.array([[3, 4], [7, 4], [5, 6], [4, 8], [6, 8]], np.float32)
    best = Detection((0.0, 0.0, 10.0, 10.0), 0.9, points)
    beside = Detection((0.5, 0.0, 10.0, 10.0), 0.9, points + 1)
    other = Detection((40.0, 0.0, 10.0, 10.0), 0.9, points + 40)
    voted = _voted(best, [best, beside, other])
    np.testing.assert_allclose(voted.landmarks, points + 0.5)
    assert voted.box == best.box
    np.testing.assert_array_equal(_voted(best, [best, other]).landmarks, points)
    assert _voted(best, [best]) is best


def test_mtcnn_finds_the_portraits_face_or_names_its_extra(media) -> None:
    from emofuse.errors import MissingExtra
    from emofuse.face.detectors import make_detector
    from emofuse.io.images import read_image
    from emofuse.models.store import Store

    try:
        detector = make_detector("mtcnn", Store())
    except MissingExtra as e:
        assert "pip install 'emofuse[mtcnn]'" in str(e)  # noqa: PT017
        return
    picture = read_image(media / "portrait.jpg").pixels
    (face,) = detector.detect(picture)
    assert face.score > 0.9
    assert face.landmarks is not None
    right_eye, left_eye, nose, *_ = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert detector.detect(picture[:20, :20]) == []
