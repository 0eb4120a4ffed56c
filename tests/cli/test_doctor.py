import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import emofuse
from emofuse.cli.doctor import Check, Status, _load, _optional, examine, healthy
from emofuse.core.estimates import Modality
from emofuse.models.store import WEIGHTS, Store

Run = Any  # see conftest.py


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    store = Store(tmp_path_factory.mktemp("cache"), offline=True, folders=[])
    return {check.name: check for check in examine(store)}


def test_this_machine_works(checks: dict[str, Check]) -> None:
    failing = [check for check in checks.values() if check.status is Status.FAILS]
    assert failing == []
    assert healthy(list(checks.values()))


def test_every_default_model_answered(checks: dict[str, Check]) -> None:
    models = emofuse.AnalyzerConfig().models
    for model_id in models.values():
        assert "answers as when it was exported" in checks[model_id].detail


def test_what_was_tried_is_named(checks: dict[str, Check]) -> None:
    assert "h264" in checks["video"].detail
    assert "aac" in checks["sound"].detail
    assert "CPU" in checks["ONNX Runtime on"].detail
    assert "found 0 faces" in checks["face detector (haar)"].detail
    assert "found 0 faces" in checks["face detector (compact)"].detail
    assert "found 0 voices" in checks["voice activity"].detail
    assert "writable" in checks["cache folder"].detail
    for name, package in (("moonshine-voice", "moonshine_voice"), ("pocketsphinx", "pocketsphinx")):
        assert ("hiss" in checks[name].detail) == (find_spec(package) is not None)
    for name, package in (("web", "fastapi"), ("live", "pygame")):
        if find_spec(package) is None:
            assert f"emofuse[{name}]" in checks[name].detail


def test_what_only_optional_parts_lack_is_no_failure() -> None:
    def fail() -> str:
        raise OSError("PortAudio library not found")

    check = _optional("extras", "live", fail)
    assert check.status is Status.ABSENT
    assert "PortAudio" in check.detail
    assert healthy([check])


def test_doctor_prints_and_exits_0(run: Run) -> None:
    ran = run("doctor")
    assert ran.code == 0, ran.out
    assert "✓" in ran.out
    assert "✗" not in ran.out
    assert "Ready" in ran.out


def test_a_damaged_model_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The face model's file is replaced by another of the same size."""
    import shutil

    from emofuse.models import golden, store

    weights = tmp_path / "weights"
    shutil.copytree(WEIGHTS, weights)
    face = store.Store(folders=[]).card(emofuse.AnalyzerConfig().models[Modality.FACE])
    path = weights / face.files["weights"].name
    path.write_bytes(bytes(path.stat().st_size))
    monkeypatch.setattr(store, "WEIGHTS", weights)
    monkeypatch.setattr(golden, "WEIGHTS", weights)
    ran = run("doctor", "--json")
    assert ran.code == 1
    report = json.loads(ran.out)
    assert report["healthy"] is False
    bad = [check for check in report["checks"] if check["status"] == "fails"]
    assert [check["name"] for check in bad] == [face.id]
    assert "is damaged" in bad[0]["detail"]


def test_packages_that_greet_do_not_break_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greeting_package.py").write_text("print('hello')")
    monkeypatch.syspath_prepend(tmp_path)
    assert _load(("greeting_package",), "a purpose") == "a purpose"
    assert capsys.readouterr().out == ""
