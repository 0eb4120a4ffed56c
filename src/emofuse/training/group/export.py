"""From trained streams and head to a model: a graph each, one card, a golden pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config.loader import to_mapping
from ...core.estimates import Modality
from ...evaluation.metrics import calibration
from ...group.recogniser import GroupRecogniser
from ...group.streams import Clip, Stream, StreamPreparation
from ...models.write import write_card, write_golden
from ..core import cards
from ..core.calibrate import fit_temperature, prior
from ..core.checkpoint import disk_errors
from ..core.config import Calibrating
from ..core.export import write_onnx
from ..core.samples import Samples
from .config import GroupTraining
from .data import GroupData
from .nets import FusionHead, StreamNet

Floats = NDArray[np.float32]

RECOGNISER = "group-streams"
"""Entry point of what runs the model."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training made.

    Args:
        nets: of the streams.
        head: what joins them.
        preparation: what they look at.
        logits: the whole's answers to the validation clips of each corpus, (clips, labels).
        samples: these clips.
        metrics: what was measured on them.
        example: features and which streams are here, of two clips or more.
    """

    nets: Mapping[Stream, StreamNet]
    head: FusionHead
    preparation: StreamPreparation
    logits: Sequence[Floats]
    samples: Sequence[Samples[Path]]
    metrics: Sequence[dict[str, float]]
    example: Sequence[Tensor]


def export(config: GroupTraining, data: GroupData, trained: Trained) -> Path:
    """Write a group model's folder, which the store then accepts; return the card's path.

    Raises:
        InputError: if there is no room.
        ModelError: if ONNX Runtime answers otherwise than torch.
    """
    with disk_errors(f"what was trained in {config.run}"):
        config.model.mkdir(parents=True, exist_ok=True)
        files = _write_graphs(config, trained)
        card = write_card(_fields(config, data, trained), config.model, files)
        examples = drawn_clips(trained.preparation)
        write_golden(GroupRecogniser(card, files), examples, config.model)
    return config.model / f"{config.id}.toml"


def _write_graphs(config: GroupTraining, trained: Trained) -> dict[str, Path]:
    """Write the head and each stream as ONNX; return the files by role."""
    files = {"weights": config.model / f"{config.id}.onnx"}
    features, here = trained.example
    two = (torch.cat([features] * 2)[:2], torch.cat([here] * 2)[:2])
    write_onnx(trained.head, two, files["weights"])
    for stream, net in trained.nets.items():
        files[stream.value] = config.model / f"{config.id}.{stream.value}.onnx"
        shape = trained.preparation.input_shape(stream)
        example = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        write_onnx(net, (example,), files[stream.value])
    return files


def _fields(config: GroupTraining, data: GroupData, trained: Trained) -> dict[str, Any]:
    """Return the card's fields, less its files."""
    targets = [s.target for s in trained.samples]
    known = [s.known for s in trained.samples]
    scale = fit_temperature(trained.logits, targets, known, Calibrating.TARGETS)
    names = " and ".join(c.name for c in data.corpora)
    streams = ", ".join(s.value for s in trained.preparation.streams)
    metrics = []
    for samples, logits, found in zip(
        trained.samples, trained.logits, trained.metrics, strict=True
    ):
        actual = samples.label.argmax(axis=1)
        figures = {**found, "ece": calibration.ece(actual, scale.probabilities(logits))}
        metrics += cards.metrics(figures, samples, len(data.labels))
    left_out = [s.value for s in config.preparation.streams if s not in trained.preparation.streams]
    notes = [
        *config.notes,
        f"Four nets at most, here {streams}, and a head; the epochs were chosen by accuracy on "
        "validation.",
        *([f"Nothing was there to train {' and '.join(left_out)} on."] if left_out else []),
    ]
    return {
        "id": config.id,
        "modality": Modality.FUSED.value,
        "recogniser": RECOGNISER,
        "summary": config.summary or f"mood of a group by {streams}; trained on {names}",
        "taxonomy": data.labels.name,
        "labels": list(data.labels.labels),
        "licence": config.licence or cards.licence(data.corpora),
        "notes": notes,
        "preparation": _preparation(config, trained.preparation),
        "data": [cards.data(corpus) for corpus in data.corpora],
        "metrics": metrics,
        "calibration": {"temperature": scale.temperature},
        "prior": prior(trained.logits, scale),
    }


def _preparation(config: GroupTraining, preparation: StreamPreparation) -> dict[str, Any]:
    widths = tuple(config.streams[s].net.width for s in preparation.streams)
    return to_mapping(replace(preparation, widths=widths))


def drawn_clips(preparation: StreamPreparation) -> list[NDArray[np.uint8]]:
    """Make clips for golden pairs, as `StreamPreparation.pack` writes them: soft waves.

    One has everything, the next one stream less, and so on; recordings of people have no place
    there.
    """
    clips = []
    for k in range(len(preparation.streams)):
        waves = {
            stream: _wave(preparation.shape(stream, preparation.resize), i + k + 1)
            for i, stream in enumerate(preparation.streams[k:])
        }
        visual, audio, flow, faces = (waves.get(stream) for stream in Stream)
        clips.append(preparation.pack(Clip(visual, audio, flow, faces)))
    return clips


def _wave(shape: tuple[int, ...], speed: int) -> NDArray[np.uint8]:
    """Draw waves along all axes, in 16 levels so that they pack well."""
    axes = zip(np.indices(shape, sparse=True), shape, strict=True)
    waves = [np.sin(speed * (j + 1) * np.pi * x / n) for j, (x, n) in enumerate(axes)]
    level: NDArray[np.float64] = sum(waves[1:], waves[0]) / len(shape)
    return (128 + 127 * level).astype(np.uint8) // 16 * 16
