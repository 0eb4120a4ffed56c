"""The files in `configs/` can be used as they stand, and with the flags that they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emofuse.config.loader import Flag, read, read_file, settings
from emofuse.errors import InputError
from emofuse.training.core.loop import _optimizer
from emofuse.training.core.nets import NetPlan, names
from emofuse.training.core.tune import read_space
from emofuse.training.detector import DetectorTraining
from emofuse.training.face.task import FaceTrainer, FaceTraining
from emofuse.training.fusion import FusionTraining
from emofuse.training.group import GroupTraining, HybridTraining
from emofuse.training.speech.task import SpeechTrainer, SpeechTraining
from emofuse.training.text.task import TextTrainer, TextTraining

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "configs").iterdir())
DOCUMENT = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
NETS = DOCUMENT.partition("## The nets")[2].partition("\n## ")[0]
OTHERS = {
    "fusion": FusionTraining,
    "detector": DetectorTraining,
    "group": GroupTraining,
    "hybrid": HybridTraining,
}
TRAINED: dict[str, tuple[Any, Any]] = {
    "face": (FaceTraining, FaceTrainer),
    "speech": (SpeechTraining, SpeechTrainer),
    "text": (TextTraining, TextTrainer),
}
BY_OTHERS = ("yamnet", "wav2vec2")
"""Nets that are nothing without somebody's weights."""


def about(path: Path) -> str:
    """What `emofuse train` is told to train with a file."""
    first = path.stem.split("-")[0]
    if path.stem == "group-hybrid":
        return "hybrid"
    return "speech" if first == "ravdess" else first


def lines(path: Path) -> list[str]:
    """The flags that a file's comments name."""
    return re.findall(r"^#   (--.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def flags_of(line: str) -> dict[str, Flag]:
    """Read flags as the command line does."""
    words = shlex.split(line)
    given = dict(zip(words[::2], words[1::2], strict=True))
    flags = {}
    if "--net" in given:
        flags["net"] = Flag("--net", {"name": given["--net"]})
    if "--epochs" in given:
        flags["loop.epochs"] = Flag("--epochs", int(given["--epochs"]))
    rest = [value for name, value in zip(words[::2], words[1::2], strict=True) if name == "--set"]
    assert set(given) <= {"--net", "--epochs", "--set"}
    return flags | settings(rest)


RUNS = [
    pytest.param(path, line, id=f"{path.stem} {line}".strip())
    for path in FILES
    if about(path) in TRAINED
    for line in ("", *lines(path))
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_is_understood(path: Path) -> None:
    kind = OTHERS.get(about(path)) or TRAINED[about(path)][0]
    config = read(kind, path)
    known = read_file(path)
    assert known, "it says something"
    if "tune" in known:
        assert read_space(config.tune)


@pytest.mark.parametrize(("path", "line"), RUNS)
def test_the_net_can_be_trained(path: Path, line: str, tmp_path: Path) -> None:
    settings_of, trainer_of = TRAINED[about(path)]
    table = tmp_path / "table.csv"
    rows = [
        f"{i}.png,word {i},{('happy', 'sad')[i % 2]},{split}"
        for i, split in enumerate(("train", "train", "validation", "validation"))
    ]
    for i in range(4):  # identity looks at some faces before it learns
        noise = np.random.default_rng(i).integers(0, 255, (48, 48), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    table.write_text("path,text,label,split\n" + "\n".join(rows))
    corpus = {"name": "csv", "root": str(table)}
    own = {
        "corpora": Flag("corpora", [corpus]),
        "run": Flag("--out", str(tmp_path / "run")),
        "teacher": Flag("teacher", None),
        "encoder": Flag("encoder", None),
    }
    known = settings_of.__dataclass_fields__
    flags = {**flags_of(line), **{k: flag for k, flag in own.items() if k in known}}
    config = read(settings_of, path, flags)
    name = config.net["name"]
    if config.net.get("pretrained"):  # the file is the user's; all else must be right
        flags["net"] = Flag("net", {**config.net, "pretrained": None})
        flags = {k: flag for k, flag in flags.items() if k != "net.pretrained"}
        config = read(settings_of, path, flags)
    trainer = trainer_of(config)
    if name in BY_OTHERS:
        NetPlan.of(trainer.modality, config.net).config(trainer.facts())
        return
    net = trainer.new_net()
    assert _optimizer(net, config.loop).param_groups, "lr_scale names parts that there are"


@pytest.mark.parametrize("which", TRAINED)
def test_every_net_has_a_file_and_stands_in_the_document(which: str) -> None:
    found = set()
    for path in FILES:
        if about(path) == which:
            for line in ("", *lines(path)):
                found.add(read(TRAINED[which][0], path, flags_of(line)).net["name"])
    there = set(names(TRAINED[which][1].modality))
    assert found == there
    assert there <= set(re.findall(r"^\| `([a-z0-9-]+)`", NETS, re.MULTILINE))


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("neet: {name: vgg16}")
    with pytest.raises(InputError, match="did you mean 'net'"):
        read(FaceTraining, tmp_path / "x.yaml")
