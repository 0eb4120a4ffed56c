"""The shape of transformers' classification pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..analyzer import Analyzer, AnalyzerConfig
from ..core.estimates import Modality
from ..errors import InputError
from ..observe import Observer

_TASKS = {
    "audio-classification": (Modality.SPEECH, "audio"),
    "image-classification": (Modality.FACE, "image"),
    "text-classification": (Modality.TEXT, "text"),
    "sentiment-analysis": (Modality.TEXT, "text"),
}

Answer = list[dict[str, Any]]


def pipeline(
    task: str, model: str | None = None, top_k: int | None = None, **ignored: Any
) -> Callable[..., Any]:
    """Make what is called with an input and answers with ``[{"label": …, "score": …}, …]``.

    Args:
        task: ``audio-classification``, ``image-classification`` (of faces: they are looked
            for, and the largest counts) or ``text-classification``.
        model: id of a model for it (`emofuse models`); default: emofuse's own.
        top_k: so many labels at most, the most probable first; default: 5, of text 1.
        ignored: what else transformers takes (``device``, ``framework``).

    Raises:
        InputError: if there is no such task here.

    Example:
        >>> pipeline("text-classification")("What a wonderful day!")[0]["label"]
        'happy'
    """
    if task not in _TASKS:
        raise InputError(f"no task {task!r}; there are {', '.join(_TASKS)}")
    modality, name = _TASKS[task]
    models = {modality: model} if model else {}
    config = AnalyzerConfig(modalities=(modality,), models=models)
    observer = Observer(Analyzer(config))
    usual = top_k or (1 if modality is Modality.TEXT else 5)

    def classify(inputs: Any, top_k: int | None = usual, **ignored: Any) -> Any:
        """Classify one input, or each of a list."""
        if isinstance(inputs, list):
            return [classify(one, top_k) for one in inputs]
        found = observer.observe(**{name: _input(inputs)})
        if modality.value not in found:
            raise InputError(found.notes[0].message if found.notes else "nothing was recognized")
        scores = sorted(found[modality.value].probabilities.items(), key=lambda item: -item[1])
        return [{"score": score, "label": label} for label, score in scores[:top_k]]

    return classify


def _input(given: Any) -> Any:
    """Read transformers' ways to give sound: samples at 16 kHz, or with their rate."""
    if isinstance(given, Mapping):
        samples = given.get("array", given.get("raw"))
        if samples is None or "sampling_rate" not in given:
            raise InputError(f"got {sorted(given)}, expected array (or raw) and sampling_rate")
        return np.asarray(samples), int(given["sampling_rate"])
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return given, 16_000
    return given
