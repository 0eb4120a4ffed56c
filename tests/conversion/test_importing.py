"""Models of other libraries answer here as they do there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conversion.conftest import SEVEN, MakeOnnx, needs_keras

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.conversion.importing import Imported, ImportPlan, import_model
from emofuse.core.modality import Modality
from emofuse.errors import InputError
from emofuse.models.card import Scores
from emofuse.models.golden import golden_path, read_golden, replay
from emofuse.models.registry import load
from emofuse.models.runtime import answer, open_graph
from emofuse.models.store import Store


def bring(path: Path, out: Path, **told: object) -> Imported:
    plan = ImportPlan(paths=(str(path),), out=out, **told)  # type: ignore[arg-type]
    return import_model(plan)


def test_probabilities_stay_what_they_are(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    made = bring(make_onnx(), tmp_path / "m", labels=SEVEN, input="unit")
    assert made.card.scores is Scores.PROBABILITIES
    assert made.card.preparation["side"] == 16
    model = load("net", Store(folders=[tmp_path / "m"]))
    face = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)
    row = model.prepare(face)
    (expected,) = answer(open_graph(tmp_path / "m" / "net.onnx"), row[None])[0]
    (said,) = model.infer([row])
    np.testing.assert_allclose(said.probabilities.values, expected, atol=1e-6)


def test_the_golden_pair_can_be_replayed(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    made = bring(make_onnx(last=None), tmp_path, labels=SEVEN, input="signed", id="mine")
    assert made.card.scores is Scores.LOGITS
    model = load("mine", Store(folders=[tmp_path]))
    assert replay(model, read_golden(golden_path(made.card, tmp_path))) == 0


@pytest.mark.parametrize(
    ("shape", "layout", "colour"),
    [
        (("n", 3, 32, 32), "nchw", "rgb"),
        ((1, 32, 32, 3), "nhwc", "rgb"),
        (("n", 24, 24, 1), "nhwc", "grey"),
        (("n", 24, 24), "nhw", "grey"),
    ],
)
def test_layout_size_and_channels_are_read(
    make_onnx: MakeOnnx, tmp_path: Path, shape: tuple[int, ...], layout: str, colour: str
) -> None:
    made = bring(make_onnx(shape), tmp_path / "m", labels=SEVEN, input="raw")
    told = made.card.preparation
    assert (told["layout"], told["colour"]) == (layout, colour)


def test_a_fixed_batch_is_filled(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    bring(make_onnx((2, 1, 16, 16)), tmp_path / "m", labels=SEVEN, input="unit")
    model = load("net", Store(folders=[tmp_path / "m"]))
    faces = np.random.default_rng(1).integers(0, 255, (3, 16, 16, 3), np.uint8)
    rows = [model.prepare(face) for face in faces]
    together, alone = model.infer(rows), [model.infer([row])[0] for row in rows]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.probabilities.values, b.probabilities.values, atol=1e-6)


def test_native_labels_are_mapped_and_told(
    make_onnx: MakeOnnx, tmp_path: Path, media: Path
) -> None:
    labels = ("calm", "happy", "sad", "angry", "fearful", "disgust", "boredom")
    with pytest.raises(InputError, match=r"boredom.*--map"):
        bring(make_onnx(), tmp_path / "m", labels=labels, input="unit")
    places = tmp_path / "map.toml"
    places.write_text('[drop]\nboredom = "no place"\n')
    bring(make_onnx(), tmp_path / "m", labels=labels, input="unit", label_map=places)
    config = AnalyzerConfig(modalities=(Modality.FACE,), models={Modality.FACE: "net"})
    result = Analyzer(config, Store(folders=[tmp_path / "m"])).analyze(media / "portrait.jpg")
    assert "neutral" in result.fused[0].fusion.probabilities[Modality.FACE].taxonomy.labels
    (note,) = [n.message for n in result.notes if n.code == "labels-mapped"]
    assert "calm → neutral" in note
    assert "without boredom" in note


def test_mfcc_over_time(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    made = bring(
        make_onnx(("n", 130, 40)), tmp_path / "m", labels=SEVEN, input="mfcc,coefficients=40"
    )
    assert made.card.modality is Modality.SPEECH
    assert (made.card.preparation["time_first"], made.card.preparation["frames"]) == (True, 130)
    assert sum(made.answer.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["keras2.h5", "lstm.keras"])
@needs_keras
@pytest.mark.slow
def test_keras_answers_alike(data: Path, tmp_path: Path, name: str) -> None:
    labels = (*SEVEN, "contempt") if name == "lstm.keras" else SEVEN
    told = "mfcc,coefficients=13" if name == "lstm.keras" else "unit"
    made = bring(data / name, tmp_path, labels=labels, input=told, id="mine")
    assert made.card.scores is Scores.PROBABILITIES
    theirs = np.load(data / f"{name}.npz")
    ours = answer(open_graph(tmp_path / "mine.onnx"), theirs["x"])[0]
    np.testing.assert_allclose(ours, theirs["y"], atol=1e-5)


def test_tflite_in_int8(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tflite")
    made = bring(data / "int8.tflite", tmp_path, labels=SEVEN)  # its scale says x/255
    assert made.card.preparation["standard"] == "unit"
    theirs = np.load(data / "int8.tflite.npz")
    ours = answer(open_graph(tmp_path / "int8.tflite"), theirs["x"])[0]
    np.testing.assert_allclose(ours, theirs["y"], atol=0.03)  # against float32


def test_what_is_missing_is_asked_for(make_onnx: MakeOnnx, tmp_path: Path) -> None:
    path = make_onnx()
    with pytest.raises(InputError, match=r"pixels.*--input"):
        bring(path, tmp_path / "m", labels=SEVEN)
    with pytest.raises(InputError, match=r"7 labels.*--labels"):
        bring(path, tmp_path / "m", input="unit")
    asked = []

    def ask(question: str, examples: str, option: str) -> str:
        asked.append(option)
        return "unit" if option == "--input" else ",".join(SEVEN)

    import_model(ImportPlan(paths=(str(path),), out=tmp_path / "m"), ask)
    assert asked == ["--input", "--labels"]
