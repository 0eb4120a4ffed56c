"""A package that adds one of everything, and what then works: Python, command line, server."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.cli.main import main
from emofuse.config.loader import read_file
from emofuse.core.modality import Modality, modalities
from emofuse.corpora.recipes import recipe
from emofuse.errors import InputError, ModelError
from emofuse.export.json import read_json
from emofuse.face.config import FaceConfig
from emofuse.face.detectors import make_detector
from emofuse.fusion.config import FusionConfig
from emofuse.models.store import Store
from emofuse.text.transcribe import TranscribeConfig

PACKAGE = Path(__file__).with_name("package")

BROKEN = ("emofuse.detectors", "broken", "emofuse_toy_missing:make_detector")


def _entry_points() -> str:
    """Return what an installation of the package writes, and one that cannot be imported."""
    groups = read_file(PACKAGE / "pyproject.toml")["project"]["entry-points"]
    groups[BROKEN[0]] = {BROKEN[1]: BROKEN[2]} | groups[BROKEN[0]]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    return "\n".join(lines)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the package and its model card; returns the folder it is in."""
    site, models = tmp_path / "site", tmp_path / "models"
    info = site / "emofuse_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: emofuse-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_entry_points())
    shutil.copy(PACKAGE / "emofuse_toy.py", site)
    shutil.copytree(PACKAGE / "models", models)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("EMOFUSE_MODELS", str(models))
    monkeypatch.setenv("EMOFUSE_CACHE", str(tmp_path / "cache"))
    return site


@pytest.fixture
def settings(toy: Path) -> AnalyzerConfig:
    return AnalyzerConfig(
        modalities=(Modality.FACE, Modality.TEXT, Modality("glow")),
        face=FaceConfig(detector="middle"),
        transcribe=TranscribeConfig(engine="parrot"),
        fusion=FusionConfig("toy-pool"),
    )


def test_in_python(settings: AnalyzerConfig, media: Path, tmp_path: Path) -> None:
    glow = Modality("glow")
    assert modalities() == (Modality.FACE, Modality.SPEECH, Modality.TEXT, glow)
    timeline = Analyzer(settings).analyze(media / "two_people.mp4")
    assert {e.modality for e in timeline} == {*settings.modalities, Modality.FUSED}
    seen = timeline.of(glow)
    assert seen[0].details.brightness > 0
    assert any(glow in e.fusion.modality_weights for e in timeline.fused)
    assert timeline.provenance.components == {"detector": "middle", "asr": "parrot", "glow": "toy"}
    assert any(e.find_details(type(seen[0].details)) for e in timeline.fused)
    assert {e.details.text for e in timeline.of(Modality.TEXT)} == {"I am glad."}


def test_the_corpus_is_found(toy: Path, tmp_path: Path) -> None:
    assert recipe("Toy_Corpus").load(tmp_path).entries[0].labels == {"joy": 1.0}


def test_on_the_command_line(
    toy: Path, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "settings.yaml", tmp_path / "out"
    config.write_text("modalities: [face, glow]\nfusion: {strategy: toy-pool}\n")
    flags = ["--config", config, "--detector", "middle", "--format", "json,csv,lines", "--out", out]
    assert main(["analyze", *map(str, [media / "talking.mp4", *flags])]) == 0
    assert "light" in capsys.readouterr().out
    assert "glow " in (out / "timeline.lines").read_text()
    assert "weight_glow" in (out / "timeline.csv").read_text().splitlines()[0]
    again = read_json(out / "timeline.json")
    assert again.of(Modality("glow"))[0].details.brightness > 0
    assert main(["corpus", "list"]) == 0
    assert "toy-corpus" in capsys.readouterr().out


def test_what_is_broken_is_named_and_the_rest_works(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=r"'broken' of the package 'emofuse-toy'.*install"):
        make_detector("broken", Store())
    assert make_detector("middle", Store()).name == "middle"
    with pytest.raises(
        InputError, match="'compact', 'haar', 'mtcnn', 'yunet', 'broken' or 'middle'"
    ):
        FaceConfig(detector="nobody")


def test_on_the_server(toy: Path, media: Path, tmp_path: Path) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("fastapi")
    from tests.server.serving import LIMITS, Running

    config = tmp_path / "server.yaml"
    config.write_text("modalities: [face, glow]\nfusion: {strategy: toy-pool}\n")
    paths = os.pathsep.join([str(toy), os.environ.get("PYTHONPATH", "")])
    more = {"EMOFUSE_CONFIG": config, "PYTHONPATH": paths}
    more |= {name: os.environ[name] for name in ("EMOFUSE_MODELS", "EMOFUSE_CACHE")}
    server = Running(tmp_path / "state", LIMITS | more)
    try:
        server.wait()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            sent = {"file": ("talking.mp4", (media / "talking.mp4").read_bytes(), "video/mp4")}
            answer = client.post("/v1/analyze", files=sent)
            assert answer.status_code == 200, answer.text
            found = json.loads(answer.text)
            glow = [e for e in found["estimates"] if e["modality"] == "glow"]
            assert glow[0]["details"]["brightness"] > 0
            cards = client.get("/v1/models").json()["models"]
            assert {"glow-toy"} <= {c["id"] for c in cards if c["in_use"]}
    finally:
        server.end(signal.SIGKILL)
