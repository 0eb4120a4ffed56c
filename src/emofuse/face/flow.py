"""Faces carried from frame to frame by optical flow, where nobody may wait for a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.time import to_ns
from .detect import Detection, Detector, iou

_SIDE = 320  # pixels of the frame's long side in which flow is searched
_POINTS = 24  # most corners followed in a face
_ENOUGH = 6  # least corners that must agree
_STRAY = 1.0  # pixels by which a corner may miss itself on the way there and back
_SAME = 0.3  # least IoU of a face carried along and one found anew
_FADE = 0.9  # factor on the score of a face that was looked for and not found
_LONGEST_NS = to_ns(0.09)  # without a look: slow frames are each looked at


class FlowDetector:
    """Looks with a detector at every n-th frame and carries its finds along between.

    Corners inside a face are followed by pyramidal Lucas–Kanade (Bouguet 2000) there
    and back (Kalal et al. 2010: what doesn't return is lost); the median of their
    moves and of the ratios of their distances moves and scales box and landmarks.
    Where the detector misses a face that it found before, it is carried on for a
    moment. A cut loses all corners, and the detector looks at once.

    Unlike interpolation between two looks (see `FaceTracker`) nothing waits for the
    next look. It has a memory: one for each stream.

    Args:
        detector: finds the faces.
        every: it looks at every n-th frame, and at any that comes a tenth of a second
            after the last look.
        hold_seconds: how long looks may miss a face that was found at least twice.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, detector: Detector, every: int = 3, hold_seconds: float = 0.4) -> None:
        if every < 1 or hold_seconds < 0:
            raise ValueError(f"need every >= 1 and hold >= 0, got {every} and {hold_seconds}")
        self._detector, self._every, self._hold_ns = detector, every, to_ns(hold_seconds)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._faces: list[_Carried] = []
        self._before: NDArray[np.uint8] | None = None
        self._since = 0  # frames since the last look
        self._looked_ns = 0

    def detect(self, image: NDArray[np.uint8], at_ns: int) -> list[Detection]:
        """Return the faces of the next frame of the stream, surest first.

        Args:
            image: RGB uint8 (H, W, 3).
            at_ns: when it was taken; later than the frame before.
        """
        grey, scale = _grey(image)
        known = len(self._faces)
        same_size = self._before is not None and self._before.shape == grey.shape
        self._faces = self._carry(grey, scale) if same_size else []
        self._before = grey
        lost = len(self._faces) < known
        waited_ns = at_ns - self._looked_ns
        if lost or self._since % self._every == 0 or waited_ns >= _LONGEST_NS:
            self._look(image, at_ns)
            self._since, self._looked_ns = 0, at_ns
        self._since += 1
        for face in self._faces:
            face.find_corners(grey, scale)
        return sorted((f.detection for f in self._faces), key=lambda d: -d.score)

    def _look(self, image: NDArray[np.uint8], at_ns: int) -> None:
        found = self._detector.detect(image)
        faces = []
        for face in self._faces:
            best = max(found, key=lambda d: iou(d.box, face.detection.box), default=None)
            if best is not None and iou(best.box, face.detection.box) >= _SAME:
                found.remove(best)
                faces.append(_Carried(best, at_ns, face.finds + 1))
            elif face.finds > 1 and at_ns - face.found_ns <= self._hold_ns:
                faded = replace(face.detection, score=face.detection.score * _FADE)
                faces.append(replace(face, detection=faded))
        self._faces = faces + [_Carried(detection, at_ns) for detection in found]

    def _carry(self, grey: NDArray[np.uint8], scale: float) -> list[_Carried]:
        """Return the faces where they are now; those whose corners are lost are left out."""
        assert self._before is not None
        moved = []
        for face in self._faces:
            pair = follow(self._before, grey, face.corners)
            if pair is None:
                continue
            moved.append(replace(face, detection=_move(face.detection, *pair, scale)))
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class _Carried:
    detection: Detection
    found_ns: int
    finds: int = 1
    corners: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 1, 2), np.float32))

    def find_corners(self, grey: NDArray[np.uint8], scale: float) -> None:
        """Choose what to follow into the next frame."""
        x, y, w, h = (v * scale for v in self.detection.box)
        left, top = max(0, round(x + 0.1 * w)), max(0, round(y + 0.1 * h))
        right, bottom = round(x + 0.9 * w), round(y + 0.9 * h)
        inside = grey[top:bottom, left:right]
        corners = None
        if min(inside.shape) >= 8:
            corners = cv2.goodFeaturesToTrack(inside, _POINTS, 0.01, max(2.0, 0.06 * w))
        if corners is None:
            corners = np.empty((0, 1, 2), np.float32)
        object.__setattr__(self, "corners", corners + np.array((left, top), np.float32))


def follow(
    before: NDArray[np.uint8], after: NDArray[np.uint8], corners: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Follow corners, float32 (n, 1, 2), from one grey frame to the next and back.

    Returns:
        Where those that came back were and are, each float32 (m, 2); None if fewer
        than six or half of them did.
    """
    if len(corners) < _ENOUGH:
        return None
    how = {"winSize": (15, 15), "maxLevel": 2}
    there, seen, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **how)  # type: ignore[call-overload]
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **how)  # type: ignore[call-overload]
    stray = np.abs(back - corners).reshape(-1, 2).max(axis=1)
    good = (seen.ravel() == 1) & (seen_back.ravel() == 1) & (stray < _STRAY)
    if good.sum() < max(_ENOUGH, len(corners) / 2):
        return None
    return corners[good, 0], there[good, 0]


def _move(
    d: Detection, before: NDArray[np.float32], after: NDArray[np.float32], scale: float
) -> Detection:
    """Move and scale a detection as its corners did; `scale` is grey's size over the frame's."""
    spread = [np.linalg.norm(p - np.median(p, axis=0), axis=1) for p in (before, after)]
    far = spread[0] > 2
    grown = float(np.median(spread[1][far] / spread[0][far])) if far.any() else 1.0
    grown = min(max(grown, 0.9), 1.1)
    from_, to = (np.median(p, axis=0) / scale for p in (before, after))
    x, y = (np.array(d.box[:2]) - from_) * grown + to
    box = (float(x), float(y), d.box[2] * grown, d.box[3] * grown)
    points = d.landmarks
    if points is not None:
        points = ((points - from_) * grown + to).astype(np.float32)
    return Detection(box, d.score, points, carried=True)


def _grey(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Return a frame grey and small, and its size over the frame's."""
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    size: Sequence[int] = [max(1, round(n * scale)) for n in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), scale  # type: ignore[return-value]
