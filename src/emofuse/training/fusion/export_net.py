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
from ..core.export import Answering, write_card, write_onnx
from .cards import card_fields
from .config import FusionTraining, Tell
from .data import Material
from .fit import answer, fit_net, only_asked, sequences, tensors
from .moments import Floats, Moments

_GOLDENS = 6


class _Shipped(Answering):
    """A net as it is exported, with logits and shares."""

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return ["logits", "shares"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return logits and shares."""
        logits, shares = self.net(*inputs)
        return logits, shares


def ship_net(config: FusionTraining, material: Material, folder: Path, tell: Tell) -> Path:
    """Train a net and write its model into `folder`; return the card's path.

    Raises:
        ModelError: if the exported net answers otherwise.
    """
    net, slots = fit_net(config, material, tell)
    rng = np.random.default_rng(config.seed + 1)
    spots = sequences(material.choose, slots, rng)
    logits, _ = answer(net, material.choose, spots)
    target = np.eye(len(CANONICAL))[material.choose.actual]
    calibration = fit_temperature(target, only_asked(logits, material.choose))
    path = folder / f"{config.name}.onnx"
    example = tuple(tensors(material.choose, spots[:2]).values())
    write_onnx(_Shipped(net), example, path)

    def probabilities(moments: Moments) -> Floats:
        steps = sequences(moments, slots, np.random.default_rng(config.seed + 1))
        z, _ = answer(net, moments, steps)
        return calibration.probabilities(only_asked(z, moments))

    fields = {
        **card_fields(config, material, probabilities),
        "calibration": {"temperature": round(calibration.temperature, 4)},
        "fusion": material.fusion(config, slots=slots),
    }
    card = write_card(fields, folder, {"weights": path})
    _write_golden(card, path, material, spots, folder)
    return folder / f"{config.name}.toml"


def _write_golden(
    card: Card, path: Path, material: Material, spots: NDArray[np.int64], folder: Path
) -> None:
    """Write some inputs, each as one row of numbers, and the logits that they give."""
    fuser = GraphFuser(card, {"weights": path}, {})
    rows = np.linspace(0, len(spots) - 1, _GOLDENS).astype(int)
    moments = material.choose.inputs
    flat = [
        np.concatenate([moments[name][spots[i]].reshape(-1) for name in fuser.layout.shapes])
        for i in rows
    ]
    inputs = {f"input_{i}": x for i, x in enumerate(flat)}
    logits = fuser.logits([fuser.prepare(x) for x in flat])
    np.savez_compressed(folder / f"{card.id}.golden.npz", logits=logits, **inputs)
