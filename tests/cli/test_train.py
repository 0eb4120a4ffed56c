"""The doors of training: wrong files, nets and settings cost a line, not a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("modality", "settings", "says"),
    [
        ("face", "bacht: 3", "unknown key 'bacht': did you mean 'batch'?"),
        ("face", "batch: many", "batch: got 'many', expected"),
        ("face", "batch: 1", "need batch >= 2, got 1"),
        ("face", "net: {name: vgg99}", "no net 'vgg99' for face; there are"),
        ("speech", "net: {name: compact}", "no net 'compact' for speech; there are"),
        ("speech", "preparation: {seconds: -1}", "preparation: rate, seconds, range_db"),
        ("speech", "loop: {schedule: zigzag}", "loop.schedule: got 'zigzag', expected"),
        ("speech", "loop: {lr: -1}", "lr > 0"),
        ("face", "targets: {votes: 2}", "shares must lie in [0, 1]"),
        ("face", "corpora: [{name: nowhere}]", "no corpus 'nowhere'; there are"),
        ("face", "corpora: [{name: csv, sampling_weight: 0}]", "need 0 < sampling_weight <= 100"),
        ("text", "data: missing", "missing"),
        ("speech", "data: missing", "missing"),
        ("face", "data: missing", "missing"),
        ("detector", "stpes_per_epoch: 3", "did you mean 'steps_per_epoch'?"),
        ("detector", "steps_per_epoch: 0", "must be >= 1"),
        ("detector", "faces: [{table: missing.csv, folder: missing}]", "missing"),
    ],
)
def test_settings_that_cannot_be_used_are_told_in_a_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    modality: str,
    settings: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(settings)
    message = run("train", modality, "--config", "x.yaml", "--out", "run").failed_cleanly()
    assert says in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "run").exists(), "nothing is begun"


def test_the_detector_knows_neither_nets_nor_tuning(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text("batch: 1")
    message = run("train", "detector", "--config", config, "--net", "compact").failed_cleanly()
    assert "--net has no use in `emofuse train detector`" in message
    assert run("tune", "detector", "--config", config).code == 2


def test_what_cannot_be_fetched_says_who_gives_it_out(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"corpora: [{{name: crema-d}}]\ndata: {tmp_path}\n")
    train = ("train", "speech", "--config", config, "--out", tmp_path / "run")
    message = run(*train, "--download").failed_cleanly()
    assert "crema-d is not downloaded: " in message
    config.write_text(f"corpora: [{{name: ravdess}}]\ndata: {tmp_path}\n")
    assert "EMOFUSE_OFFLINE is set" in run(*train, "--download").failed_cleanly()
    for flag in ("--download", "--evaluate"):
        message = run("train", "detector", "--config", config, flag).failed_cleanly()
        assert f"{flag} has no use in `emofuse train detector`" in message


def test_fusion_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"predictions_cache: {tmp_path}\nrun: {tmp_path / 'run'}\n")
    train = ("train", "fusion", "--config", config)
    message = run(*train, "--net", "compact").failed_cleanly()
    assert "--net has no use in `emofuse train fusion`" in message
    assert "--strategy: got 'x', expected" in run(*train, "--strategy", "x").failed_cleanly()
    message = run(*train, "--strategy", "logpool").failed_cleanly()
    assert "no validation predictions of 'face-v4'" in message
    assert not (tmp_path / "run").exists(), "nothing is begun"


def test_tuning_offers_what_it_does(run: Run) -> None:
    shown = " ".join(run("tune", "--help").out.split())
    assert "face|speech|text" in shown
    assert "detector" not in shown


def test_tuning_needs_a_space(run: Run, tmp_path: Path) -> None:
    rows = [f"{i}.png,{('happy', 'sad')[i % 2]},train" for i in range(4)]
    rows += [f"{i}.png,happy,validation" for i in range(4, 6)]
    (tmp_path / "t.csv").write_text("path,label,split\n" + "\n".join(rows))
    config = tmp_path / "x.yaml"
    config.write_text(f"corpora: [{{name: csv, root: {tmp_path / 't.csv'}}}]")
    out = tmp_path / "search"
    message = run("tune", "face", "--config", config, "--out", out).failed_cleanly()
    assert "has no search space; expected e.g.  tune: {loop.lr:" in message


def test_embedding_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    for folder in ("zoo", "weights"):
        (tmp_path / folder).mkdir()
    (tmp_path / "no.toml").write_text("id = 3")
    args = ("models", "embed", tmp_path / "no.toml", "--into", tmp_path)
    assert "is not a model card" in run(*args).failed_cleanly()
    assert not list((tmp_path / "zoo").iterdir())


def test_any_setting_can_be_given_on_the_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("loop: {lr: 1.0}")
    train = ("train", "face", "--config", tmp_path / "x.yaml", "--data", tmp_path)
    says = {
        "loop.lr=quick": "--set loop.lr: got 'quick', expected",
        "loop.rl=3": "unknown key 'loop.rl'",
        "net.widths=[1, 2": "--set net.widths: '[1, 2' is not valid YAML",
        "net.name=vgg99": "no net 'vgg99' for face",
        "loop.lr": "expected KEY=VALUE, such as loop.lr=1e-3",
        "=3": "expected KEY=VALUE",
    }
    for given, message in says.items():
        assert message in run(*train, "--net", "vgg16", "--set", given).failed_cleanly()
    for which in ("fusion", "detector"):
        message = run("train", which, *train[2:4], "--set", "loop.seed=x").failed_cleanly()
        assert "--set loop.seed: got 'x', expected" in message
