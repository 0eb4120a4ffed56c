"""A whole training by the command line: the run's folder, the model, and what goes wrong."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from tests.training import made

from emofuse.cli.main import main
from emofuse.config.loader import construct
from emofuse.corpora import recipes
from emofuse.errors import InputError, ModelError
from emofuse.models.golden import golden_path, read_golden, replay
from emofuse.models.registry import load
from emofuse.models.store import ModelLocation, Store
from emofuse.training.core.checkpoint import read_tensors
from emofuse.training.core.export import embed
from emofuse.training.core.exporter import Exporter
from emofuse.training.core.measure import majority
from emofuse.training.core.train import fit_only
from emofuse.training.face.task import FaceTrainer, FaceTraining

pytestmark = pytest.mark.slow  # trains nets


def write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a configuration, and a finished run of it."""
    home = tmp_path_factory.mktemp("home")
    table = made.faces(home / "faces", {"train": 32, "validation": 16, "test": 16})
    config = write(home / "tiny.yaml", made.face_config(home / "run", table))
    assert main(["train", "face", "--config", str(config), "--evaluate"]) == 0
    return home


def test_the_folder_says_what_was_done(home: Path) -> None:
    run = home / "run"
    about = json.loads((run / "about.json").read_text())
    assert about["versions"]["torch"] == torch.__version__
    assert about["learned"] == ["happy", "sad"]
    assert set(about) >= {"commit", "device", "hours", "command"}
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert epochs[-1]["accuracy"] == 1.0
    assert 0.5 < epochs[-1]["train_accuracy"] <= 1.0
    for picture in ("curves.png", "confusion.png"):
        with Image.open(run / picture) as image:
            assert min(image.size) > 150
            assert len(np.unique(np.asarray(image.convert("L")))) > 8, "not blank"
    _, told = read_tensors(run / "best.safetensors")
    assert told["net"]["name"] == "compact"
    assert told["learned"] == ["happy", "sad"]


def test_what_was_held_out_is_evaluated(home: Path) -> None:
    report = home / "run" / "report" / "csv"
    results = json.loads((report / "results.json").read_text())
    assert sum(map(sum, results["parts"][0]["confusion"])) == 16  # test alone, not validation
    assert (report / "report.html").is_file()


def test_without_a_test_split_nothing_is_evaluated_and_nothing_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made.face_config(tmp_path / "run", made.faces(tmp_path / "faces"))
    args = ["train", "face", "--config", str(write(tmp_path / "x.yaml", config)), "--evaluate"]
    assert main(args) == 2
    assert "nothing is held out: no corpus has a test split" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[http.server.ThreadingHTTPServer]:
    """GoEmotions, as far as a few comments on a server here have it."""
    held = tmp_path / "mirror"
    recipe = recipes.recipe("goemotions")
    downloads = []
    for wanted in recipe.downloads:
        path = held / urlsplit(wanted.url).path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            f"{('so glad', 'so sad')[i % 2]} {i}\t{(17, 25)[i % 2]}\t{path.stem}{i}"
            for i in range(24)
        ]
        path.write_text("\n".join(rows) + "\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        downloads.append(replace(wanted, checksum=f"sha256:{digest}"))
    pinned = replace(recipe, downloads=tuple(downloads))
    monkeypatch.setattr(recipes, "recipe", lambda name: pinned)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(held))

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("EMOFUSE_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("EMOFUSE_OFFLINE", raising=False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_public_corpus_is_fetched_checked_and_read(
    mirror: http.server.ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"corpora": [{"name": "goemotions"}], "net": {"name": "tfidf"}, "select": "beauty"}
    train = ["train", "text", "--config", str(write(tmp_path / "x.yaml", config)), "--download"]
    train += ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    assert main(train) == 2
    told = capsys.readouterr().err  # what is wrong with the settings is found out after reading
    assert "goemotions: 24 samples, validation" in told
    assert "select: got 'beauty', expected one of" in told
    assert {p.name for p in (tmp_path / "data").iterdir()} == {"train.tsv", "dev.tsv", "test.tsv"}
    (tmp_path / "data" / "dev.tsv").unlink()
    for path in (tmp_path / "mirror").rglob("dev.tsv"):
        path.write_text("something else")
    assert main(train) == 2
    assert "dev.tsv from http://127.0.0.1" in capsys.readouterr().err


def test_the_logs_are_for_tensorboard(home: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logs = accumulator.EventAccumulator(str(home / "run" / "tensorboard"))
    logs.Reload()
    assert [e.step for e in logs.Scalars("accuracy")] == [1, 2, 3]
    assert {"loss", "lr", "uar"} <= set(logs.Tags()["scalars"])


def test_the_store_loads_the_model(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "run" / "model"
    monkeypatch.setenv("EMOFUSE_MODELS", str(folder))
    store = Store()
    card = store.card("tiny")
    assert store.location(card) is ModelLocation.LOCAL
    recogniser = load("tiny")
    assert replay(recogniser, read_golden(golden_path(card, store.home(card)))) < 1e-5
    rng = np.random.default_rng(7)
    for label in made.LABELS:
        crop = np.repeat(made.face(label, rng)[..., None], 3, axis=2)
        (answer,) = recogniser.infer([recogniser.prepare(crop)])
        assert answer.probabilities.label == label
        assert answer.embedding.shape == (16,)
    assert card.embedding == 16
    (data,) = card.data
    assert (data.corpus, data.splits, data.chosen) == ("csv", ("train",), ("validation",))
    capsys.readouterr()
    assert main(["models"]) == 0
    assert "tiny" in capsys.readouterr().out


def test_the_same_command_again_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (home / "run" / "state.safetensors").read_bytes()
    card = (home / "run" / "model" / "tiny.toml").read_text()
    report = (home / "run" / "report" / "csv" / "report.html").read_bytes()
    again = ["train", "face", "--config", str(home / "run" / "config.yaml"), "--evaluate"]
    assert main(again) == 0
    assert "is there already and stays" in capsys.readouterr().err
    assert (home / "run" / "report" / "csv" / "report.html").read_bytes() == report
    assert (home / "run" / "state.safetensors").read_bytes() == before
    assert (home / "run" / "model" / "tiny.toml").read_text() == card


def test_other_settings_are_refused_and_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["train", "face", "--config", str(home / "tiny.yaml")]
    assert main([*args, "--epochs", "5"]) == 2
    assert "other settings (epochs: 3 there, 5 now)" in capsys.readouterr().err
    changed = yaml.safe_load((home / "tiny.yaml").read_text()) | {"mixup": 0.2}
    assert main(["train", "face", "--config", str(write(home / "changed.yaml", changed))]) == 2
    assert "other settings (mixup: 0.0 there, 0.2 now)" in capsys.readouterr().err


def test_a_model_is_put_into_a_package(home: Path, tmp_path: Path) -> None:
    card = home / "run" / "model" / "tiny.toml"
    with pytest.raises(InputError, match=r"no folders zoo/ and weights/"):
        embed(card, tmp_path)
    for name in ("zoo", "weights"):
        (tmp_path / name).mkdir()
    assert main(["models", "embed", str(card), "--into", str(tmp_path)]) == 0
    assert sorted(p.name for p in (tmp_path / "weights").iterdir()) == [
        "tiny.golden.npz",
        "tiny.onnx",
    ]
    assert (tmp_path / "zoo" / "tiny.toml").read_text() == card.read_text()
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in card.parent.iterdir():
        (broken / path.name).write_bytes(path.read_bytes().replace(b"Conv", b"Vonc"))
    with pytest.raises(ModelError, match="damaged"):
        embed(broken / "tiny.toml", tmp_path)


def test_a_training_may_start_from_another_ones_weights(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = home / "faces" / "table.csv"
    best = home / "run" / "best.safetensors"
    config = made.face_config(tmp_path / "run", table, init=str(best))
    net = FaceTrainer(construct(FaceTraining, config, "config")).new_net()
    expected = load_file(best)
    assert all(torch.equal(v, expected[k]) for k, v in net.state_dict().items())
    config["net"] = {**config["net"], "widths": [16, 32], "blocks": [1, 1]}
    net = FaceTrainer(construct(FaceTraining, config, "config")).new_net()
    assert torch.equal(net.state_dict()["features.0.weight"], expected["features.0.weight"])
    assert "left as drawn" in capsys.readouterr().err
    config["net"] = {"name": "cnn4"}
    with pytest.raises(InputError, match=r"init: next to nothing in .* fits the net"):
        FaceTrainer(construct(FaceTraining, config, "config")).new_net()


def test_a_model_may_be_the_teacher(home: Path, tmp_path: Path) -> None:
    teacher = {"model": str(home / "run" / "model" / "tiny.toml")}
    corpus = {"name": "csv", "root": str(home / "faces" / "table.csv"), "teacher": teacher}
    targets = {"votes": 0.0, "teacher": 1.0}
    config = made.face_config(tmp_path / "run", Path(), corpora=[corpus], targets=targets)
    (learn,) = FaceTrainer(construct(FaceTraining, config, "config")).train_samples
    assert (learn.target.argmax(axis=1) == learn.label.argmax(axis=1)).mean() > 0.8
    assert 0 < learn.target.min() < 0.5 < learn.target.max() < 1
    kept = tmp_path / "run" / "teacher-csv.csv"
    asked = kept.read_text()
    (again,) = FaceTrainer(construct(FaceTraining, config, "config")).train_samples
    np.testing.assert_array_equal(again.target, learn.target)
    assert kept.read_text() == asked


def test_convolutions_in_int8(home: Path, tmp_path: Path) -> None:
    table = home / "faces" / "table.csv"
    config = made.face_config(tmp_path / "run", table, quantize="static")
    config["net"] = {**config["net"], "stem": 32, "widths": [64, 64], "blocks": [1, 1]}
    config["loop"] = {**config["loop"], "epochs": 6, "lr": 0.02}
    trainer = FaceTrainer(construct(FaceTraining, config, "config"))
    fit_only(trainer)
    card = Exporter(trainer).export()
    assert any("Convolutions compute in int8" in note for note in card.notes)
    floats = sum(p.numel() for p in trainer.new_net().parameters()) * 4
    assert card.files["weights"].bytes < 0.5 * floats
    store = Store(folders=[tmp_path / "run" / "model"])
    recogniser = load("tiny", store)
    assert replay(recogniser, read_golden(golden_path(card, store.home(card)))) < 1e-5
    stated = {m.name: m.value for m in card.metrics}
    assert stated["accuracy"] == 1.0


def test_colour_faces_of_any_size(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "faces", {"train": 8, "validation": 4})
    wide = Image.open(tmp_path / "faces" / "train-0.png").convert("RGB").resize((90, 70))
    wide.save(tmp_path / "faces" / "train-0.png")
    preparation = {"side": 32, "colour": "rgb", "standard": "imagenet"}
    config = made.face_config(tmp_path / "run", table, preparation=preparation)
    trainer = FaceTrainer(construct(FaceTraining, config, "config"))
    (batch,) = trainer.batches(trainer.train_samples)(0, np.random.default_rng(0))
    assert batch.inputs[0].shape == (8, 3, 32, 32)
    assert trainer.new_net()(batch.inputs[0]).shape == (8, 2)


def test_the_majority_is_the_largest_share_and_ties_have_none() -> None:
    target = np.array([[0.6, 0.4, 0], [0.4, 0.4, 0.2], [0.2, 0.3, 0.5]], np.float32)
    logits = np.arange(9, dtype=np.float32).reshape(3, 3)
    hard, kept = majority(target, logits)
    np.testing.assert_array_equal(hard, [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(kept, logits[[0, 2]])


def start(config: Path) -> subprocess.Popen[str]:
    script = "import sys; from emofuse.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", script, "train", "face", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not path.exists() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_interrupted_says_how_to_go_on_and_goes_on(home: Path, tmp_path: Path) -> None:
    config = made.face_config(tmp_path / "run", home / "faces" / "table.csv")
    config["loop"] = {**config["loop"], "epochs": 400}
    process = start(write(tmp_path / "long.yaml", config))
    wait_for(tmp_path / "run" / "state.safetensors", process)
    wait_for(tmp_path / "run" / "metrics.jsonl", process)  # the two are not written at once
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "every finished epoch is kept; the same command resumes" in err
    assert "Traceback" not in err
    done = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert 0 < done < 400
    _, about = read_tensors(tmp_path / "run" / "state.safetensors")
    assert about["epoch"] in (done, done - 1)
