"""Files of other libraries: small ones kept in data/, ONNX graphs made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"
SEVEN = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

needs_keras = pytest.mark.skipif(
    not (find_spec("keras") and find_spec("torch")), reason="Keras or torch is not installed"
)

MakeOnnx = Callable[..., Path]


@pytest.fixture
def data() -> Path:
    """The folder of small files that other libraries made."""
    return DATA


@pytest.fixture
def make_onnx(tmp_path: Path) -> MakeOnnx:
    """Make an ONNX file: flatten, a matrix, and a last operator."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def make(
        shape: tuple[int | str, ...] = ("n", 1, 16, 16),
        labels: int = 7,
        last: str | None = "Softmax",
        domain: str = "",
        nan: bool = False,
    ) -> Path:
        size = int(np.prod([n for n in shape[1:] if isinstance(n, int)]))
        weights = np.random.default_rng(0).standard_normal((size, labels)).astype(np.float32)
        weights[0, 0] = np.nan if nan else weights[0, 0]
        nodes = [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["z" if last else "y"]),
        ]
        if last:
            nodes.append(helper.make_node(last, ["z"], ["y"], domain=domain))
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (shape[0], labels))],
            [numpy_helper.from_array(weights, "w")],
        )
        opsets = [helper.make_opsetid("", 17)] + [helper.make_opsetid(domain, 1)] * bool(domain)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        path = tmp_path / "net.onnx"
        onnx.save(model, path)
        return path

    return make
