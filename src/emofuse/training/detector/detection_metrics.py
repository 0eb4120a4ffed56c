"""How well one detector finds the faces that another one found.

Protocol: a reference face counts if the reference detector was sure of it and if
it is large enough. Finds are paired with references at an IoU of at least 0.5,
surest first, each with one. A find that meets only a reference that does not
count, or is itself too small to count, is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...face.detect import Detection, iou

OVERLAP = 0.5
"""IoU from which on two boxes are of the same face."""


@dataclass(frozen=True, slots=True)
class MetricState:
    """What came of a comparison; tallies add up.

    Args:
        faces: references that count.
        hits: of these, the found ones.
        wrong: finds that are no face, as far as the reference knows.
        pictures: pictures compared.
        offset: sum over hits of the mean distance of the five landmarks, in shares of
            the face's size (geometric mean of width and height).
    """

    faces: int = 0
    hits: int = 0
    wrong: int = 0
    pictures: int = 0
    offset: float = 0.0

    def __add__(self, other: MetricState) -> MetricState:
        return MetricState(
            self.faces + other.faces,
            self.hits + other.hits,
            self.wrong + other.wrong,
            self.pictures + other.pictures,
            self.offset + other.offset,
        )

    @property
    def recall(self) -> float:
        """Share of the faces that were found; nan if there are none."""
        return self.hits / self.faces if self.faces else float("nan")

    @property
    def precision(self) -> float:
        """Share of the finds that are faces; nan if nothing was found."""
        finds = self.hits + self.wrong
        return self.hits / finds if finds else float("nan")


def compare(
    found: Sequence[Detection],
    reference: Sequence[Detection],
    smallest: float = 40.0,
    largest: float = float("inf"),
    sure: float = 0.7,
) -> MetricState:
    """Compare the finds in one picture with the reference's.

    Args:
        found: what is judged.
        reference: the other detector's finds, the unsure ones as well.
        smallest: size (geometric mean of width and height, pixels) from which on a
            face counts.
        largest: size from which on a face does not count any more.
        sure: score from which on a reference counts.
    """
    counts = [r.score >= sure and smallest <= size(r) < largest for r in reference]
    met: set[int] = set()
    wrong, offset = 0, 0.0
    for d in sorted(found, key=lambda d: -d.score):
        overlaps = [iou(d.box, r.box) for r in reference]
        free = [i for i, o in enumerate(overlaps) if o >= OVERLAP and counts[i] and i not in met]
        if free:
            best = max(free, key=overlaps.__getitem__)
            met.add(best)
            offset += _offset(d, reference[best])
        elif smallest <= size(d) < largest and not _excused(overlaps, counts):
            wrong += 1
    return MetricState(sum(counts), len(met), wrong, 1, offset)


def size(d: Detection) -> float:
    """Return the geometric mean of a face's width and height, in pixels."""
    return float(np.sqrt(d.box[2] * d.box[3]))


def from_rows(faces: NDArray[np.float32]) -> list[Detection]:
    """Return the faces of a `emofuse.training.detector.photos.Photo` as detections."""
    return [
        Detection((float(f[0]), float(f[1]), float(f[2]), float(f[3])), float(f[14]), points)
        for f, points in zip(faces, faces[:, 4:14].reshape(-1, 5, 2), strict=True)
    ]


def _excused(overlaps: Sequence[float], counts: Sequence[bool]) -> bool:
    return any(o >= OVERLAP and not c for o, c in zip(overlaps, counts, strict=True))


def _offset(found: Detection, reference: Detection) -> float:
    if found.landmarks is None or reference.landmarks is None:
        return float("nan")
    apart = np.linalg.norm(found.landmarks - reference.landmarks, axis=1)
    return float(apart.mean()) / size(reference)
