"""Writes a small TensorFlow Lite file: one dense layer with int8 weights."""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
import tflite


def made_file(weights: np.ndarray, scales: Sequence[float], biases: Sequence[float]) -> bytes:
    """Return the bytes of a file whose layer has these constants.

    Args:
        weights: int8, shape (outputs, inputs).
        scales: for each output, what its weights are multiplied by.
        biases: float, one for each output.
    """
    b = flatbuffers.Builder(1024)
    stored = [b"", weights.tobytes(), np.asarray(biases, np.float32).tobytes()]
    buffers = _vector(b, tflite.ModelStartBuffersVector, [_buffer(b, data) for data in stored])
    outputs, inputs = weights.shape
    kinds = tflite.TensorType
    tensors = [
        _tensor(b, (1, inputs), kinds.FLOAT32, 0),
        _tensor(b, (outputs, inputs), kinds.INT8, 1, scales),
        _tensor(b, (outputs,), kinds.FLOAT32, 2),
        _tensor(b, (1, outputs), kinds.FLOAT32, 0),
    ]
    tensors = _vector(b, tflite.SubGraphStartTensorsVector, tensors)
    into = b.CreateNumpyVector(np.array([0, 1, 2], np.int32))
    out_of = b.CreateNumpyVector(np.array([3], np.int32))
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, 0)
    tflite.OperatorAddInputs(b, into)
    tflite.OperatorAddOutputs(b, out_of)
    operators = _vector(b, tflite.SubGraphStartOperatorsVector, [tflite.OperatorEnd(b)])
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddOperators(b, operators)
    graphs = _vector(b, tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, tflite.BuiltinOperator.FULLY_CONNECTED)
    tflite.OperatorCodeAddBuiltinCode(b, tflite.BuiltinOperator.FULLY_CONNECTED)
    codes = _vector(b, tflite.ModelStartOperatorCodesVector, [tflite.OperatorCodeEnd(b)])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _vector(b: flatbuffers.Builder, start: object, items: Sequence[int]) -> int:
    start(b, len(items))
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()


def _buffer(b: flatbuffers.Builder, data: bytes) -> int:
    content = b.CreateByteVector(data)
    tflite.BufferStart(b)
    tflite.BufferAddData(b, content)
    return tflite.BufferEnd(b)


def _tensor(
    b: flatbuffers.Builder,
    shape: Sequence[int],
    kind: int,
    buffer: int,
    scales: Sequence[float] = (),
) -> int:
    law = None
    if scales:
        factors = b.CreateNumpyVector(np.asarray(scales, np.float32))
        zeros = b.CreateNumpyVector(np.zeros(len(scales), np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, factors)
        tflite.QuantizationParametersAddZeroPoint(b, zeros)
        tflite.QuantizationParametersAddQuantizedDimension(b, 0)
        law = tflite.QuantizationParametersEnd(b)
    sizes = b.CreateNumpyVector(np.asarray(shape, np.int32))
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, sizes)
    tflite.TensorAddType(b, kind)
    tflite.TensorAddBuffer(b, buffer)
    if law is not None:
        tflite.TensorAddQuantization(b, law)
    return tflite.TensorEnd(b)
