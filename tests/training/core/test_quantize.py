"""int8 weights: a quarter of the size, nearly the same answers, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from emofuse.errors import ModelError
from emofuse.models.runtime import Session
from emofuse.training.core.export import write_onnx
from emofuse.training.core.quantize import Products, quantize, quantize_static, round_to_int8


class Net(torch.nn.Module):
    """A table, a layer on three axes (MatMul) and one on two (Gemm)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(500, 96)
        self.inner = torch.nn.Linear(96, 96)
        self.head = torch.nn.Linear(96, 64)
        with torch.no_grad():  # lines of very different size need scales of their own
            self.inner.weight *= torch.logspace(-1.5, 0.5, 96)[:, None]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.inner(self.table(ids))).mean(1))


def test_a_graph_is_a_quarter_and_answers_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "net.onnx"
    ids = torch.randint(0, 500, (8, 5))
    write_onnx(Net(), (ids,), path, [{0: "batch", 1: "tokens"}])
    before, size = Session(path).logits(ids.numpy()), path.stat().st_size
    quantize(path)
    session = Session(path)
    after = session.logits(ids.numpy())
    assert path.stat().st_size < 0.35 * size
    assert 0 < np.abs(after - before).max() < 0.01
    alone = np.concatenate([session.logits(row[None].numpy()) for row in ids])
    np.testing.assert_allclose(alone, after, atol=1e-6)


def test_kernels_of_convolutions_shrink_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 64, 3)
    )
    with torch.no_grad():
        net[2].weight *= torch.logspace(-1.5, 0.5, 64)[:, None, None, None]
    path = tmp_path / "net.onnx"
    pictures = torch.randn(4, 3, 12, 12)
    write_onnx(net, (pictures,), path)
    before, size = Session(path).logits(pictures.numpy()), path.stat().st_size
    quantize(path)
    after = Session(path).logits(pictures.numpy())
    assert path.stat().st_size < 0.4 * size
    assert 0 < np.abs(after - before).max() < 0.02


@pytest.mark.parametrize("axis", [0, 1])
def test_rounding_errs_by_half_a_step_at_most(axis: int) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(30, 40)).astype(np.float32) * np.logspace(
        -3, 3, 40, dtype=np.float32
    )
    weights[:, 7] = weights[3] = 0.0
    integers, scales = round_to_int8(weights, axis)
    assert integers.dtype == np.int8
    assert np.isfinite(scales).all()
    assert (np.abs(integers * scales - weights) <= scales * 0.501).all()


class Attending(torch.nn.Module):
    """Products with large matrices, with a small one, and of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = torch.nn.Linear(96, 96), torch.nn.Linear(96, 96)
        self.small = torch.nn.Linear(96, 8)
        with torch.no_grad():
            self.query.weight *= torch.logspace(-1, 0.5, 96)[:, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(-1) @ x
        return self.small(torch.tanh(mixed))[:, 0]


def test_products_with_large_matrices_compute_in_int8(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = tmp_path / "net.onnx", tmp_path / "int8.onnx"
    rows = torch.randn(24, 7, 96)
    write_onnx(Attending(), (rows,), source, [{0: "batch", 1: "tokens"}])
    before = Session(source).logits(rows.numpy())
    quantize_static(source, target, [(part.numpy(),) for part in rows.split(8)], Products.MATRICES)
    session = Session(target)
    after = session.logits(rows.numpy())
    assert target.stat().st_size < 0.5 * source.stat().st_size
    assert 0 < np.abs(after - before).max() < 0.1
    loud = np.concatenate([rows.numpy()[:1], 100 * rows.numpy()[1:]])
    # A scale found beforehand: what else is in the batch changes nothing.
    np.testing.assert_allclose(session.logits(loud)[0], after[0], atol=1e-5)
    products = [n for n in onnx.load(target).graph.node if n.op_type == "MatMul"]
    integers = {t.name for t in onnx.load(target).graph.initializer if t.data_type == 3}
    assert len(products) == 5
    assert len(integers) >= 2


class Residual(torch.nn.Module):
    """Convolutions, one around which the picture is added, and a head that adds, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = torch.nn.Conv2d(1, 16, 3), torch.nn.Conv2d(16, 16, 3, padding=1)
        self.head, self.offset = torch.nn.Linear(16, 4), torch.nn.Parameter(torch.randn(4) * 50)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        x = (x + self.body(x)).relu()
        return self.head(x.mean((2, 3))).log_softmax(-1) + self.offset


def test_convolutions_compute_in_int8_and_the_head_in_floats(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = tmp_path / "net.onnx", tmp_path / "int8.onnx"
    rows = torch.randn(16, 1, 12, 12)
    write_onnx(Residual(), (rows,), source)
    quantize_static(source, target, [(rows.numpy(),)])
    before, after = (Session(path).logits(rows.numpy()) for path in (source, target))
    assert 0 < np.abs(after - before).max() < 0.1
    nodes = onnx.load(target).graph.node
    kinds = {name: node.op_type for node in nodes for name in node.output}
    inputs = [[kinds.get(name) for name in n.input] for n in nodes if n.op_type == "Add"]
    assert sorted("DequantizeLinear" in found for found in inputs) == [False, True]


def test_what_has_nothing_to_quantise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    rows = torch.randn(4, 8)
    write_onnx(torch.nn.Sequential(torch.nn.Linear(8, 4)), (rows,), path)
    for what in Products:
        with pytest.raises(ModelError, match=f"has no {what.value} to compute"):
            quantize_static(path, tmp_path / "x.onnx", [(rows.numpy(),)], what)


def test_a_narrowing_product_may_stay_in_floats(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = tmp_path / "net.onnx"
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.Tanh(), torch.nn.Linear(128, 64))
    rows = torch.randn(8, 3, 64)
    write_onnx(net, (rows,), source, [{0: "batch", 1: "tokens"}])
    integers = []
    for what in (Products.MATRICES, Products.WIDENING):
        target = tmp_path / f"{what.name}.onnx"
        quantize_static(source, target, [(rows.numpy(),)], what)
        integers.append(
            sum(len(t.dims) == 2 and t.data_type == 3 for t in onnx.load(target).graph.initializer)
        )
    assert integers == [2, 1]
