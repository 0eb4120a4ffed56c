"""From pairs to a net's folder: graph, card, golden pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...core.labels import CANONICAL
from ...fusion.learned import GraphFuser
from ...models.calibrate import fit_temperature
from ...models.card import Card
from ...models.write import write_card
from ..core.export import Exportable, write_onnx
from .cards import card_fields
from .config import FusionTraining
from .data import FusionData
from .fit import answer, fit_net, only_asked, sequences, tensors
from .moments import Floats, Moments

_GOLDENS = 6


class _Exported(Exportable):
    """A net as it is exported, with logits and modality weights."""

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return ["logits", "shares"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return logits and modality weights."""
        logits, shares = self.net(*inputs)
        return logits, shares


def export_net(config: FusionTraining, data: FusionData, folder: Path) -> Path:
    """Train a net and write its model into `folder`; return the card's path.

    Raises:
        ModelError: if the exported net answers otherwise.
    """
    net, slots = fit_net(config, data)
    rng = np.random.default_rng(config.loop.seed + 1)
    indices = sequences(data.choose, slots, rng)
    logits, _ = answer(net, data.choose, indices)
    target = np.eye(len(CANONICAL))[data.choose.actual]
    calibration = fit_temperature(target, only_asked(logits, data.choose))
    path = folder / f"{config.name}.onnx"
    example = tuple(tensors(data.choose, indices[:2]).values())
    write_onnx(_Exported(net), example, path)

    def probabilities(moments: Moments) -> Floats:
        steps = sequences(moments, slots, np.random.default_rng(config.loop.seed + 1))
        z, _ = answer(net, moments, steps)
        return calibration.probabilities(only_asked(z, moments))

    fields = {
        **card_fields(config, data, probabilities),
        "calibration": {"temperature": round(calibration.temperature, 4)},
        "fusion": data.fusion(config, slots=slots),
    }
    card = write_card(fields, folder, {"weights": path})
    _write_golden(card, path, data, indices, folder)
    return folder / f"{config.name}.toml"


def _write_golden(
    card: Card, path: Path, data: FusionData, indices: NDArray[np.int64], folder: Path
) -> None:
    """Write some inputs, each as one row of numbers, and the logits that they give."""
    fuser = GraphFuser(card, {"weights": path}, {})
    rows = np.linspace(0, len(indices) - 1, _GOLDENS).astype(int)
    moments = data.choose.inputs
    flat = [
        np.concatenate([moments[name][indices[i]].reshape(-1) for name in fuser.layout.shapes])
        for i in rows
    ]
    inputs = {f"input_{i}": x for i, x in enumerate(flat)}
    logits = fuser.logits([fuser.prepare(x) for x in flat])
    np.savez_compressed(folder / f"{card.id}.golden.npz", logits=logits, **inputs)  # type: ignore[arg-type]
