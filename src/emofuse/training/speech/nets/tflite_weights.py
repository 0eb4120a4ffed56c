"""Reads the constants of a TensorFlow Lite file, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError, MissingExtra

_TYPES = {"FLOAT32": np.float32, "INT8": np.int8, "INT32": np.int32}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An operation with constant operands.

    Args:
        operation: as TensorFlow Lite calls it, e.g. ``"CONV_2D"``.
        constants: the constant operands in order, as real numbers: what is stored
            as integers is multiplied by its scale.
        output: range (lowest, highest) of what the operation can give, if that is
            stored as int8; None if it is not.
    """

    operation: str
    constants: tuple[NDArray[np.float32], ...]
    output: tuple[float, float] | None


def read_layers(path: Path) -> Iterator[Layer]:
    """Yield the operations of a TensorFlow Lite file in order.

    Raises:
        MissingExtra: if the package that reads the format is not installed.
        InputError: if the file is not of that format.
    """
    try:
        import tflite
    except ImportError as e:
        raise MissingExtra("train", "reading TensorFlow Lite files (package tflite)") from e
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise InputError(f"{path} is not a TensorFlow Lite file; expected the marks TFL3 in it")
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    operations = {code: name for name, code in vars(tflite.BuiltinOperator).items()}
    types = {code: name for name, code in vars(tflite.TensorType).items()}
    for k in range(graph.OperatorsLength()):
        operator = graph.Operators(k)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = operations[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        operands = [graph.Tensors(i) for i in operator.InputsAsNumpy() if i >= 0]
        constants = [_constant(model, t, types[t.Type()]) for t in operands]
        result = graph.Tensors(operator.OutputsAsNumpy()[0])
        yield Layer(
            name,
            tuple(c for c in constants if c is not None),
            _range(result) if types[result.Type()] == "INT8" else None,
        )


def _constant(model: object, tensor: object, kind: str) -> NDArray[np.float32] | None:
    """The numbers of a tensor; None if it is computed, not stored."""
    stored = model.Buffers(tensor.Buffer()).DataAsNumpy()  # type: ignore[attr-defined]
    if kind not in _TYPES or not isinstance(stored, np.ndarray) or not stored.size:
        return None
    shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()  # type: ignore[attr-defined]
    values = stored.view(_TYPES[kind]).reshape(shape).astype(np.float64)
    law = tensor.Quantization()  # type: ignore[attr-defined]
    if law is not None and law.ScaleLength():
        along = [1] * values.ndim
        if law.ScaleLength() > 1:
            along[law.QuantizedDimension()] = -1
        zero = law.ZeroPointAsNumpy().reshape(along)
        values = (values - zero) * law.ScaleAsNumpy().astype(np.float64).reshape(along)
    return values.astype(np.float32)


def _range(tensor: object) -> tuple[float, float] | None:
    law = tensor.Quantization()  # type: ignore[attr-defined]
    if law is None or law.ScaleLength() != 1:
        return None
    scale, zero = float(law.Scale(0)), int(law.ZeroPoint(0))
    return (-128 - zero) * scale, (127 - zero) * scale
