"""Makes an ONNX file a quarter of its size, by int8 weights or by int8 arithmetic.

`quantize` rounds large weights alone. Each row or column of a matrix, or kernel of a
convolution, that makes one output gets a scale of its own. Activations stay float32,
so answers depend neither on the other rows of a batch nor on a processor's int8
instructions, as they do with dynamic quantization. Only standard operators are used:
``Cast`` and ``Mul`` of constants, which ONNX Runtime computes once when it loads the
graph. Rows of an embedding are scaled when they are looked up, and their table stays
small in memory as well.

`quantize_static` makes convolutions, or products with large matrices, compute in int8,
with scales found beforehand on calibration samples, so that answers don't depend on the
batch either. It is for small nets on a CPU: a transformer answers in half the time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ...errors import ModelError

SMALLEST = 4096
"""Matrices with fewer weights than this stay as they are."""


class Quantization(str, Enum):
    """How a model is made smaller."""

    NONE = "none"
    """It stays in float32."""

    WEIGHTS = "weights"
    """Large matrices are kept in int8 and computed in float32: see `quantize`."""

    STATIC = "static"
    """Convolutions compute in int8, if that costs little: see `quantize_static`."""

    MATRICES = "matrices"
    """Products with large matrices compute in int8, if that costs little; the other large
    weights are kept in int8."""


class Products(str, Enum):
    """What computes in int8; values are how people are told."""

    CONVOLUTIONS = "convolutions"

    MATRICES = "products with large matrices"
    """Products of activations, as in attention, stay in float32."""

    WIDENING = "products with large matrices that do not narrow"
    """What a wide hidden layer gives to a narrow one stays in float32, too: in some
    transformers a few of its values are so large that the others round to nothing."""


CHOICES = {
    Quantization.STATIC: (Products.CONVOLUTIONS,),
    Quantization.MATRICES: (Products.MATRICES, Products.WIDENING),
}
"""What is tried in turn, until it costs little."""


def quantize_static(
    source: Path,
    target: Path,
    batches: Sequence[tuple[NDArray[Any], ...]],
    what: Products = Products.CONVOLUTIONS,
) -> None:
    """Let some products of an ONNX file compute in int8.

    Quantise-dequantise pairs, a scale a channel for weights, a scale a tensor for
    activations, whose range is what the calibration samples show. Weights use 7 of
    their 8 bits: processors without VNNI add two products in 16 bits, which would
    overflow with more. The head stays in float32.

    Args:
        source: the float32 graph.
        target: where the new one goes.
        batches: inputs of the graph in order, a tuple a batch; some hundred rows in all.
        what: which products.

    Raises:
        ModelError: if there is nothing to round_to_int8.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    model = onnx.load(source)
    chosen = _to_quantize(model.graph, what)
    if not chosen:
        raise ModelError(f"{source.name} has no {what.value} to compute in int8")
    convolutions = what is Products.CONVOLUTIONS
    names = [value.name for value in model.graph.input]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            feeds = (dict(zip(names, batch, strict=True)) for batch in batches)
            self._feeds: Iterator[dict[str, NDArray[Any]]] = iter(feeds)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._feeds, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it recommends what was done: the graph is folded already
    try:
        quantize_static(
            model,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "MaxPool"] if convolutions else ["MatMul"],
            nodes_to_quantize=chosen,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
    finally:
        logger.setLevel(level)


def _to_quantize(graph: onnx.GraphProto, what: Products) -> list[str]:
    """Return the names of the nodes that give the most to gain."""
    if what is Products.CONVOLUTIONS:
        return _convolutional(graph)
    large = {w.name: w.dims for w in graph.initializer if int(np.prod(w.dims)) >= SMALLEST}
    chosen = []
    for node in graph.node:
        weights = [large[name] for name in node.input if name in large]
        narrows = any(w[0] > w[-1] for w in weights)
        if node.op_type == "MatMul" and weights and not (narrows and what is Products.WIDENING):
            chosen.append(node.name)
    return chosen


def _convolutional(graph: onnx.GraphProto) -> list[str]:
    """Return the convolutions, and what adds and pools their results; no addition of a head."""
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    made = {name for node in convolutions for name in node.output}
    between = [
        node.name
        for node in graph.node
        if node.op_type == "MaxPool" or (node.op_type == "Add" and made & set(node.input))
    ]
    return [node.name for node in convolutions] + between if convolutions else []


def quantize(path: Path, smallest: int = SMALLEST) -> None:
    """Store the matrices and kernels of at least `smallest` weights as int8, in place."""
    model = onnx.load(path)
    graph = model.graph
    for weight in list(graph.initializer):
        users = [node for node in graph.node if weight.name in node.input]
        if _is_large(weight, users, smallest):
            graph.initializer.remove(weight)
            if all(node.op_type == "Gather" and node.input[0] == weight.name for node in users):
                _quantize_table(graph, weight, users)
            else:
                _quantize_matrix(graph, weight, _inner_axis(weight, users))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def round_to_int8(
    weights: NDArray[np.float32], axis: int | tuple[int, ...]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights to int8 with one scale for all that lie along `axis` (or several).

    Returns:
        The integers, and scales that broadcast: ``integers * scales`` ≈ `weights`.
    """
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scales = np.maximum(largest / 127.0, np.float32(1e-12)).astype(np.float32)
    return np.round(weights / scales).astype(np.int8), scales


def _is_large(weight: TensorProto, users: Sequence[onnx.NodeProto], smallest: int) -> bool:
    """Whether it is a float32 matrix, or the kernels of a convolution, worth storing as int8."""
    large = weight.data_type == TensorProto.FLOAT and int(np.prod(weight.dims)) >= smallest
    return large and bool(users) and (len(weight.dims) == 2 or _are_kernels(users, weight.name))


def _are_kernels(users: Sequence[onnx.NodeProto], name: str) -> bool:
    return all(node.op_type == "Conv" and node.input[1] == name for node in users)


def _inner_axis(weight: TensorProto, users: Sequence[onnx.NodeProto]) -> int | tuple[int, ...]:
    """Return what is summed over.

    0 in ``x @ w``, 1 if w is transposed there, all axes but the first of kernels.
    """
    name = weight.name
    if _are_kernels(users, name):
        return tuple(range(1, len(weight.dims)))
    transposed = [
        node.op_type == "Gemm"
        and node.input[1] == name
        and any(a.name == "transB" and a.i for a in node.attribute)
        for node in users
    ]
    return 1 if all(transposed) else 0


def _quantize_matrix(
    graph: onnx.GraphProto, weight: TensorProto, axis: int | tuple[int, ...]
) -> None:
    """Put ``Cast(int8) * scales`` where the matrix was."""
    name = weight.name
    integers, scales = round_to_int8(numpy_helper.to_array(weight), axis)
    graph.initializer.append(numpy_helper.from_array(integers, f"{name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scales"))
    cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT)
    scale = helper.make_node("Mul", [f"{name}.float", f"{name}.scales"], [name])
    for position, node in enumerate((cast, scale)):
        graph.node.insert(position, node)


def _quantize_table(
    graph: onnx.GraphProto, weight: TensorProto, users: list[onnx.NodeProto]
) -> None:
    """Look up integers and scales, and multiply what was found."""
    name = weight.name
    integers, scales = round_to_int8(numpy_helper.to_array(weight), axis=1)
    graph.initializer.append(numpy_helper.from_array(integers, f"{name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scales"))
    for user in users:
        found, (indices, result) = user.output[0], (user.input[1], user.output[0])
        nodes = [
            helper.make_node("Gather", [f"{name}.int8", indices], [f"{found}.int8"]),
            helper.make_node("Gather", [f"{name}.scales", indices], [f"{found}.scales"]),
            helper.make_node("Cast", [f"{found}.int8"], [f"{found}.float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{found}.float", f"{found}.scales"], [result]),
        ]
        position = list(graph.node).index(user)
        graph.node.remove(user)
        for offset, node in enumerate(nodes):
            graph.node.insert(position + offset, node)
