"""The plain model of a group: its faces, its sound, and a weighted mean of what both say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.loader import construct
from ..core.estimates import Modality
from ..errors import InputError, ModelError
from ..face.recognise import FaceRecogniser
from ..models.card import Calibration, Card
from ..models.recogniser import OnnxRecogniser
from ..speech.recognise import SpeechRecogniser
from .recogniser import GroupRecogniser
from .streams import Clip, Stream, StreamPreparation

FILES = {"face": "weights", "speech": "speech"}
"""The role of each part's graph among the card's files."""


@dataclass(frozen=True, slots=True)
class HybridPreparation:
    """What a hybrid's card says under ``preparation``.

    Args:
        face: preparation of the model of faces, as in its card.
        speech: preparation of the model of sound.
        temperatures: of both, by part: that of their own calibration.
        weights: of both in the mean.
        faces: most faces of a moment.
        detector: what finds them.
        min_confidence: faces of a lower score are left out.
        history: over how many moments answers are averaged.

    Raises:
        ValueError: if a part is missing or a number makes no sense.
    """

    face: Mapping[str, Any]
    speech: Mapping[str, Any]
    temperatures: Mapping[str, float] = field(default_factory=lambda: {"face": 1.0, "speech": 1.0})
    weights: Mapping[str, float] = field(default_factory=lambda: {"face": 0.6, "speech": 0.4})
    faces: int = 16
    detector: str = "compact"
    min_confidence: float = 0.8
    history: int = 5

    def __post_init__(self) -> None:
        for name in ("temperatures", "weights"):
            values = getattr(self, name)
            if set(values) != set(FILES) or not all(v > 0 for v in values.values()):
                raise ValueError(f"{name}: need face and speech, both > 0, got {dict(values)}")
        if min(self.faces, self.history) < 1:
            raise ValueError(f"need faces and history >= 1, got {self.faces}, {self.history}")


class HybridRecogniser(GroupRecogniser):
    """Averages what a model of faces and one of sound say, and calibrates the mean anew.

    The faces' probabilities are averaged, then mixed with the sound's by fixed weights; what is
    missing leaves all the weight to the other. In a film the answers of the last moments are
    averaged, too (`history`).

    Args:
        card: the model's card.
        files: paths of the parts' graphs by role, see `FILES`.
        threads: intra-op threads of the sessions.

    Raises:
        ModelError: if the card's preparation makes no sense.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        try:
            hybrid = construct(HybridPreparation, dict(card.preparation), "preparation")
        except InputError as e:
            raise ModelError(f"card {card.id!r}: {e}; get or export the model again") from e
        if missing := [role for role in FILES.values() if role not in files]:
            raise ModelError(f"model {card.id!r} lacks the files of {', '.join(missing)}")
        self.card, self.history = card, hybrid.history
        self._weights = hybrid.weights
        face = _part(card, Modality.FACE, hybrid.face, hybrid.temperatures["face"])
        speech = _part(card, Modality.SPEECH, hybrid.speech, hybrid.temperatures["speech"])
        self._face = FaceRecogniser(face, {"weights": files[FILES["face"]]}, threads)
        self._speech = SpeechRecogniser(speech, {"weights": files[FILES["speech"]]}, threads)
        side = max(16, self._face.preparation.side)
        self.preparation = StreamPreparation(
            streams=(Stream.FACES, Stream.AUDIO),
            faces=hybrid.faces,
            resize=side,
            side=side,
            rate=self._speech.preparation.rate,
            detector=hybrid.detector,
            min_confidence=hybrid.min_confidence,
        )

    def prepare(self, sample: Any) -> NDArray[np.float32]:
        """Prepare faces and sound of a `Clip`: float32 (n,), first which of both are here."""
        if not isinstance(sample, Clip):  # a row of a golden pair
            return np.asarray(sample, np.float32)
        faces = np.zeros((self.preparation.faces, *self._face.preparation.shape), np.float32)
        if sample.faces is not None:
            faces = self._face.preparation.normalise(sample.faces)
        sound = np.zeros(self._speech.preparation.shape, np.float32)
        if sample.sound is not None:
            sound = self._speech.prepare(self._middle(sample.sound))
        here = [sample.faces is not None, sample.sound is not None]
        return np.concatenate([np.array(here, np.float32), faces.ravel(), sound.ravel()])

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the logarithms of the mixed probabilities, (rows, labels), uncalibrated.

        Raises:
            InputError: if a row has neither faces nor sound.
        """
        parts = self._probabilities(rows)
        here = ~np.isnan(np.stack([p[:, 0] for p in parts.values()]))
        if not here.any(axis=0).all():
            raise InputError(f"the model {self.model_id!r} needs faces or sound; nothing is there")
        weights = np.array([self._weights[name] for name in parts])[:, None] * here
        said = np.nan_to_num(np.stack(list(parts.values())))
        mixed: NDArray[np.float64] = np.einsum("pn,pnc->nc", weights, said)
        mixed /= weights.sum(axis=0)[:, None]
        logits: NDArray[np.float32] = np.log(np.maximum(mixed, 1e-9)).astype(np.float32)
        return logits

    def stream_logits(self, rows: Sequence[NDArray[Any]]) -> dict[Stream, NDArray[np.float32]]:
        """Return what faces and sound say alone, (rows, labels); NaN where they are missing."""
        parts = self._probabilities(rows)
        named = {Stream.FACES: parts["face"], Stream.AUDIO: parts["speech"]}
        return {s: np.log(np.maximum(p, 1e-9)).astype(np.float32) for s, p in named.items()}

    def _probabilities(self, rows: Sequence[NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Return each part's calibrated probabilities, (rows, labels); NaN where it is missing."""
        here = np.stack([row[:2] for row in rows]) > 0
        count, shape = self.preparation.faces, self._face.preparation.shape
        split = 2 + count * int(np.prod(shape))
        out = {name: np.full((len(rows), len(self.taxonomy)), np.nan, np.float32) for name in FILES}
        for i, row in enumerate(rows):
            if here[i, 0]:
                faces = row[2:split].reshape(count, *shape)
                out["face"][i] = _said(self._face, list(faces)).mean(axis=0)
            if here[i, 1]:
                sound = row[split:].reshape(self._speech.preparation.shape)
                out["speech"][i] = _said(self._speech, [sound])[0]
        return out

    def _middle(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut out what the model of sound can hear at once."""
        most = self._speech.preparation.samples
        start = max(0, len(sound) - most) // 2
        return sound[start : start + most]


def _said(part: OnnxRecogniser, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    return part.card.calibration.probabilities(part.logits(rows))


def _part(card: Card, modality: Modality, preparation: Mapping[str, Any], heat: float) -> Card:
    """Return the card of a part, as its recogniser reads it."""
    return replace(
        card,
        id=f"{card.id}:{modality.value}",
        modality=modality,
        preparation=preparation,
        calibration=Calibration(heat),
    )
