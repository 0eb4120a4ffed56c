"""Weights of a training without their graph are built by the training's own code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.conversion.conftest import SEVEN

from emofuse.cli.main import main
from emofuse.conversion.importing import Imported, ImportPlan, import_model
from emofuse.errors import InputError
from emofuse.models.registry import load
from emofuse.models.store import Store

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file

CONFIG = "id: tiny\nnet: {name: cnn4, widths: [4, 4, 4, 4], dense: 8}\npreparation: {side: 16}\n"


def net_of(config: Path, labels: tuple[str, ...] = SEVEN) -> torch.nn.Module:
    from emofuse.conversion.own_net import _trainer

    return _trainer(config, labels, None, None).new_net(fresh=False).eval()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    (folder / "about.json").write_text(json.dumps({"learned": SEVEN}))
    save_file(net_of(config).state_dict(), folder / "best.safetensors")
    return folder


def bring(path: Path, **told: object) -> Imported:
    out = path.parent / "models"
    return import_model(ImportPlan((str(path),), "tiny", out=out, **told))  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_and_its_state_dict_answer_as_the_net_does(run: Path) -> None:
    made = bring(run / "best.safetensors")
    assert made.card.taxonomy.labels == SEVEN
    model = load("tiny", Store(folders=[run / "models"]))
    row = model.prepare(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8))
    with torch.inference_mode():
        expected = net_of(run / "config.yaml")(torch.from_numpy(row[None])).numpy()
    np.testing.assert_allclose(model.logits([row]), expected, atol=1e-4)


@pytest.mark.slow
def test_a_state_dict_elsewhere_names_its_configuration(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"state_dict": net_of(run / "config.yaml").state_dict()}, path)
    with pytest.raises(InputError, match="--net CONFIG"):
        bring(path)
    out = str(tmp_path / "m")
    given = ["--net", str(run / "config.yaml"), "--labels", ",".join(SEVEN), "--to", out]
    assert main(["models", "import", str(path), "--id", "tiny", *given]) == 0
    assert (tmp_path / "m" / "tiny.golden.npz").exists()


def test_weights_of_another_net_are_refused(run: Path) -> None:
    best = run / "best.safetensors"
    with pytest.raises(InputError, match=r"of another shape are .*\(7.* in place of \(2"):
        bring(best, labels=("happy", "sad"))
    tensors = net_of(run / "config.yaml").state_dict()
    first, *rest = tensors
    save_file({"other": tensors[first], **{k: tensors[k] for k in rest}}, best)
    with pytest.raises(InputError, match=f"it lacks {first}; it has besides other"):
        bring(best)


def test_more_than_tensors_is_refused(run: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(net_of(run / "config.yaml"), whole)
    with pytest.raises(InputError, match="more than tensors"):
        bring(whole, net=run / "config.yaml", labels=SEVEN)
    old = tmp_path / "old.pt"
    old.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(InputError, match="pickle"):
        bring(old, net=run / "config.yaml", labels=SEVEN)


def test_weights_that_are_no_numbers_are_refused(run: Path) -> None:
    tensors = net_of(run / "config.yaml").state_dict()
    next(iter(tensors.values()))[0] = torch.nan
    save_file(tensors, run / "best.safetensors")
    with pytest.raises(InputError, match="no numbers"):
        bring(run / "best.safetensors")
