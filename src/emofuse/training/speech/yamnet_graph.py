"""YAMNet with our dense head as one ONNX graph, of the published file and the head's weights.

AudioSet's YAMNet (Apache-2.0) is fetched where TensorFlow publishes it; what we taught, the
dense head, ships with emofuse. `models pull` puts the two together, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ...errors import InputError, ModelError
from ...models.card import Card
from ..core.export import write_onnx
from .nets.yamnet import Yamnet, YamnetClassifier, YamnetConfig, read_graph

_HIDDEN = "2.weight"  # of the dense layer, (hidden, 1024)


def convert(card: Card, files: Mapping[str, Path], out: Path) -> None:
    """Make the ONNX graph of the model of a card.

    Args:
        card: its labels and preparation are the head's.
        files: roles ``yamnet``, the published TensorFlow Lite file, and ``head``, made by
            `save_head`.
        out: where the graph goes.

    Raises:
        MissingExtra: if the package that reads TensorFlow Lite files is not installed.
        ModelError: if the files do not fit, or the graph answers otherwise than the net.
    """
    samples = round(float(card.preparation["seconds"]) * int(card.preparation["rate"]))
    try:
        head = load_file(files["head"])
        sizes = YamnetConfig(labels=len(card.taxonomy), hidden=len(head[_HIDDEN]), samples=samples)
        net = YamnetClassifier(sizes, Yamnet(read_graph(files["yamnet"])))
        net.classify.load_state_dict(head)
    except (InputError, SafetensorError, RuntimeError, KeyError) as e:
        raise ModelError(f"the files of {card.id!r} are no YAMNet and its head: {e}") from e
    write_onnx(net, (torch.zeros(2, samples),), out)


def save_head(net: YamnetClassifier, path: Path) -> None:
    """Write the head's weights, without YAMNet's."""
    save_file(net.classify.state_dict(), path)
