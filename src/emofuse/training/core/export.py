"""From a trained net to a model that can be exported: ONNX graph, card, golden pair."""

from __future__ import annotations

import logging
import math
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import InputError, ModelError
from ...models.card import Card, read_card
from ...models.golden import read_golden
from ...models.runtime import Session
from ...models.store import Store
from ...models.write import write_card

TOLERANCE = 1e-3
"""Largest difference of logits that is allowed between torch and ONNX Runtime."""


_OUTPUT = "output:"  # begins the names of outputs until nothing can clash with them


class Exportable(nn.Module):
    """A net as it is exported: inputs → logits, and its embedding if it has one.

    Args:
        net: with ``embed`` and ``classify``; without them, its `forward` gives logits.
        aggregation: share of each label that is learned in each label that is answered,
            (learned, answered); the answer is then the logarithm of their summed
            probabilities. None: the answer is what is learned.
    """

    def __init__(self, net: nn.Module, aggregation: Tensor | None = None) -> None:
        super().__init__()
        self.net = net
        self.has_embedding = hasattr(net, "embed") and hasattr(net, "classify")
        self.register_buffer("aggregation", None if aggregation is None else aggregation.float())

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return ["logits", "embedding"] if self.has_embedding else ["logits"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, float32."""
        if not self.has_embedding:
            return (self.answer(self.net(*inputs)),)
        embedding = self.net.embed(*inputs)  # type: ignore[operator]
        logits = self.net.classify(embedding)  # type: ignore[operator]
        return self.answer(logits), embedding.float()

    def answer(self, logits: Tensor) -> Tensor:
        """Add up the learned labels to those that are answered."""
        logits = logits.float()
        if self.aggregation is None:
            return logits
        return (logits.softmax(dim=1) @ self.aggregation).clamp_min(1e-9).log()  # type: ignore[operator]


def export(
    net: nn.Module,
    example_inputs: tuple[Tensor, ...],
    card_fields: Mapping[str, Any],
    out_dir: Path,
    dynamic_axes: Sequence[Mapping[int, str]] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Card:
    """Write a net and its card into the folder `out_dir`, which the store then accepts.

    ``ID.onnx`` is the graph, ``ID.toml`` the card. The golden pair needs the
    recogniser, which needs the card: see `write_golden`. `embed` puts all of it into
    the package.

    Args:
        net: the trained net, or an `Exportable` around it; put into evaluation mode.
        example_inputs: one batch of inputs, at least two rows.
        card_fields: the card's fields as in its TOML file, less ``files`` and
            ``embedding``.
        out_dir: the model's folder.
        dynamic_axes: for each input, the axes of free length with their names; by
            default the first axis of each is ``"batch"``.
        files: further files of the model by role, already in `out_dir`.

    Returns:
        The card, read back from its file.

    Raises:
        ModelError: if ONNX Runtime and torch disagree.
    """
    weights = out_dir / f"{card_fields['id']}.onnx"
    width = write_onnx(net, example_inputs, weights, dynamic_axes)
    fields = {**card_fields, "embedding": width}
    return write_card(fields, out_dir, {"weights": weights, **(files or {})})


def write_onnx(
    net: nn.Module,
    example_inputs: tuple[Tensor, ...],
    path: Path,
    dynamic_axes: Sequence[Mapping[int, str]] | None = None,
) -> int | None:
    """Write a net as one ONNX file and check that ONNX Runtime answers as torch does.

    Returns:
        Width of the graph's second output, ``embedding``; None if it has none.

    Raises:
        ModelError: if the outputs differ by more than `TOLERANCE`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    exported = net if isinstance(net, Exportable) else Exportable(net)
    exported = exported.to("cpu").eval()
    axes = dynamic_axes or [{0: "batch"}] * len(example_inputs)
    with _quiet():
        torch.onnx.export(
            exported,
            example_inputs,
            path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=(tuple(dict(a) for a in axes),),
            output_names=[_OUTPUT + name for name in exported.outputs],
            optimize=True,
            verbose=False,
        )
    _name_outputs(path)
    forget_origin(path)
    session = Session(path, gpu=False)
    # A single row as well: a batch size that was baked in would show here.
    for inputs in (example_inputs, tuple(x[:1] for x in example_inputs)):
        with torch.inference_mode():
            expected = [x.numpy() for x in exported(*inputs)]
        feeds = zip(session.inputs, (x.numpy() for x in inputs), strict=True)
        for name, got, wanted in zip(
            session.outputs, session.run(dict(feeds)), expected, strict=True
        ):
            _compare(path, name, got, wanted)
    return expected[1].shape[1] if exported.has_embedding else None


def _name_outputs(path: Path) -> None:
    """Give the outputs their names, which the exporter may have given to values inside."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    final = {o.name: o.name[len(_OUTPUT) :] for o in graph.output}
    names = final | {name: f"{name}.inner" for name in final.values()}
    for node in graph.node:
        for values in (node.input, node.output):
            for i, value in enumerate(values):
                values[i] = names.get(value, value)
    for part in (*graph.output, *graph.value_info, *graph.initializer):
        part.name = names.get(part.name, part.name)
    onnx.save(model, path)


def _compare(path: Path, name: str, got: NDArray[Any], wanted: NDArray[Any]) -> None:
    same = got.shape == wanted.shape
    # An embedding may be of any size; logits are of size 1 to 10.
    allowed = TOLERANCE * (max(1.0, float(np.abs(wanted).max())) if name == "embedding" else 1.0)
    distance = float(np.abs(got - wanted).max()) if same else math.inf
    if not distance <= allowed:
        raise ModelError(
            f"{path.name}: ONNX Runtime's {name} differ from torch's by {distance:.2g} "
            f"(shapes {got.shape} and {wanted.shape}), allowed is {allowed:.2g}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling users about its inside."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def forget_origin(path: Path) -> None:
    """Remove from an ONNX file what the exporter notes of the source code and of its paths."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    described = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output]
    described += [*graph.initializer, *model.functions]
    described += [node for function in model.functions for node in function.node]
    for part in described:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def embed(card_path: Path, models: Path) -> Path:
    """Copy a finished model into the package's ``zoo/`` (card) and ``weights/`` (all else).

    Args:
        card_path: ``RUN/model/ID.toml``; the model's files lie beside it.
        models: normally ``src/emofuse/models`` of a checkout.

    Returns:
        The card's new path.

    Raises:
        InputError: if `models` is not such a folder.
        ModelError: if a file is missing or is not what the card says.
    """
    zoo, weights = models / "zoo", models / "weights"
    if not (zoo.is_dir() and weights.is_dir()):
        raise InputError(
            f"{models} has no folders zoo/ and weights/; expected src/emofuse/models of a checkout"
        )
    card = read_card(card_path)
    store = Store(folders=[card_path.parent])
    store.verify(store.card(card.id))
    golden = card_path.with_name(f"{card.id}.golden.npz")
    files = [card_path.with_name(f.name) for f in card.files.values()]
    if files:  # a fuser of weights alone is all in its card
        read_golden(golden)
        files.append(golden)
    for path in files:
        shutil.copyfile(path, weights / path.name)
    shutil.copyfile(card_path, zoo / card_path.name)  # last: a card promises its files
    return zoo / card_path.name
