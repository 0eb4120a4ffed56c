"""What can be set about faces. Light to import: it loads no image library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..core.registry import check_names, named
from .detectors import DETECTORS


class Between(str, Enum):
    """How faces get from one look of the detector to the next."""

    INTERPOLATE = "interpolate"
    """Boxes lie between both looks: the nearest, but it waits for the next look."""
    FLOW = "flow"
    """Optical flow carries boxes along, and no picture waits for a later one: for live use."""


@dataclass(frozen=True, slots=True)
class FaceConfig:
    """How faces are detected and followed.

    Args:
        detector: name of what finds faces. ``compact`` is embedded and finds landmarks;
            ``haar`` needs OpenCV alone and finds frontal faces; ``yunet`` taught
            ``compact`` and fetches its weights (0.2 MB) once.
        detect_every: detect on every n-th sampled picture; with flow also on any a tenth of
            a second after the last one.
        search_seconds: while every known face is found again near its place and nothing else
            changes, the whole picture is searched for new ones this often; 0: at every
            detection. Only ``compact`` can look so closely; not with flow.
        between: what happens in between, see `Between`.
        confirmations: detections in which a face must be found before it counts.
        min_score: at least one of them must be this sure, in [0, 1].
        hold_seconds: how long a face may go undetected and still be the same track.
        max_faces: most faces followed at once; the surest and largest come first.

    Raises:
        InputError: if no detector of that name is registered.
        ValueError: if a number is out of range.

    Example:
        >>> FaceConfig(detector="Haar").detector
        'haar'
    """

    detector: str = named(DETECTORS, "compact")
    detect_every: int = 2
    search_seconds: float = 1.0
    between: Between = Between.INTERPOLATE
    confirmations: int = 2
    min_score: float = 0.5
    hold_seconds: float = 0.5
    max_faces: int = 8

    def __post_init__(self) -> None:
        check_names(self, "face")
        for name in ("detect_every", "confirmations", "max_faces"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score must lie in [0, 1], got {self.min_score}")
        for name in ("hold_seconds", "search_seconds"):
            if not 0 <= getattr(self, name) <= 10:
                raise ValueError(f"{name} must lie in [0, 10], got {getattr(self, name)}")
