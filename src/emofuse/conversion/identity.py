"""The nets that tell people apart, as ONNX graphs: dlib's for faces, Resemblyzer's for voices.

    python -m emofuse.conversion.identity face dlib_face_recognition_resnet_model_v1.dat OUT.onnx
    python -m emofuse.conversion.identity voice resemblyzer/pretrained.pt OUT.onnx [HEADS.npz]

The first file comes with the package ``face_recognition_models`` (public domain), the second
with ``resemblyzer`` (Apache-2.0). Of the heads (`benchmarks.identity heads` fits them) a projection
takes out of a voice what changes with what its speaker feels, and a logistic regression tells two
voices at once from one. Weights are stored as int8 with a
scale for each output and are float32 again once the graph is loaded: nothing is computed in
int8.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..errors import InputError
from ..training.face.nets.identity import dlib_layers

_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))  # dlib's: width, number of blocks
_MEAN, _RANGE = (122.782, 117.001, 104.298), 256.0  # what dlib takes from red, green, blue
_SIDE, _MELS = 150, 40  # dlib's crops in pixels; mel bands of a voice


class _Graph:
    """An ONNX graph that grows node by node; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        out = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, values: Any, kind: type = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, values: NDArray[np.float32], outputs: int = 0) -> str:
        """Store weights in int8, with a scale for each index of the axis `outputs`."""
        others = tuple(axis for axis in range(values.ndim) if axis != outputs)
        scale = np.abs(values).max(axis=others, keepdims=True) / 127
        stored = np.round(values / np.maximum(scale, 1e-12))
        integers = self.constant(stored, np.int8)
        return self.node(
            "Mul", self.node("Cast", integers, to=TensorProto.FLOAT), self.constant(scale)
        )

    def save(self, path: Path, inputs: Any, width: int, what: str) -> None:
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])]
        if any("overlap" in node.output for node in self.nodes):
            outputs.append(
                helper.make_tensor_value_info("overlap", TensorProto.FLOAT, ["batch", 1])
            )
        graph = helper.make_graph(
            self.nodes,
            what,
            [helper.make_tensor_value_info(*inputs)],
            outputs,
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def convert_face(source: Path, path: Path) -> None:
    """Write dlib's net: RGB uint8 (batch, 150, 150, 3) → embedding, float32 (batch, 128).

    Raises:
        InputError: if `source` is not dlib's file.
    """
    layers, matrix = dlib_layers(source)
    g, at = _Graph(), iter(layers)

    def convolve(x: str, stride: int = 1, pad: int = 1) -> str:
        kernel, bias = next(at)
        weights = [g.weights(kernel), g.constant(bias)]
        return g.node("Conv", x, *weights, strides=[stride] * 2, pads=[pad] * 4)

    x = g.node("Transpose", g.node("Cast", "face", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    mean = np.array(_MEAN).reshape(1, 3, 1, 1)
    x = g.node("Mul", g.node("Sub", x, g.constant(mean)), g.constant(1 / _RANGE))
    x = g.node("Relu", convolve(x, stride=2, pad=0))
    x = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side, width = ((_SIDE - 7) // 2 + 1 - 3) // 2 + 1, 32
    for stage, (wider, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            halves = stage > 0 and block == 0
            y = g.node("Relu", convolve(x, *((2, 0) if halves else (1, 1))))
            y = convolve(y)
            if halves:  # the shortcut is averaged; the smaller of both is padded
                x = g.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
                ours, theirs = (side - 3) // 2 + 1, side // 2
                side = max(ours, theirs)
                y = _padded(g, y, 0, side - ours)
                x = _padded(g, x, wider - width, side - theirs)
                width = wider
            x = g.node("Relu", g.node("Add", x, y))
    pooled = g.node("Flatten", g.node("GlobalAveragePool", x))
    g.node("MatMul", pooled, g.weights(matrix, outputs=1), name="embedding")
    shape = ["batch", _SIDE, _SIDE, 3]
    g.save(path, ("face", TensorProto.UINT8, shape), matrix.shape[1], "dlib face recognition")


def _padded(g: _Graph, x: str, channels: int, side: int) -> str:
    if not (channels or side):
        return x
    return g.node("Pad", x, g.constant([0, 0, 0, 0, 0, channels, side, side], np.int64))


def convert_voice(source: Path, path: Path, heads: Path | None = None) -> None:
    """Write Resemblyzer's net: mel power, float32 (batch, frames, 40) → embedding of length 1.

    Args:
        source: its weights.
        path: where the graph goes.
        heads: an archive with ``mean`` (256,) and ``matrix`` (256, width), by which embeddings
            are projected, and ``weights`` (256,) and ``bias`` (1,) of a further output
            ``overlap``: how likely two people speak at once, in [0, 1].

    Raises:
        InputError: if `source` is not Resemblyzer's file.
    """
    import torch

    try:
        state = torch.load(source, map_location="cpu", weights_only=True)["model_state"]
    except (OSError, KeyError, RuntimeError) as e:
        raise InputError(f"{source} is not resemblyzer/pretrained.pt: {e}") from e
    g = _Graph()
    x = g.node("Transpose", "mel", perm=[1, 0, 2])  # ONNX wants time first
    for layer in range(3):
        w, r, *biases = (
            _gates(state[f"lstm.{name}_l{layer}"].numpy())
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        tensors = [g.weights(w[None], 1), g.weights(r[None], 1)]
        bias = g.constant(np.concatenate(biases)[None])
        x = g.node("LSTM", x, *tensors, bias, hidden_size=r.shape[1])
        x = g.node("Squeeze", x, g.constant([1], np.int64))
    last = g.node("Gather", x, g.constant(-1, np.int64), axis=0)
    matrix, bias = state["linear.weight"].numpy(), g.constant(state["linear.bias"].numpy())
    raw = g.node("Relu", g.node("Gemm", last, g.weights(matrix), bias, transB=1))
    width = matrix.shape[0]
    if heads is not None:
        with np.load(heads) as stored:
            mean, matrix = stored["mean"], stored["matrix"]
            weights, bias = stored["weights"][:, None], stored["bias"]
        unit = _unit(g, raw)
        likely = g.node("Gemm", unit, g.constant(weights), g.constant(bias))
        g.node("Sigmoid", likely, name="overlap")
        centered = g.node("Sub", unit, g.constant(mean))
        raw, width = g.node("MatMul", centered, g.constant(matrix)), matrix.shape[1]
    _unit(g, raw, "embedding")
    shape = ["batch", "frames", _MELS]
    g.save(path, ("mel", TensorProto.FLOAT, shape), width, "GE2E speaker encoder")


def _unit(g: _Graph, rows: str, name: str | None = None) -> str:
    """Bring rows to length 1."""
    norm = g.node("ReduceL2", rows, axes=[1], keepdims=1)
    return g.node("Div", rows, g.node("Max", norm, g.constant(1e-6)), name=name)


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring PyTorch's order of gates (input, forget, cell, output) to ONNX's."""
    i, f, c, o = np.split(rows, 4)
    return np.concatenate([i, o, f, c])


if __name__ == "__main__":
    {"face": convert_face, "voice": convert_voice}[sys.argv[1]](*map(Path, sys.argv[2:]))
