"""What clients may set about an analysis: read, refused in words, put over the server's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.server.serving import refused, wait_for

from emofuse.analyzer import AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.face.config import FaceConfig
from emofuse.fusion.config import FusionConfig
from emofuse.models.store import Store
from emofuse.server.http.errors import ApiError
from emofuse.server.jobs.tasks import AnalyzerWorker
from emofuse.server.options import AnalysisOptions, check, choices
from emofuse.server.settings import Limits

CONFIG = AnalyzerConfig()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of nothing but what emofuse brings."""
    return Store(tmp_path, offline=True, folders=())


@pytest.mark.parametrize(
    ("given", "where", "value"),
    [
        ({"modalities": "speech, face"}, "modalities", (Modality.FACE, Modality.SPEECH)),
        ({"modalities": ["text"]}, "modalities", (Modality.TEXT,)),
        ({"slot": "2"}, "slot_seconds", 2.0),
        ({"weights": "face=.6,speech=.4"}, "fusion.all_weights.text", 0.0),
        ({"weights": '{"face": 3}'}, "fusion.all_weights.face", 3.0),
        ({"weights": {"speech": 1}}, "fusion.all_weights.face", 0.0),
        ({"fusion": "Weighted"}, "fusion.strategy", "weighted"),
        ({"identity": "no"}, "identity.enabled", False),
        ({"group": True}, "group.enabled", True),
        ({"detector": "haar"}, "face.detector", "haar"),
        ({"text_model": "text-minilm-v2"}, "models.text", "text-minilm-v2"),
        ({"audio_track": 2}, "audio_track", "2"),
        ({"asr": "none", "language": ""}, "transcribe.engine", "none"),
        ({"modalities": ""}, "modalities", CONFIG.modalities),
    ],
)
def test_options_of_forms_and_of_json(
    given: dict[str, Any], where: str, value: Any, store: Store
) -> None:
    made: Any = AnalysisOptions.read(given).over(CONFIG)
    check(made, CONFIG, store)
    for part in where.split("."):
        made = made[Modality(part)] if isinstance(made, dict) else getattr(made, part)
    assert made == value


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"config": "/etc/passwd"}, "unknown field 'config'; expected modalities, asr"),
        ({"slot": "0.01"}, "slot: got '0.01', expected a number greater than or equal to 0.1"),
        ({"slot": "nan"}, "slot: got 'nan'"),
        ({"fps": "1e9"}, "fps: got '1e9', expected a number less than or equal to 30"),
        ({"weights": "nose=1"}, "weights: got 'nose=1', expected a list such as"),
        ({"weights": "face=0"}, "weights must be >= 0, not all 0"),
        ({"weights": {"face": -1}}, "weights.face: got '-1'"),
        ({"weights": "{"}, "weights: got '{', expected a list such as"),
        ({"weights": {"face": 1}, "fusion": "transformer"}, "learns its own"),
        ({"group": "maybe"}, "group: got 'maybe', expected yes or no"),
        ({"group": "yes", "channels": "speakers"}, "leave one of them out"),
        ({"modalities": "nose"}, "unknown modality 'nose', expected some of face, speech, text"),
        ({"detector": "yunet"}, "detector: got 'yunet', expected one of: compact, haar"),
        ({"detector": "eyes"}, "detector: got 'eyes', expected 'compact', 'haar'"),
        ({"face_model": "../../face"}, "face_model: got '../../face', expected a text like"),
        ({"face_model": "speech-v4"}, "face_model: got 'speech-v4', expected one of: face-v4"),
        ({"face_model": "emotieff-b0-va"}, "expected one of: face-v4"),
        ({"fusion": "transformer"}, "fuser: got 'fusion-transformer-v1', and this server has none"),
        ({"asr": "/bin/sh"}, "asr: got '/bin/sh', expected 'auto', 'none'"),
        ({"audio_track": "0"}, "audio_track: got '0', expected a text like"),
        ({"language": "../x"}, "language: got '../x', expected a text like"),
    ],
)
def test_what_is_refused(given: dict[str, Any], told: str, store: Store) -> None:
    with pytest.raises(ApiError) as error:
        check(AnalysisOptions.read(given).over(CONFIG), CONFIG, store)
    assert error.value.code == "bad-argument"
    assert told in error.value.message


def test_the_operators_own_settings_are_not_judged(store: Store) -> None:
    config = replace(CONFIG, face=FaceConfig(detector="yunet"))
    check(AnalysisOptions.read({"slot": 1}).over(config), config, store)
    with pytest.raises(ApiError, match="wanted"):
        check(AnalysisOptions.read({"detector": "wanted"}).over(config), config, store)


def test_another_strategy_has_its_own_weights() -> None:
    config = replace(CONFIG, fusion=FusionConfig("weighted", {Modality.FACE: 5}))
    made = AnalysisOptions.read({"fusion": "logpool"}).over(config)
    assert made.fusion == FusionConfig("logpool")


def test_choices_can_be_chosen(store: Store) -> None:
    found = choices(CONFIG, store)
    assert {"compact", "haar"} <= set(found.detectors)
    assert "yunet" not in found.detectors
    assert {"auto", "none"} <= set(found.asr)
    pools = [choice for choice in found.fusion if choice.weights is not None]
    assert {choice.name for choice in pools} == {"weighted", "confidence", "logpool"}
    for name, ids in found.models.items():
        for id in ids:
            check(AnalysisOptions.read({f"{name}_model": id}).over(CONFIG), CONFIG, store)
    assert found.defaults.over(CONFIG).slot_seconds == CONFIG.slot_seconds


def test_few_analyzers_of_other_settings_are_kept() -> None:
    worker = AnalyzerWorker(CONFIG, Limits())
    first = worker._analyzer(AnalysisOptions(slot=1.0))
    assert worker._analyzer(AnalysisOptions()) is worker._main
    assert worker._analyzer(AnalysisOptions(slot=1.0)) is first
    for number in range(2, 20):
        worker._analyzer(AnalysisOptions(slot=float(number)))
    assert len(worker._others) == 3
    assert worker._analyzer(AnalysisOptions(slot=1.0)) is not first


def test_options_of_a_job_are_kept_and_decide_its_result(client: httpx.Client, media: Path) -> None:
    given = {"slot": "1", "weights": "face=1", "fusion": "weighted", "identity": "no"}
    job = client.post(
        "/v1/jobs",
        files={"file": ("a.jpg", (media / "portrait.jpg").read_bytes())},
        data={**given, "modalities": "face"},
    ).json()
    asked = {name: value for name, value in job["options"].items() if value is not None}
    assert asked == {
        "slot": 1.0,
        "weights": {"face": 1.0, "speech": 0.0, "text": 0.0},
        "fusion": "weighted",
        "identity": False,
        "modalities": ["face"],
    }
    assert wait_for(client, job["id"])["state"] == "COMPLETED"
    settings = client.get(f"/v1/jobs/{job['id']}/result").json()["provenance"]["settings"]
    assert settings["slot_seconds"] == 1
    assert settings["fusion"]["strategy"] == "weighted"
    assert settings["fusion"]["weights"] == asked["weights"]


def test_options_are_refused_before_anything_is_analyzed(client: httpx.Client) -> None:
    for path in ("/v1/analyze", "/v1/observe", "/v1/jobs"):
        answer = client.post(path, json={"text": "So be it.", "detector": "mtcnn2"})
        assert "detector: got 'mtcnn2'" in refused(answer, 422, "bad-argument")
        answer = client.post(path, files={"text": (None, "So be it."), "path": (None, "/tmp")})
        assert "unknown field 'path'" in refused(answer, 422, "bad-argument")
    said = client.post(
        "/v1/analyze", json={"text": "So be it.", "slot": 0.2, "weights": {"text": 1}}
    )
    assert json.loads(said.text)["provenance"]["settings"]["slot_seconds"] == 0.2


def test_the_server_tells_what_there_is_to_choose(client: httpx.Client) -> None:
    found = client.get("/v1/options").json()
    assert found["defaults"]["asr"] == "none"
    assert found["defaults"]["detector"] in found["detectors"]
