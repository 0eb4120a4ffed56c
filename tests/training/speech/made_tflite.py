"""Writes TensorFlow Lite files: one dense layer with int8 weights; YAMNet's layers at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
import tflite

_FLOAT = tflite.TensorType.FLOAT32
_TYPES = {"<f4": _FLOAT, "|i1": tflite.TensorType.INT8}
_WIDTHS = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)  # of MobileNet v1's blocks


def made_file(weights: np.ndarray, scales: Sequence[float], biases: Sequence[float]) -> bytes:
    """Return the bytes of a file whose dense layer has these constants.

    Args:
        weights: int8, shape (outputs, inputs).
        scales: for each output, what its weights are multiplied by.
        biases: float, one for each output.
    """
    layer = tflite.BuiltinOperator.FULLY_CONNECTED, (weights, np.asarray(biases, np.float32))
    return _file([layer], {id(weights): scales})


def made_yamnet(seed: int = 1) -> bytes:
    """Return a file with the layers of the published YAMNet and random weights."""
    rng, kinds = np.random.default_rng(seed), tflite.BuiltinOperator

    def convolution(kind: int, *shape: int) -> tuple[int, tuple[np.ndarray, ...]]:
        outputs = shape[-1] if kind == kinds.DEPTHWISE_CONV_2D else shape[0]
        spread = np.sqrt(2 * outputs / np.prod(shape))
        return kind, (rng.normal(0, spread, shape).astype(np.float32), np.zeros(outputs, "f4"))

    layers = [
        (kinds.MUL, (np.hanning(400).astype(np.float32),)),
        (kinds.FULLY_CONNECTED, (rng.uniform(0, 0.1, (64, 257)).astype(np.float32),)),
        convolution(kinds.CONV_2D, 32, 3, 3, 1),
    ]
    before = 32
    for width in _WIDTHS:
        layers += [
            convolution(kinds.DEPTHWISE_CONV_2D, 1, 3, 3, before),
            convolution(kinds.CONV_2D, width, 1, 1, before),
        ]
        before = width
    layers.append((kinds.FULLY_CONNECTED, (np.zeros((521, before), np.float32),)))
    return _file(layers, {})


def _file(
    layers: Sequence[tuple[int, tuple[np.ndarray, ...]]], scales: Mapping[int, Sequence[float]]
) -> bytes:
    """Return a chain of operations, each with its constants; int8 ones have scales, by `id`."""
    b = flatbuffers.Builder(1024)
    buffers, tensors, operators = [_buffer(b, b"")], [_tensor(b, (1, 1), _FLOAT, 0)], []
    codes = sorted({kind for kind, _ in layers})
    for kind, constants in layers:
        inputs = [len(tensors) - 1]
        for values in constants:
            inputs.append(len(tensors))
            law = scales.get(id(values), ())
            tensors.append(_tensor(b, values.shape, _TYPES[values.dtype.str], len(buffers), law))
            buffers.append(_buffer(b, values.tobytes()))
        operators.append(_operator(b, codes.index(kind), inputs, len(tensors)))
        tensors.append(_tensor(b, (1, 1), _FLOAT, 0))
    tensor_list = _vector(b, tflite.SubGraphStartTensorsVector, tensors)
    operator_list = _vector(b, tflite.SubGraphStartOperatorsVector, operators)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensor_list)
    tflite.SubGraphAddOperators(b, operator_list)
    graphs = _vector(b, tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
    code_list = _vector(b, tflite.ModelStartOperatorCodesVector, [_code(b, c) for c in codes])
    buffer_list = _vector(b, tflite.ModelStartBuffersVector, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, code_list)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffer_list)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _code(b: flatbuffers.Builder, kind: int) -> int:
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, kind)
    tflite.OperatorCodeAddBuiltinCode(b, kind)
    return tflite.OperatorCodeEnd(b)


def _operator(b: flatbuffers.Builder, code: int, inputs: Sequence[int], output: int) -> int:
    into = b.CreateNumpyVector(np.asarray(inputs, np.int32))
    out_of = b.CreateNumpyVector(np.array([output], np.int32))
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, into)
    tflite.OperatorAddOutputs(b, out_of)
    return tflite.OperatorEnd(b)


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
