"""From a trained net to a model that can be shipped: ONNX graph, card, golden pair."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models.card import Card, read_card, sha256_of
from ..models.recogniser import OnnxRecogniser
from ..models.runtime import Session

TOLERANCE = 1e-3
"""Largest difference of logits that is allowed between torch and ONNX Runtime."""


def export(
    net: nn.Module,
    example_inputs: tuple[Tensor, ...],
    card_fields: Mapping[str, Any],
    out_dir: Path,
    dynamic_axes: Sequence[Mapping[int, str]] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Card:
    """Write a net and its card below `out_dir` as the package keeps its own models.

    ``weights/ID.onnx`` is the graph, ``zoo/ID.toml`` the card. The golden pair needs
    the recogniser, which needs the card: see `write_golden`.

    Args:
        net: the trained net; put into evaluation mode.
        example_inputs: one batch of inputs, at least two rows.
        card_fields: the card's fields as in its TOML file, less ``files``.
        out_dir: normally ``src/emofuse/models``.
        dynamic_axes: for each input, the axes of free length with their names; by
            default the first axis of each is ``"batch"``.
        files: further files of the model by role, already in ``weights/``.

    Returns:
        The card, read back from its file.

    Raises:
        ModelError: if ONNX Runtime and torch disagree.
    """
    weights = out_dir / "weights" / f"{card_fields['id']}.onnx"
    write_onnx(net, example_inputs, weights, dynamic_axes)
    paths = {"weights": weights, **(files or {})}
    return write_card({**card_fields, "files": _describe(paths)}, out_dir)


def write_onnx(
    net: nn.Module,
    example_inputs: tuple[Tensor, ...],
    path: Path,
    dynamic_axes: Sequence[Mapping[int, str]] | None = None,
) -> None:
    """Write a net as one ONNX file and check that ONNX Runtime answers as torch does.

    Raises:
        ModelError: if the logits differ by more than `TOLERANCE`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    net = net.to("cpu").eval()
    axes = dynamic_axes or [{0: "batch"}] * len(example_inputs)
    torch.onnx.export(
        net,
        example_inputs,
        path,
        dynamo=True,
        external_data=False,
        dynamic_shapes=tuple(dict(a) for a in axes),
        output_names=["logits"],
        optimize=True,
        verbose=False,
    )
    forget_origin(path)
    session = Session(path, gpu=False)
    # A single row as well: a batch size that was baked in would show here.
    for inputs in (example_inputs, tuple(x[:1] for x in example_inputs)):
        with torch.inference_mode():
            expected = net(*inputs).numpy()
        got = session.logits(*(x.numpy() for x in inputs))
        distance = float(np.abs(got - expected).max())
        if got.shape != expected.shape or not distance <= TOLERANCE:
            raise ModelError(
                f"{path.name}: ONNX Runtime's logits differ from torch's by {distance:.2g} "
                f"(shapes {got.shape} and {expected.shape}), allowed is {TOLERANCE}"
            )


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


def write_card(fields: Mapping[str, Any], out_dir: Path) -> Card:
    """Write ``zoo/ID.toml`` and return the card that it describes.

    Raises:
        ModelError: if the fields do not make a card.
    """
    path = out_dir / "zoo" / f"{fields['id']}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_toml(fields), encoding="utf-8")
    return read_card(path)


def write_golden(recogniser: OnnxRecogniser, samples: Sequence[Any], out_dir: Path) -> Path:
    """Write raw samples and the logits that they give, for a test to replay.

    ``weights/ID.golden.npz`` holds ``input_0``, ``input_1`` … (what `prepare` takes;
    a text as an array of one string) and ``logits``, float32 (samples, labels).
    """
    path = out_dir / "weights" / f"{recogniser.model_id}.golden.npz"
    logits = recogniser.logits([recogniser.prepare(sample) for sample in samples])
    inputs = {f"input_{i}": np.asarray(sample) for i, sample in enumerate(samples)}
    np.savez_compressed(path, logits=logits, **inputs)
    return path


def to_toml(fields: Mapping[str, Any]) -> str:
    """Write plain types as TOML: scalars and lists first, then tables and lists of tables.

    None is left out, as TOML has no such value.
    """
    return "\n".join(_toml_lines(fields, ())).strip() + "\n"


def _toml_lines(fields: Mapping[str, Any], under: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    tables: list[str] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            name = (*under, _key(key))
            tables += ["", f"[{'.'.join(name)}]", *_toml_lines(value, name)]
        elif _is_list_of_tables(value):
            name = (*under, _key(key))
            for row in value:
                tables += ["", f"[[{'.'.join(name)}]]", *_toml_lines(row, name)]
        elif value is not None:
            lines.append(f"{_key(key)} = {_toml_value(value)}")
    return lines + tables


def _is_list_of_tables(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple)) and len(value) > 0
    return is_list and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ValueError(f"a card cannot hold the number {value}")
        return repr(float(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)  # TOML's strings escape as JSON's do
    raise TypeError(f"cannot write {type(value).__name__} as TOML: {value!r}")


def _describe(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    return {
        role: {"name": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}
        for role, path in files.items()
    }
