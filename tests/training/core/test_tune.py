"""A search for settings: what it writes, and that it goes on after a kill."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.training import made

from emofuse.cli.main import main
from emofuse.config.loader import construct, merge
from emofuse.errors import InputError
from emofuse.training.core.tune import Range, read_space, search
from emofuse.training.face.task import FaceTrainer, FaceTraining

pytestmark = pytest.mark.slow  # trains nets


SPACE = {
    "loop.lr": {"low": 0.001, "high": 0.1, "log": True},
    "mixup": {"choices": [0.0, 0.2]},
    "net.widths": {"choices": [[16], [32]]},
}


def test_a_search_by_the_command_line(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "faces")
    config = made.face_config(tmp_path / "run", table, tune=SPACE)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    out = tmp_path / "search"
    args = ["tune", "face", "--config", str(path), "--out", str(out), "--epochs", "2"]
    assert main([*args, "--trials", "3"]) == 0
    rows = list(csv.DictReader((out / "trials.csv").open()))
    assert len(rows) == 3
    assert {row["mixup"] for row in rows} <= {"0.0", "0.2"}
    assert all(0.001 <= float(row["loop.lr"]) <= 0.1 for row in rows)
    assert (out / "trials.png").stat().st_size > 5000
    assert all((out / row["folder"] / "metrics.jsonl").is_file() for row in rows)
    best = max(rows, key=lambda row: float(row["accuracy"] or 0) * (row["state"] == "complete"))
    written = yaml.safe_load((out / "best.yaml").read_text())
    assert written["loop"]["epochs"] == 2
    tied = [r for r in rows if r["accuracy"] == best["accuracy"]]
    assert str(written["loop"]["lr"]) in [row["loop.lr"] for row in tied]
    assert construct(FaceTraining, written, "best").run == out / "best"
    # More trials later: the earlier ones count.
    assert main([*args, "--trials", "4"]) == 0
    again = list(csv.DictReader((out / "trials.csv").open()))
    assert len(again) == 4
    assert again[:3] == rows


class KilledError(BaseException):
    pass


def test_a_killed_trial_comes_again_and_goes_on(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "faces")
    seen: list[tuple[Mapping[str, Any], Path]] = []
    kill = True

    def make(values: Mapping[str, Any], run: Path) -> FaceTrainer:
        config = made.face_config(run, table, tune={"loop.lr": SPACE["loop.lr"]})
        for key, value in values.items():
            section, name = key.split(".")
            config = merge(config, {section: {name: value}})
        trainer = FaceTrainer(construct(FaceTraining, config, "config"))
        if values:
            seen.append((values, run))
            if kill:
                trainer.validate = killed  # type: ignore[method-assign]
        return trainer

    def killed(net: Any) -> dict[str, float]:
        raise KilledError

    with pytest.raises(KilledError):
        search(make, tmp_path / "search", trials=1)
    kill = False
    search(make, tmp_path / "search", trials=1)
    assert seen[0] == seen[1]
    with pytest.raises(InputError, match="no trial was finished"):
        search(make, tmp_path / "other", trials=1, minutes=0)


def test_spaces_that_make_no_sense_are_told() -> None:
    with pytest.raises(InputError, match="has no search space"):
        read_space({})
    with pytest.raises(InputError, match=r"tune\.loop\.lr: got 0.1, expected"):
        read_space({"loop.lr": 0.1})
    with pytest.raises(InputError, match=r"tune\.x: need low < high"):
        read_space({"x": {"low": 2, "high": 1}})
    with pytest.raises(InputError, match=r"unknown key 'tune\.x\.hihg': did you mean 'high'"):
        read_space({"x": {"low": 1, "hihg": 2}})
    with pytest.raises(InputError, match="logarithmic"):
        read_space({"x": {"low": 0, "high": 1, "log": True}})
    assert read_space({"x": {"choices": [1, 2]}})["x"] == Range(choices=(1, 2))
