"""The default model of a group's mood: its faces, the voice and the motion taken together.

A small net that does not care for the order of the faces (Zaheer et al. 2017, "Deep Sets"): of each
face it learned how much it counts, given its size, the quality of its view and its place, and
what its expression says; the weighted mean meets the voice and the motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.details import FaceDetails
from ..core.estimates import Estimate
from ..core.labels import CANONICAL
from ..core.time import Span
from ..corpora.labels import map_of, taxonomy
from ..errors import ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from .scores import fold

WIDTH = 6 + len(CANONICAL)
"""Numbers in a row of what the net is given."""

SMALL = 24.0
"""Pixels across a face below which it is found but not read."""

POOR = 0.05
"""Quality below which it is found but not read."""

_GOOD_SIDE = 48.0  # pixels: log size is measured from here
_MOVED = 0.02  # mean difference of frames that counts as one unit of motion


_NEVER = Span(0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of a group in one moment.

    Args:
        faces: the faces, one estimate each, with `FaceDetails`.
        voices: estimates of voices that overlap the moment.
        span: the moment.
        motion: mean difference between its sampled frames, in [0, 1]; 0 for a photo.
    """

    faces: Sequence[Estimate]
    voices: Sequence[Estimate] = ()
    span: Span = _NEVER
    motion: float = 0.0

    @property
    def read(self) -> tuple[Estimate, ...]:
        """The faces that are large and clear enough to be read."""
        return tuple(face for face in self.faces if readable(face))

    @property
    def dispersion(self) -> float | None:
        """How far people differ: the deviation of their valences, in [0, 1]; None below two.

        A face's valence is P(positive) − P(negative); faces count by their quality. It is 0 if
        all show the same and 1 if one half is surely positive and the other surely negative.
        """
        if len(self.read) < 2:
            return None
        moods = np.stack([fold(face.probabilities).values for face in self.read])
        valence, weight = moods[:, 0] - moods[:, 2], np.array([f.quality for f in self.read])
        mean = np.average(valence, weights=weight)
        return float(np.sqrt(np.average((valence - mean) ** 2, weights=weight)))


def readable(face: Estimate) -> bool:
    """Whether a face is large and clear enough to be read."""
    details = face.find_details(FaceDetails)
    side = details.side if details else None
    return face.quality >= POOR and (side is None or side >= SMALL)


class MoodRecogniser(OnnxRecogniser):
    """Says from `Evidence` whether a group's mood is positive, neutral or negative.

    Raises:
        ModelError: if the card's preparation is another one than this code's.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        if card.preparation.get("width") != WIDTH or len(card.taxonomy) != 3:
            raise ModelError(
                f"card {card.id!r}: expected rows of {WIDTH} numbers and 3 moods, got "
                f"{card.preparation.get('width')} and {len(card.taxonomy)}; train it again"
            )
        super().__init__(card, files, threads)

    def prepare(self, sample: Any) -> NDArray[np.float32]:
        """Turn `Evidence`, or what this made of it, into rows: float32 (1 + faces, `WIDTH`)."""
        return rows(sample) if isinstance(sample, Evidence) else np.asarray(sample, np.float32)

    def collate(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Stack rows of several moments; what is missing of the longest is 0: no face."""
        return (stack(rows),)


def rows(evidence: Evidence) -> NDArray[np.float32]:
    """Return what the net is given: float32 (1 + readable faces, `WIDTH`).

    The first row tells of the scene: 1, log₂(1 + faces), whether a voice is heard, its folded
    probabilities and its quality, the motion. The others tell of one face each: 1, its
    probabilities, quality, log₂ of its size, sharpness, distance from the middle of the
    picture, size relative to the largest.
    """
    read = evidence.read
    out = np.zeros((1 + len(read), WIDTH), np.float32)
    out[0, :2] = 1, np.log2(1 + len(read))
    heard = _voice(evidence)
    if heard is not None:
        out[0, 2:7] = 1, *heard
    out[0, 7] = min(evidence.motion / _MOVED, 5.0)
    sides = [_details(face).side or _GOOD_SIDE for face in read]
    for row, face, side in zip(out[1:], read, sides, strict=True):
        details = _details(face)
        row[0] = 1
        row[1 : 1 + len(CANONICAL)] = _canonical(face)
        row[-5:] = (
            face.quality,
            np.log2(side / _GOOD_SIDE),
            1.0 if details.sharpness is None else details.sharpness,
            _off_center(details),
            side / max(sides),
        )
    return out


def stack(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Stack rows of several moments: float32 (moments, most rows, `WIDTH`)."""
    out = np.zeros((len(rows), max(map(len, rows)), WIDTH), np.float32)
    for moment, some in zip(out, rows, strict=True):
        moment[: len(some)] = some
    return out


def _voice(evidence: Evidence) -> tuple[float, float, float, float] | None:
    """Return the folded probabilities of the voices and their quality; None without any."""
    span = evidence.span
    weights = np.array([v.span.overlap_ns(span) * v.quality for v in evidence.voices])
    if not weights.any():
        return None
    p = np.stack([fold(v.probabilities).values for v in evidence.voices])
    positive, neutral, negative = map(float, weights @ p / weights.sum())
    quality = float(np.average([v.quality for v in evidence.voices], weights=weights))
    return positive, neutral, negative, quality


def _canonical(face: Estimate) -> NDArray[np.float64]:
    p = face.probabilities
    out = p.values.astype(np.float64) @ map_of(p.taxonomy).matrix
    return np.asarray(out / max(float(out.sum()), 1e-9))


def _details(face: Estimate) -> FaceDetails:
    return face.find_details(FaceDetails) or FaceDetails()


def _off_center(details: FaceDetails) -> float:
    """Return how far a face is from the middle: 0 there, 1 at the middle of an edge."""
    if details.box is None:
        return 0.5
    left, top, width, height = details.box
    return float(2 * np.hypot(left + width / 2 - 0.5, top + height / 2 - 0.5))


MOODS = taxonomy("valence")
"""Positive, neutral, negative."""
