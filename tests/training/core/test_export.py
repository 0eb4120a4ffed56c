import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from emofuse.errors import ModelError
from emofuse.face.recognise import FaceRecogniser
from emofuse.io.download import file_digest
from emofuse.models.golden import read_golden, replay
from emofuse.models.runtime import Session
from emofuse.models.write import to_toml, write_golden
from emofuse.training.core import export as exporting
from emofuse.training.core.export import export
from emofuse.training.face.nets.residual import FaceNet, FaceNetConfig
from emofuse.training.face.task import drawn_faces

FIELDS: dict[str, Any] = {
    "id": "face-test",
    "modality": "face",
    "recogniser": "face",
    "summary": 'A "net" of the tests',
    "labels": ["one", "two", "three"],
    "preparation": {"side": 48, "floor": 8.0, "crop": "none"},
    "metrics": [{"corpus": "c", "split": "s", "name": "n", "value": 0.5, "protocol": "p"}],
}


def small_net() -> FaceNet:
    torch.manual_seed(3)
    net = FaceNet(FaceNetConfig(labels=3, stem=16, widths=(16, 32), blocks=(1, 1)))
    with torch.no_grad():  # a norm whose running figures and scales are not their defaults
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
    return net.eval()


def test_export_answers_as_torch_and_describes_itself(tmp_path: Path) -> None:
    net = small_net()
    card = export(net, (torch.randn(2, 1, 48, 48),), FIELDS, tmp_path)
    weights = tmp_path / card.files["weights"].name
    assert {p.name for p in tmp_path.iterdir()} == {"face-test.onnx", "face-test.toml"}
    assert card.embedding == 32
    assert card.files["weights"].sha256 == file_digest(weights)
    assert card.files["weights"].bytes == weights.stat().st_size
    assert card.summary == FIELDS["summary"]
    assert card.metrics[0].value == 0.5

    session = Session(weights)
    for n in (1, 2, 7):  # batch sizes other than the exported one
        x = torch.randn(n, 1, 48, 48)
        with torch.inference_mode():
            np.testing.assert_allclose(session.logits(x.numpy()), net(x).numpy(), atol=1e-4)

    recogniser = FaceRecogniser(card, {"weights": weights})
    golden = write_golden(recogniser, drawn_faces(), tmp_path)
    assert replay(recogniser, read_golden(golden)) == 0
    assert (
        recogniser.infer([recogniser.prepare(f) for f in drawn_faces()])[0].probabilities.confidence
        < 1
    )


def test_a_graph_that_answers_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differ from torch's"):
        export(small_net(), (torch.randn(2, 1, 48, 48),), FIELDS, tmp_path)


def test_toml_is_read_back_as_it_was() -> None:
    fields = {
        "text": 'quotes " and \\ and ü\nand lines',
        "numbers": [1, 2.5, 1e-7],
        "yes": True,
        "empty": [],
        "table": {"odd key!": "x", "deeper": {"a": 1}},
        "rows": [{"a": 1, "b": {"c": [True]}}, {"a": 2}],
    }
    assert tomllib.loads(to_toml({**fields, "nothing": None})) == fields


def test_toml_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ValueError, match="nan"):
        to_toml({"value": float("nan")})
    with pytest.raises(TypeError, match="ndarray"):
        to_toml({"value": np.zeros(2)})
