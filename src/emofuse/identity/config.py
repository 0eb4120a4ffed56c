"""What can be set about who is who. Light to import."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.intervals import Interval, check_within
from ..errors import InputError


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """How people are told apart.

    Args:
        enabled: whether it is told who is who; else results name face tracks, and one voice.
        voices: whether voices are told apart, too.
        face_model: id of the model that embeds faces.
        voice_model: id of the model that embeds voices.
        same_face: distance between two faces' embeddings below which they are one person's.
        unsure_face: distance from which they surely are two; in between nobody can say.
        same_voice: likeness of the voices of two files from which they are one speaker's, in
            [0, 1].
        speakers: how many voices there are, if that is known.
        overlap: probability from which a stretch of voice is a possible overlap: two people
            speaking at once.
        speaker_cost: by how much (of 1 less the cosine) a further speaker must bring voices
            nearer to their speakers' means.
        across_files: keep what people look and sound like until the end of a batch, to find
            the same people in its files; photos are looked at, too.
        embeddings: leave embeddings in the timeline. They are biometric.

    Raises:
        InputError: if a number is out of range.
    """

    enabled: bool = True
    voices: bool = True
    face_model: str = "face-identity-v1"
    voice_model: str = "voice-identity-v2"
    same_face: float = 0.45
    unsure_face: float = 0.49
    same_voice: float = 0.5
    speakers: int | None = None
    speaker_cost: float = 0.04
    overlap: float = 0.5
    across_files: bool = False
    embeddings: bool = False

    def __post_init__(self) -> None:
        check_within(self, "identity", ("same_face", "unsure_face"), Interval(0, 2))
        check_within(self, "identity", ("same_voice", "speaker_cost", "overlap"), Interval(0, 1))
        if self.speakers is not None and self.speakers < 1:
            raise InputError(f"identity.speakers must be >= 1, got {self.speakers}")
