"""The ``EmotionPredictor`` of the usual face-and-voice projects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..analyzer import Analyzer, AnalyzerConfig
from ..core.estimates import Estimate, Modality
from ..errors import InputError
from ..models.card import read_card
from ..models.store import Store
from ..observe import Observer

_NAMES = {"facial": Modality.FACE, "speech": Modality.SPEECH}


class EmotionPredictor:
    """Reads an image of a face and a recording of a voice, each and together.

    Args:
        facial_model_path: card (``.toml``) of a model for faces, its folder, or the id of a
            model (`emofuse models`); default: the embedded one.
        speech_model_path: likewise for voices.
        weights: ``{"facial": 0.6, "speech": 0.4}``; default: as emofuse weighs them.
        face_crop: images are nothing but faces, as in FER2013: none is looked for.

    Raises:
        InputError: if a path is no card.
        ModelError: if a model is missing or damaged.

    Example:
        predictor = EmotionPredictor()
        result = predictor.predict_from_file(image_path="face.jpg", audio_path="voice.wav")
        print(result["facial"]["emotion"], result["speech"]["emotion"], result["fusion"])
    """

    def __init__(
        self,
        facial_model_path: str | os.PathLike[str] | None = None,
        speech_model_path: str | os.PathLike[str] | None = None,
        weights: Mapping[str, float] | None = None,
        face_crop: bool = False,
    ) -> None:
        given = {"facial": facial_model_path, "speech": speech_model_path}
        folders = list(Store().folders)
        models = {}
        for name, path in given.items():
            if path is not None:
                models[_NAMES[name]] = _model_id(name, path, folders)
        config = AnalyzerConfig(modalities=tuple(_NAMES.values()), models=models)
        self._observer = Observer(Analyzer(config, Store(folders=folders)))
        self._weights = None if weights is None else _read_weights(weights)
        self._face_crop = face_crop

    def predict_from_file(
        self,
        image_path: str | os.PathLike[str] | None = None,
        audio_path: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Predict from an image, a sound file, or both.

        Returns:
            ``facial``, ``speech`` and ``fusion``, each with ``emotion``, ``confidence`` and
            ``probabilities``, or None where nothing was found; ``notes`` say why.

        Raises:
            InputError: if neither is given, or a file cannot be read.
        """
        return self.predict(image_path, audio_path)

    def predict(self, image: Any = None, audio: Any = None) -> dict[str, Any]:
        """Predict from whatever `Observer.observe` takes."""
        found = self._observer.observe(
            image=image, audio=audio, weights=self._weights, face_crop=self._face_crop
        )
        return {
            **{name: _plain(found.estimates.get(m)) for name, m in _NAMES.items()},
            "fusion": _plain(found.fused),
            "notes": [note.message for note in found.notes],
        }


def _plain(e: Estimate | None) -> dict[str, Any] | None:
    if e is None:
        return None
    out: dict[str, Any] = {
        "emotion": e.label,
        "confidence": e.confidence,
        "probabilities": dict(e.probabilities.items()),
    }
    if e.doubt is not None:
        out["uncertain"] = e.doubt
    return out


def _model_id(name: str, path: str | os.PathLike[str], folders: list[Path]) -> str:
    """The id of a model given by its card, its folder or its id; its folder joins `folders`."""
    place = Path(path)
    cards = sorted(place.glob("*.toml")) if place.is_dir() else [place]
    if place.suffix == ".toml" or place.is_dir():
        if len(cards) != 1:
            raise InputError(f"{name}_model_path: {place} holds {len(cards)} cards, expected one")
        card = read_card(cards[0])
        if card.modality is not _NAMES[name]:
            raise InputError(
                f"{name}_model_path: {place} is a model for {card.modality.value}, expected one "
                f"for {_NAMES[name].value}"
            )
        if cards[0].parent not in folders:
            folders.insert(0, cards[0].parent)
        return card.id
    if place.suffix or place.exists():
        raise InputError(
            f"{name}_model_path: {place} is no card of emofuse; take the model in once with "
            f"`emofuse models import {place} --modality {_NAMES[name].value} --labels …`, and "
            "give its id"
        )
    return str(path)


def _read_weights(weights: Mapping[str, float]) -> dict[str, float]:
    unknown = set(weights) - set(_NAMES)
    if unknown:
        raise InputError(f"weights: got {sorted(unknown)}, expected facial and speech")
    return {_NAMES[name].value: value for name, value in weights.items()}
