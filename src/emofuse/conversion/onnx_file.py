"""What an ONNX file tells, and what in it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, MissingExtra
from ..models.card import Scores
from .files import LARGEST
from .found import Found

if TYPE_CHECKING:
    import onnx

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # what ONNX Runtime knows by itself
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
_RESCALING = ("Div", "Mul", "Sub", "Add", "Cast", "Transpose", "Identity")


def read(path: Path, work: Path) -> Found:
    """Check an ONNX file and describe it.

    Args:
        path: the file; weights that it keeps in files beside it are taken in.
        work: folder for the copy.

    Raises:
        MissingExtra: without the package `onnx`.
        InputError: if it is damaged, asks for files elsewhere or for operators of a plug-in,
            or its weights are not numbers.
    """
    model = load(path)
    _refuse_foreign(model, path)
    _refuse_nan(model, path)
    out = work / "model.onnx"
    if _external(model):
        import onnx

        onnx.save(model, out)
    else:
        shutil.copyfile(path, out)
    scores, multi_label = scores_of(model)
    raw = {"standard": "raw"} if _scales_inside(model) else {}
    return Found(out, "ONNX", scores, multi_label, preparation=raw)


def load(path: Path) -> onnx.ModelProto:
    """Read an ONNX file with the weights beside it; nothing outside its folder is opened.

    Raises:
        MissingExtra: without the package `onnx`.
        InputError: if it cannot be read.
    """
    try:
        import onnx
        from onnx.external_data_helper import load_external_data_for_model
    except ImportError:
        raise MissingExtra("onnx", "importing an ONNX file") from None
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as e:  # protobuf's own classes, which differ between its versions
        raise InputError(f"{path} is no ONNX file, or a damaged one: {e}") from e
    if not model.graph.node or not model.graph.output:
        raise InputError(f"{path} is no ONNX file, or a damaged one: it holds no graph")
    folder = path.parent.resolve()
    size = 0
    for location in _external(model):
        beside = (folder / location).resolve()
        if not beside.is_relative_to(folder) or not beside.is_file():
            raise InputError(
                f"{path} keeps weights in {location!r}, which is not a file in its folder: put it "
                "there, or save the model in one file (onnx.save with save_as_external_data=False)"
            )
        size += beside.stat().st_size
    if size > LARGEST:
        raise InputError(
            f"the weights of {path} have {size / 1e9:.1f} GB, at most {LARGEST / 1e9:.1f} GB can "
            "be imported: export the model in float16 or int8"
        )
    if size:
        try:
            load_external_data_for_model(model, str(folder))
        except Exception as e:  # onnx raises several classes of its own here
            raise InputError(f"the weights beside {path} cannot be read: {e}") from e
    return model


def scores_of(model: onnx.ModelProto) -> tuple[Scores, bool]:
    """Tell by the last operator what the first output is, and whether labels exclude each other.

    Returns:
        The kind of its scores, and True if each label has a probability of its own.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while name in producers:
        node = producers[name]
        if node.op_type in ("Softmax", "Sigmoid"):
            return Scores.PROBABILITIES, node.op_type == "Sigmoid"
        if node.op_type not in _TRANSPARENT:
            break
        name = node.input[0]
    return Scores.LOGITS, False


def _external(model: onnx.ModelProto) -> list[str]:
    """Names of the files in which weights lie."""
    found = {
        entry.value
        for tensor in _tensors(model)
        if tensor.data_location == tensor.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(found)


def _tensors(model: onnx.ModelProto) -> list[Any]:
    """Every tensor in the file: of the graph, of graphs inside it, of constants."""
    graphs, found = [model.graph], []
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            found += list(graph.initializer)
            nodes += list(graph.node)
        while nodes:
            for attribute in nodes.pop().attribute:
                graphs += [g for g in (attribute.g, *attribute.graphs) if g.node]
                found += [t for t in (attribute.t, *attribute.tensors) if t.dims or t.raw_data]
    return found


def _refuse_foreign(model: onnx.ModelProto, path: Path) -> None:
    own = {function.domain for function in model.functions}
    nodes = [*model.graph.node, *(n for f in model.functions for n in f.node)]
    foreign = sorted(
        {f"{n.domain}::{n.op_type}" for n in nodes if n.domain not in {*_DOMAINS, *own}}
    )
    if foreign:
        raise InputError(
            f"{path} uses operators of a plug-in ({', '.join(foreign[:4])}), whose code would have "
            "to be run; export the model with standard operators only"
        )


def _refuse_nan(model: onnx.ModelProto, path: Path) -> None:
    from onnx import numpy_helper

    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InputError(
                f"{path}: the weights {tensor.name!r} hold values that are no numbers (NaN): the "
                "training went astray; export an earlier checkpoint"
            )


def _scales_inside(model: onnx.ModelProto) -> bool:
    """Whether the graph divides its input by 255 or so itself."""
    from onnx import numpy_helper

    name = model.graph.input[0].name
    constants = {t.name: t for t in model.graph.initializer}
    for _ in range(4):
        node = next((n for n in model.graph.node if name in n.input), None)
        if node is None or node.op_type not in _RESCALING:
            return False
        for other in node.input:
            if other in constants and node.op_type in ("Div", "Mul"):
                value = np.abs(numpy_helper.to_array(constants[other]).astype(np.float64)).ravel()
                factor = value if node.op_type == "Div" else 1 / np.maximum(value, 1e-12)
                return bool((factor > 50).all())
        name = node.output[0]
    return False
