"""What the exporter makes of our graphs answers as they do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from emofuse.conversion.exporting import Target, _to_plain_float, export_model
from emofuse.conversion.onnx_file import load as load_onnx
from emofuse.errors import InputError
from emofuse.models.golden import golden_path, read_golden
from emofuse.models.registry import load
from emofuse.models.runtime import Session
from emofuse.models.store import Store

HAS_CONVERTER = bool(os.environ.get("EMOFUSE_ONNX2TF") or shutil.which("onnx2tf"))


@pytest.mark.parametrize(("model_id", "allowed"), [("face-v4", 1e-4), ("speech-v4", 0.1)])
def test_a_graph_in_plain_float(tmp_path: Path, model_id: str, allowed: float) -> None:
    onnx = pytest.importorskip("onnx")
    store = Store(folders=())
    card = store.card(model_id)
    model = load(model_id, store)
    rows = [model.prepare(x) for x in read_golden(golden_path(card)).inputs]
    graph = load_onnx(store.files(card)["weights"])
    _to_plain_float(graph, rows[0].shape)
    onnx.save(graph, tmp_path / "plain.onnx")
    plain = Session(tmp_path / "plain.onnx", gpu=False)
    ours = np.concatenate([plain.logits(row[None]) for row in rows])
    assert {n.op_type for n in graph.graph.node}.isdisjoint({"QuantizeLinear", "DequantizeLinear"})
    np.testing.assert_allclose(ours, model.logits(rows), atol=allowed)  # int8 is rounded


def test_onnx_is_a_copy(tmp_path: Path) -> None:
    (made,) = export_model("face-v4", Target.ONNX, tmp_path, store=Store(folders=()))
    assert (
        made.path.read_bytes()
        == Store(folders=()).files(Store(folders=()).card("face-v4"))["weights"].read_bytes()
    )
    assert made.difference < 1e-5
    with pytest.raises(InputError, match="exists already"):
        export_model("face-v4", Target.ONNX, tmp_path, store=Store(folders=()))


def test_without_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOFUSE_ONNX2TF", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    pytest.importorskip("onnx")
    with pytest.raises(InputError, match=r"onnx2tf.*PATH"):
        export_model("face-v4", Target.TFLITE, tmp_path, store=Store(folders=()))


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CONVERTER, reason="the program onnx2tf is not installed")
def test_tflite_answers_alike(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (made,) = export_model("face-v4", Target.TFLITE, tmp_path, store=Store(folders=()))
    assert made.difference < 1e-4
    assert made.same_labels
