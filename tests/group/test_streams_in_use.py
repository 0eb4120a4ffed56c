"""`analyze --group --model ID`: a model of four streams looks at media for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.details import GroupDetails
from emofuse.core.estimates import Modality, RejectionReason, Subject
from emofuse.core.media import AudioChunk, Frame
from emofuse.core.modality import SubjectKind
from emofuse.core.time import NS, Span
from emofuse.errors import ModelError
from emofuse.group.config import GroupConfig
from emofuse.group.streams import Stream, StreamPreparation
from emofuse.group.window import ClipWindow
from emofuse.models.store import Store
from emofuse.models.write import write_card

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'emofuse[train]'")

SMALL = StreamPreparation(keyframes=2, faces=2, flow_frames=3, resize=40, side=32)
WIDTH = 2


def graph(path: Path, inputs: dict[str, list], outputs: dict[str, list], *nodes, **constants):
    """Write an ONNX graph of nodes (operator, inputs, output)."""
    from onnx import TensorProto, helper, numpy_helper

    def described(shapes: dict[str, list]):
        return [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
            for n, shape in shapes.items()
        ]

    made = helper.make_graph(
        [helper.make_node(kind, given, [out], **more) for kind, given, out, more in nodes],
        "net",
        described(inputs),
        described(outputs),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A store with the model `four`: each stream's features are the mean of its pictures."""
    folder = tmp_path_factory.mktemp("model")
    files = {}
    for stream in Stream:
        shape = SMALL.input_shape(stream)
        axes = list(range(1, len(shape) + 1))
        files[stream.value] = graph(
            folder / f"four-{stream.value}.onnx",
            {"pictures": ["n", *shape]},
            {"logits": ["n", 3], "features": ["n", WIDTH]},
            ("ReduceMean", ["pictures"], "mean", {"axes": axes, "keepdims": 0}),
            ("Unsqueeze", ["mean", "one"], "column", {}),
            ("MatMul", ["column", "to_logits"], "logits", {}),
            ("MatMul", ["column", "to_features"], "features", {}),
            one=np.array([1], np.int64),
            to_logits=np.ones((1, 3), np.float32),
            to_features=np.ones((1, WIDTH), np.float32),
        )
    files["weights"] = graph(
        folder / "four.onnx",
        {"features": ["n", 4 * WIDTH], "here": ["n", 4]},
        {"logits": ["n", 3]},
        ("MatMul", ["features", "of_features"], "a", {}),
        ("MatMul", ["here", "of_here"], "b", {}),
        ("Add", ["a", "b"], "logits", {}),
        of_features=np.zeros((4 * WIDTH, 3), np.float32),
        # What is there decides: with sound it is positive, without neutral.
        of_here=np.array([[0, 1, 0], [4, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32),
    )
    write_card(
        {
            "id": "four",
            "modality": "fused",
            "recogniser": "group-streams",
            "summary": "made for a test",
            "taxonomy": "valence",
            "labels": ["positive", "neutral", "negative"],
            "licence": "none",
            "preparation": {
                "keyframes": 2,
                "faces": 2,
                "flow_frames": 3,
                "resize": 40,
                "side": 32,
                "widths": [WIDTH] * 4,
            },
        },
        folder,
        files,
    )
    return Store(folders=[folder], offline=True)


def told(store: Store, path: Path, **group: object):
    config = GroupConfig(enabled=True, model="four", **group)  # type: ignore[arg-type]
    config_ = AnalyzerConfig(modalities=(Modality.FACE, Modality.SPEECH), group=config)
    timeline = Analyzer(config_, store).analyze(path)
    return timeline.of(Modality.FUSED, Subject(SubjectKind.GROUP))


def test_film_is_looked_at_and_listened_to(store, media):
    moments = told(store, media / "talking.mp4", seconds=2.0)
    assert [e.span.start_ns // NS for e in moments] == [0, 2, 4]
    assert {e.label for e in moments} == {"positive"}  # all have sound
    assert {e.model_id for e in moments} == {"four"}
    assert {e.find_details(GroupDetails).faces for e in moments} == {1}


def test_photo_has_no_sound(store, media):
    (moment,) = told(store, media / "portrait.jpg")
    assert moment.label == "neutral"


def test_sound_alone_is_heard(store, media):
    moments = told(store, media / "speech.ogg")
    assert {e.label for e in moments} == {"positive"}
    assert {e.uncertain.reason for e in moments if e.uncertain} <= {RejectionReason.LOW_CONFIDENCE}


def test_answers_are_averaged_over_the_history(store, media, monkeypatch):
    from emofuse.group.recogniser import GroupRecogniser
    from emofuse.group.stage import StreamMood
    from emofuse.models.registry import load

    monkeypatch.setattr(GroupRecogniser, "history", 2)
    estimator = StreamMood(load("four", store), store)
    from emofuse.group.mood import Evidence

    image = np.full((48, 64, 3), 90, np.uint8)
    estimator.see(Frame(image, Span(0, NS // 8)))
    estimator.see(AudioChunk(np.sin(np.arange(16_000) / 9).astype(np.float32), 16_000, 0))
    loud = estimator.estimate(Evidence((), span=Span(0, NS)))
    estimator.see(Frame(image, Span(NS, NS + NS // 8)))
    mixed = estimator.estimate(Evidence((), span=Span(NS, 2 * NS)))
    assert loud is not None
    assert mixed is not None
    assert loud["positive"] > mixed["positive"] > 0.3


def test_window_gives_each_moment_its_own_frames_and_sound():
    window = ClipWindow(SMALL, Store())
    for k in range(16):
        window.add(
            Frame(np.full((48, 64, 3), 10 * k, np.uint8), Span(k * NS // 8, (k + 1) * NS // 8))
        )
    for k in range(4):  # half a second each, at another rate than the model's
        window.add(AudioChunk(np.full(4000, 0.1 * (k + 1), np.float32), 8000, 4000 * k))
    first, second = window.clip(Span(0, NS)), window.clip(Span(NS, 2 * NS))
    assert first.visual is not None
    assert second.visual is not None
    assert first.visual.max() <= 70 < 80 <= second.visual.min()
    assert first.flow is not None
    assert window.clip(Span(2 * NS, 3 * NS)).streams == ()


def test_wrong_weights_are_told(store, media, tmp_path):
    files = store.files(store.card("four"))
    for path in (*files.values(), next(iter(files.values())).parent / "four.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "four-visual.onnx").write_bytes(b"not a graph")
    broken = Store(folders=[tmp_path], offline=True)
    with pytest.raises(ModelError, match=r"four-visual\.onnx"):
        told(broken, media / "portrait.jpg")


def test_model_without_its_files_is_told(store, media, tmp_path):
    card = store.card("four")
    broken = Store(folders=[tmp_path], offline=True)
    (tmp_path / "four.toml").write_text(
        (next(iter(store.files(card).values())).parent / "four.toml").read_text()
    )
    with pytest.raises(ModelError, match="four"):
        told(broken, media / "portrait.jpg")
