"""What can be set about groups. Light to import."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.intervals import Interval, check_within
from ..errors import InputError

DEFAULT_MODEL = "group-v1"
"""The embedded model."""


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """How the mood of a group is found.

    Args:
        enabled: whether it is.
        model: id of the model: the embedded one, or one of four streams.
        seconds: length of a moment of a video; None: a second, and with a model of four streams
            five, which is how long the clips are that such models are taught.
        scenes: let moments last from cut to cut instead.
        max_faces: most faces followed at once.
        read: if a smaller share of the faces can be read the mood is uncertain, in [0, 1].
        confidence: a smaller probability of the likeliest mood is uncertain, in [0, 1].

    Raises:
        InputError: if a number is out of range.
    """

    enabled: bool = False
    model: str = DEFAULT_MODEL
    seconds: float | None = None
    scenes: bool = False
    max_faces: int = 200
    read: float = 0.5
    confidence: float = 0.5

    def __post_init__(self) -> None:
        check_within(self, "group", ("read", "confidence"), Interval(0, 1))
        if self.seconds is not None and not 0.1 <= self.seconds <= 60:
            raise InputError(f"group.seconds must lie in [0.1, 60], got {self.seconds}")
        if self.max_faces < 1:
            raise InputError(f"group.max_faces must be at least 1, got {self.max_faces}")
