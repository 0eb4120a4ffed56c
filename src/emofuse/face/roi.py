"""Looking for faces only where they are known to be, as long as nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .detect import Box, Detection, Detector, iou

CHANGED = 4.0
"""Grey levels by which a cell of the layout changes when somebody enters it."""

_MOST = 3  # faces looked at one by one: more cost as much as the whole frame
_SCORE = 0.7  # of a face that is plainly still there
_SAME = 0.3  # IoU of two known faces that became one
_AROUND = 1.0  # widths around a face in which hair, shoulders and hands move


@runtime_checkable
class LocalDetector(Protocol):
    """A `Detector` that can look for one face where it should be."""

    def detect_near(self, image: NDArray[np.uint8], box: Box) -> Detection | None:
        """Return the face nearest to a box, (x, y, w, h) in pixels of the RGB picture, if any."""
        ...


class RoiDetector:
    """Searches the whole frame only where something may have changed.

    While all faces are known and each is found again near its place, the rest of the frame
    is searched when its light and dark change (somebody enters), or when the last
    search is `longest_ns` ago. It has a memory: one for each stream.

    Args:
        detector: finds the faces; one that is no `LocalDetector` searches every frame.
        longest_ns: time between two searches of the whole frame; 0: every frame.
    """

    def __init__(self, detector: Detector, longest_ns: int) -> None:
        self._detector, self._longest_ns = detector, longest_ns
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._searched_ns = 0
        self._layout: NDArray[np.float32] | None = None

    def detect(
        self,
        image: NDArray[np.uint8],
        at_ns: int,
        layout: NDArray[np.float32],
        known: Sequence[Box] | None,
    ) -> list[Detection]:
        """Return the faces of a frame, surest first.

        Args:
            image: RGB uint8 (H, W, 3).
            at_ns: when it is shown; frames come in order.
            layout: its grey levels on a grid, see `track.layout`.
            known: where all known faces should be; None if that isn't certain.
        """
        recent = self._layout is not None and at_ns - self._searched_ns < self._longest_ns
        if known is not None and recent and self._is_calm(layout, known, image.shape):
            found = self._near(image, known)
            if found is not None:
                return found
        self._layout, self._searched_ns = layout, at_ns
        return self._detector.detect(image)

    def _near(self, image: NDArray[np.uint8], known: Sequence[Box]) -> list[Detection] | None:
        """Look where the faces should be; None if one isn't plainly there."""
        if len(known) > _MOST or not isinstance(self._detector, LocalDetector):
            return None
        looks = [self._detector.detect_near(image, box) for box in known]
        found = [d for d in looks if d is not None and d.score >= _SCORE]
        merged = any(iou(a.box, b.box) > _SAME for a, b in combinations(found, 2))
        if len(found) < len(known) or merged:
            return None
        return sorted(found, key=lambda d: -d.score)

    def _is_calm(
        self, layout: NDArray[np.float32], known: Sequence[Box], shape: tuple[int, ...]
    ) -> bool:
        """Whether the frame looks as it did at the last search, but for the known faces."""
        assert self._layout is not None
        change = np.abs(layout - self._layout)
        rows, columns = change.shape
        for x, y, w, h in known:
            left, right = ((x + d) / shape[1] * columns for d in (-_AROUND * w, (1 + _AROUND) * w))
            top = (y - _AROUND / 2 * h) / shape[0] * rows
            change[max(0, int(top)) :, max(0, int(left)) : max(0, int(np.ceil(right)))] = 0
        return float(change.max()) < CHANGED
