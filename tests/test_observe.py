"""A face, a voice and words as one observation: what goes in, what comes out, what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import emofuse
from emofuse.analyzer import AnalyzerConfig
from emofuse.cli.main import BAD_INPUT, main
from emofuse.core.estimates import Modality
from emofuse.observe import Observer
from emofuse.text.transcribe import TranscribeConfig

CONFIG = AnalyzerConfig(transcribe=TranscribeConfig(engine="none"))


@pytest.fixture(scope="module")
def observer() -> Observer:
    return Observer(config=CONFIG)


@pytest.fixture(scope="module")
def portrait(media: Path) -> Path:
    return media / "portrait.jpg"


@pytest.fixture(scope="module")
def voice(media: Path) -> Path:
    return media / "speech.ogg"


@pytest.fixture(scope="module")
def samples(voice: Path) -> tuple[np.ndarray, int]:
    import av

    with av.open(str(voice)) as container:
        stream = container.streams.audio[0]
        rate = stream.rate
        sound = np.concatenate([f.to_ndarray() for f in container.decode(stream)], axis=1)
    return sound.mean(axis=0), rate


@pytest.fixture(scope="module")
def seen(observer: Observer, portrait: Path) -> emofuse.Observation:
    return observer.observe(image=portrait)


def test_each_says_its_own_and_all_of_them_together(
    observer: Observer, portrait: Path, voice: Path, seen: emofuse.Observation
) -> None:
    all_three = observer.observe(image=portrait, audio=voice, text="I love this so much!")
    assert {e.modality.value for e in all_three} == {"face", "speech", "text", "fused"}
    assert all_three["face"].probabilities.values == pytest.approx(
        seen["face"].probabilities.values
    )
    assert all_three["text"].label == "happy"
    assert all_three.fused is not None
    assert all_three.fused.fusion is not None
    assert set(all_three.fused.fusion.modality_weights) == set(all_three.estimates)
    assert all_three.label == all_three.fused.label
    assert not all_three.notes
    mapping = json.loads(json.dumps(all_three.to_mapping()))
    assert mapping["face"]["label"] == seen["face"].label
    assert sum(mapping["fused"]["weights"].values()) == pytest.approx(1, abs=1e-3)


def test_one_alone_is_its_own_result(observer: Observer, seen: emofuse.Observation) -> None:
    assert seen.label == seen["face"].label
    assert "speech" not in seen
    with pytest.raises(KeyError):
        seen["speech"]


def test_weights_decide_who_counts_and_no_model_is_asked_again(
    observer: Observer, portrait: Path
) -> None:
    both = observer.observe(image=portrait, text="I am terribly angry with you!")
    assert both["face"].label != both["text"].label
    for modality in ("face", "text"):
        alone = observer.fuse(both, {modality: 1})
        assert alone.label == both[modality].label
        assert alone["face"] is both["face"]
    said = observer.observe(
        image=portrait, text="I am terribly angry with you!", weights={"text": 1}
    )
    assert said.label == "angry"


@pytest.mark.parametrize("form", ["path", "str", "bytes", "file", "pil", "rgb", "rgba", "grey"])
def test_any_form_of_an_image(
    observer: Observer, portrait: Path, seen: emofuse.Observation, form: str
) -> None:
    picture = Image.open(portrait).convert("RGB")
    image: Any = {
        "path": portrait,
        "str": str(portrait),
        "bytes": portrait.read_bytes(),
        "file": io.BytesIO(portrait.read_bytes()),
        "pil": picture,
        "rgb": np.array(picture),
        "rgba": np.array(picture.convert("RGBA")),
        "grey": np.array(picture.convert("L")),
    }[form]
    found = observer.observe(image=image)
    expected = seen["face"].probabilities.values
    assert found["face"].probabilities.values == pytest.approx(
        expected, abs=0.35 if form == "grey" else 1e-5
    )


@pytest.mark.parametrize("form", ["str", "bytes", "file", "float", "int16", "uint8", "stereo"])
def test_any_form_of_sound(
    observer: Observer, voice: Path, samples: tuple[np.ndarray, int], form: str
) -> None:
    wave, rate = samples
    audio: Any = {
        "str": str(voice),
        "bytes": voice.read_bytes(),
        "file": io.BytesIO(voice.read_bytes()),
        "float": (wave, rate),
        "int16": ((wave * 32767).astype(np.int16), rate),
        "uint8": ((wave * 127 + 128).astype(np.uint8), rate),
        "stereo": (np.stack([wave, wave], axis=1), rate),
    }[form]
    found = observer.observe(audio=audio)
    expected = observer.observe(audio=voice)["speech"].probabilities.values
    tolerance = 0.2 if form == "uint8" else 0.02
    assert found["speech"].probabilities.values == pytest.approx(expected, abs=tolerance)


def test_lists_are_observed_pair_by_pair(portrait: Path) -> None:
    pairs = emofuse.analyze(
        image=[portrait, None], text=["I hate it!", "How wonderful!"], config=CONFIG
    )
    assert isinstance(pairs, list)
    assert [set(map(str, pair.estimates)) for pair in pairs] == [{"face", "text"}, {"text"}]
    assert pairs[1].label == "happy"


def test_what_is_not_there_is_told(observer: Observer) -> None:
    empty = observer.observe(
        image=np.full((200, 200, 3), 90, np.uint8), audio=(np.zeros(32_000), 16_000)
    )
    assert (empty.label, empty.confidence, empty.fused) == (None, 0.0, None)
    assert [note.code for note in empty.notes] == ["no-face", "no-voice"]


def test_a_cropped_face_is_not_looked_for(observer: Observer, portrait: Path) -> None:
    with Image.open(portrait) as picture:
        left, top, side = (round(x * picture.width) for x in (0.25, 0.25, 0.5))
        crop = np.array(picture.convert("RGB").crop((left, top, left + side, top + side)))
    found = observer.observe(image=crop, face_crop=True)
    assert found.label in found["face"].probabilities.taxonomy.labels
    assert not found.notes


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nothing to observe"),
        ({"image": 7}, "expected a path, bytes, a file, a PIL image"),
        ({"image": np.zeros((9, 9, 3))}, r"float64 of shape \(9, 9, 3\)"),
        ({"image": b"no image"}, "not an image that can be read"),
        ({"audio": np.zeros(9)}, r"expected a path, bytes, a file, or \(samples, rate\)"),
        ({"audio": (np.zeros((2, 16000)), 16000)}, "axes the other way round"),
        ({"audio": (np.array([np.nan]), 16000)}, "not finite"),
        ({"audio": (np.zeros(9), 3)}, "rate of 3 Hz"),
        ({"audio": io.StringIO("x")}, "open as text"),
        ({"audio": "portrait.jpg"}, "portrait.jpg"),
        ({"text": " "}, "expected words"),
        ({"text": "Well.", "weights": {"smell": 1}}, "no modality 'smell'"),
        ({"text": "Well.", "weights": {"text": -1}}, "text=-1"),
        ({"text": "Well.", "weights": {"text": 0}}, "not all 0"),
        ({"image": [1, 2], "text": ["a"]}, "one length"),
        ({"image": [1], "text": "a"}, "text alone"),
        ({"path": "a.mp4", "text": "a"}, "not both"),
        ({"text": "a", "transcript": "a.srt"}, "give what is said as text"),
    ],
)
def test_bad_input_is_refused_in_words(given: dict[str, Any], says: str) -> None:
    with pytest.raises(emofuse.InputError, match=says):
        emofuse.analyze(**given, config=CONFIG)


def test_a_modality_that_is_switched_off_is_named(portrait: Path) -> None:
    words_only = AnalyzerConfig(modalities=(Modality.TEXT,))
    with pytest.raises(emofuse.InputError, match="face is switched off"):
        emofuse.analyze(image=portrait, config=words_only)


def test_the_command(
    portrait: Path, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", "--image", str(portrait), "--audio", str(voice), "--asr", "none"]
    command += ["--weights", "face=.6,speech=.4", "--out", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("face", "voice", "result"))
    written = json.loads((tmp_path / "observation.json").read_text())
    assert set(written) == {"face", "speech", "fused", "notes"}
    assert main(command) == BAD_INPUT, "results are not overwritten"
    assert main([*command, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == written


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to analyze"),
        (["a.mp4", "--text", "x"], "not both"),
        (["--text", "x", "--weights", "face"], "--weights: got 'face'"),
        (["--text", "x", "--weights", "nose=1"], "--weights: got 'nose=1'"),
        (["--text", "x", "--models", "huge"], "no set of models 'huge'"),
    ],
)
def test_the_command_refuses_in_words(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", *arguments]) == BAD_INPUT
    assert says in capsys.readouterr().err
