"""Another project's training configuration becomes ours, and nothing in it gets lost silently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emofuse.analyzer import read_config
from emofuse.cli.main import BAD_INPUT, main
from emofuse.config.convert import convert
from emofuse.config.loader import read, read_file
from emofuse.core.estimates import Modality
from emofuse.errors import InputError

OLD = """
facial_model:
  architecture: MobileNetV2
  input_shape: [48, 48, 1]
  num_classes: 7
  dropout: 0.3
  use_se: true
speech_model:
  type: CNN-LSTM
  sample_rate: 22050
  n_mfcc: 40
  n_mels: 64
  duration: 3
fusion_model:
  strategy: late
  weights: {facial: 0.6, speech: 0.4}
training:
  batch_size: 32
  epochs: 50
  learning_rate: 0.0005
  early_stopping: {patience: 7, monitor: val_loss}
  optimizer: Adam
  validation_split: 0.2
  tensorboard: true
"""


def test_each_section_becomes_a_file_that_its_command_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.yaml").write_text(OLD)
    assert (
        main(["config", "convert", str(tmp_path / "old.yaml"), "--out", str(tmp_path / "n")]) == 0
    )
    printed = capsys.readouterr()
    assert {Path(line).name for line in printed.out.split()} == {
        "face.yaml", "speech.yaml", "analyze.yaml",
    }  # fmt: skip
    for lost in ("use_se", "22050", "7 classes", "split of 0.2", "tensorboard"):
        assert lost in printed.err, lost
        assert lost in (tmp_path / "n" / "face.yaml").read_text(), "and in the files"
    analysis = read_config(tmp_path / "n" / "analyze.yaml")
    assert analysis.fusion.strategy == "weighted"
    assert analysis.fusion.weights == {Modality.FACE: 0.6, Modality.SPEECH: 0.4}


def test_the_files_train(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training is an extra")
    from emofuse.training.face.task import FaceTraining
    from emofuse.training.speech.task import SpeechTraining

    (tmp_path / "old.yaml").write_text(OLD)
    assert main(["config", "convert", str(tmp_path / "old.yaml"), "--out", str(tmp_path)]) == 0
    face = read(FaceTraining, tmp_path / "face.yaml")
    assert face.net == {"name": "mobilenet-v2", "dropout": 0.3}
    assert face.preparation["side"] == 48
    assert (face.batch, face.loop.epochs, face.loop.lr) == (32, 50, 5e-4)
    assert face.loop.patience == 7
    speech = read(SpeechTraining, tmp_path / "speech.yaml")
    assert speech.net["name"] == "cnn-lstm"
    assert speech.preparation["seconds"] == 3
    assert speech.batch == 32


@pytest.mark.parametrize(
    ("old", "file", "key", "value"),
    [
        ({"facial_model": {"backbone": "ResNet-50"}}, "face.yaml", "net", {"name": "resnet50"}),
        ({"speech_model": {"model": "facebook/wav2vec2-base"}}, "speech.yaml", "net",
         {"name": "wav2vec2"}),
        ({"speech_model": {"n_mfcc": 40}}, "speech.yaml", "preparation", {"coefficients": 40}),
        ({"fusion_model": {"type": "attention", "hidden_dim": 64}}, "fusion.yaml", "width", 64),
        ({"fusion_model": {"facial_weight": 0.7, "speech_weight": 0.3}}, "analyze.yaml", "fusion",
         {"strategy": "weighted", "weights": {"face": 0.7, "speech": 0.3}}),
    ],
)  # fmt: skip
def test_names_of_the_field_are_known(
    old: dict[str, Any], file: str, key: str, value: object
) -> None:
    assert convert(old).files[file][key] == value


def test_what_is_unknown_is_told() -> None:
    made = convert({"facial_model": {"architecture": "EfficientNet-B7"}, "logging": {}})
    assert made.files["face.yaml"]["net"] == {"name": "cnn4"}
    assert any("no net 'EfficientNet-B7'" in note for note in made.notes)
    assert any(note.startswith("logging") for note in made.notes)


@pytest.mark.parametrize("old", [{}, {"model": 1}, {"facial_model": 7}])
def test_other_files_are_refused(old: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        convert(old)


def test_files_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text(json.dumps({"facial_model": {"type": "cnn"}}))
    (tmp_path / "face.yaml").write_text("mine")
    command = ["config", "convert", str(tmp_path / "old.json"), "--out", str(tmp_path)]
    assert main(command) == BAD_INPUT
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert read_file(tmp_path / "face.yaml")["net"] == {"name": "cnn4"}


def test_live_settings_are_printed_and_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from emofuse.streaming import live_config

    assert main(["config", "--live"]) == 0
    (tmp_path / "live.yaml").write_text(capsys.readouterr().out)
    assert read_config(tmp_path / "live.yaml") == live_config()


def test_live_keeps_what_a_file_sets(tmp_path: Path) -> None:
    from emofuse.streaming import live_config

    (tmp_path / "mine.yaml").write_text("fps: 8\nface: {detector: haar, detect_every: 2}\n")
    mine = read_config(tmp_path / "mine.yaml", base=live_config())
    assert (mine.fps, mine.face.detector, mine.face.detect_every) == (8, "haar", 2)
    assert mine.face.between == live_config().face.between, "the rest is as live use wants it"
    assert mine.max_side == 640
