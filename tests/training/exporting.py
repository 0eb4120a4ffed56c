"""A trained net as a model in a folder, and what its graph answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from emofuse.io.download import file_digest
from emofuse.models.card import card_from_mapping
from emofuse.models.runtime import Session
from emofuse.training.core.export import write_onnx


def export(
    net: nn.Module,
    example: tuple[torch.Tensor],
    folder: Path,
    name: str,
    recogniser: Any,
    preparation: Any,
    axes: Mapping[int, str] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Any:
    """Export a net of four labels with both outputs; return the recogniser of its card."""
    path = folder / "model.onnx"
    assert write_onnx(net, example, path, [dict(axes or {0: "batch"})]) == net.width
    paths = {"weights": path, **(files or {})}
    card = card_from_mapping(
        {
            "id": "test",
            "modality": {"face": "face", "text": "text"}[name],
            "recogniser": name,
            "summary": "made by a test",
            "labels": ["a", "b", "c", "d"],
            "preparation": plain(preparation),
            "files": {
                role: {"name": p.name, "sha256": file_digest(p), "bytes": p.stat().st_size}
                for role, p in paths.items()
            },
        }
    )
    return recogniser(card, paths)


def plain(preparation: Any) -> dict[str, Any]:
    """Write a preparation as a card's table has it."""
    values = {f.name: getattr(preparation, f.name) for f in fields(preparation)}
    return {k: v.value if isinstance(v, Enum) else v for k, v in values.items()}


def two_outputs(folder: Path, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Run the exported graph and name its outputs."""
    session = Session(folder / "model.onnx", gpu=False)
    assert session.outputs == ("logits", "embedding")
    outputs = session.run(dict(zip(session.inputs, inputs, strict=True)))
    return dict(zip(session.outputs, outputs, strict=True))
