"""Published transformers classifiers, with their own heads, as ONNX graphs: `models pull` asks.

A checkpoint is read by ``torch.load(weights_only=True)`` or as safetensors: nothing in it is run.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingExtra, ModelError
from ..models.card import Card

TOLERANCE = 1e-3
"""Largest difference of logits between the graph and the net that it was made of."""


def convert(card: Card, files: Mapping[str, Path], out: Path) -> None:
    """Make the ONNX graph of a classifier of waveforms.

    Args:
        card: its labels have to be the checkpoint's.
        files: roles ``config`` and ``checkpoint``, a ``.bin`` or ``.safetensors``.
        out: where the graph goes.

    Raises:
        MissingExtra: if transformers is not installed.
        ModelError: if the files are no such model, or the graph answers otherwise.
    """
    write_graph(card, _load(card, files), out)


def write_graph(card: Card, net: nn.Module, out: Path) -> None:
    """Write a net of waveforms as an ONNX graph that takes any length.

    Raises:
        ModelError: if the graph answers otherwise than the net.
    """
    net.eval()
    rows = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (rows,),
            str(out),
            input_names=["waveform"],
            output_names=["logits"],
            dynamic_shapes=({1: "samples"},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    for part in (rows, rows[:, :7_777]):
        _check(card, net, out, part)


class _Logits(nn.Module):
    """What of a classifier is exported: waveform → logits."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, waveform: Tensor) -> Tensor:
        logits: Tensor = self.classifier(waveform).logits
        return logits


def _load(card: Card, files: Mapping[str, Path]) -> nn.Module:
    try:
        from transformers import AutoConfig, AutoModelForAudioClassification
    except ImportError as e:
        raise MissingExtra("hub", f"converting the model {card.id!r}") from e
    from safetensors import SafetensorError

    with tempfile.TemporaryDirectory(prefix="emofuse-") as made:
        folder = Path(made)
        shutil.copy(files["config"], folder / "config.json")
        try:
            _safetensors(files["checkpoint"], folder / "model.safetensors")
            config = AutoConfig.from_pretrained(folder)
            labels = tuple(config.id2label[i] for i in range(len(config.id2label)))
            if labels != card.taxonomy.labels:
                raise ValueError(f"its labels are {labels}, the card's {card.taxonomy.labels}")
            config.update({"layerdrop": 0.0, "apply_spec_augment": False})
            net, info = AutoModelForAudioClassification.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                attn_implementation="eager",
                output_loading_info=True,
            )
            if lost := info["missing_keys"]:
                raise ValueError(f"it has no weights for {', '.join(sorted(lost)[:3])}")
        except (OSError, ValueError, KeyError, SafetensorError, RuntimeError) as e:
            raise ModelError(
                f"{files['checkpoint'].name} and {files['config'].name} of {card.id!r} are not "
                f"what its card describes: {str(e).splitlines()[0]}"
            ) from e
    return _Logits(net.float())


def _safetensors(checkpoint: Path, to: Path) -> None:
    """Write a checkpoint as safetensors; of a pickle only tensors are read, and nothing is run."""
    from safetensors.torch import save_file

    if checkpoint.suffix == ".safetensors":
        shutil.copy(checkpoint, to)
        return
    state = read_tensors(checkpoint)
    save_file({k: v.contiguous().clone() for k, v in state.items()}, to, metadata={"format": "pt"})


def read_tensors(checkpoint: Path) -> dict[str, Tensor]:
    """Read a checkpoint of tensors, or the part of it that is called ``model``.

    Raises:
        ValueError: if it holds anything else; nothing of it is run.
    """
    from pickle import UnpicklingError

    try:
        state: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as e:
        raise ValueError(f"no checkpoint of tensors alone: {e}") from e
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError("no checkpoint of tensors alone")
    return {str(k): v for k, v in state.items()}


def _check(card: Card, net: nn.Module, graph: Path, rows: Tensor) -> None:
    from ..models.runtime import Session

    with torch.no_grad():
        expected = net(rows)
    found = torch.from_numpy(Session(graph).logits(rows.numpy()))
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"the graph made of {card.id!r} answers otherwise than the model itself (logits differ "
            f"by {difference:.3g}); please report it"
        )
