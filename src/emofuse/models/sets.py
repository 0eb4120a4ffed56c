"""Named choices of models: ``--models small|balanced|best``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.modality import Modality
from ..errors import InputError


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Which models are used together.

    Args:
        summary: what it is for and what has to be downloaded, for people.
        models: modality → id of its model.
        detector: name of the face detector.
        downloads: ids of what else has to be here, e.g. the detector's weights.
    """

    summary: str
    models: Mapping[Modality, str] = field(default_factory=dict)
    detector: str = "compact"
    downloads: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all its cards."""
        return (*self.models.values(), *self.downloads)


SETS: Mapping[str, ModelSet] = {
    "small": ModelSet(
        "the embedded models; nothing is downloaded",
        {Modality.FACE: "face-v4", Modality.SPEECH: "speech-v4", Modality.TEXT: "text-minilm-v3"},
    ),
    "balanced": ModelSet(
        "faces with valence and arousal, and finer words; some 50 MB are downloaded",
        {
            Modality.FACE: "emotieff-b0-va",
            Modality.SPEECH: "speech-v4",
            Modality.TEXT: "minilm-goemotions",
        },
        detector="yunet",
        downloads=("yunet-2023mar",),
    ),
    "best": ModelSet(
        "the largest models, one with terms to agree to; some 520 MB are downloaded, and the extra "
        "train converts one of them once",
        {
            Modality.FACE: "emotieff-b0-va",
            Modality.SPEECH: "emotion2vec-plus-base",
            Modality.TEXT: "roberta-goemotions",
        },
        detector="yunet",
        downloads=("yunet-2023mar",),
    ),
}
"""The sets by name. They follow the figures that their publishers state: only the embedded
models are measured here."""


def find_set(name: str) -> ModelSet:
    """Return a set by name.

    Raises:
        InputError: if there is none of that name.

    Example:
        >>> find_set("small").models[Modality.FACE]
        'face-v4'
    """
    if name not in SETS:
        raise InputError(f"no set of models {name!r}; there are {', '.join(SETS)}")
    return SETS[name]
