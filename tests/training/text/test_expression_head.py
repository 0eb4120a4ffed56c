"""The second head: what it reads, what it leaves alone, and how its fit is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from emofuse.errors import ModelError
from emofuse.models.golden import golden_path, read_golden
from emofuse.models.runtime import Session
from emofuse.models.store import Store
from emofuse.text.recognise import Preparation, WordPieces, collate
from emofuse.training.text import expression_head as head
from emofuse.training.text.task import GOLDEN

STORE = Store(folders=[])
CARD = STORE.card("text-minilm-v2")


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return STORE.files(CARD)


@pytest.fixture(scope="module")
def pieces(files: dict[str, Path]) -> WordPieces:
    return WordPieces(files["tokenizer"], Preparation.of_card(CARD))


@pytest.fixture(scope="module")
def exposed(files: dict[str, Path]) -> onnx.ModelProto:
    return head.expose_layers(onnx.load(files["weights"]))


def test_it_reads_the_mean_of_every_layer(
    exposed: onnx.ModelProto, pieces: WordPieces, tmp_path: Path
) -> None:
    onnx.save(exposed, tmp_path / "net.onnx")
    session = Session(tmp_path / "net.onnx")
    x = head.features(session, pieces, GOLDEN, batch=3)
    assert x.shape == (len(GOLDEN), 7 * 384)
    # Neither neighbours nor padding change a sentence's features.
    alone = np.concatenate([head.features(session, pieces, [text]) for text in GOLDEN])
    np.testing.assert_allclose(x, alone, atol=1e-4)
    embedding = session.answer(collate([pieces(GOLDEN[0])]))[session.outputs.index("embedding")]
    np.testing.assert_allclose(alone[0, -384:], embedding[0], atol=1e-6)
    assert (
        min(
            np.abs(a - b).max()
            for a, b in zip(x[0].reshape(7, 384)[1:], x[0].reshape(7, 384)[:-1], strict=True)
        )
        > 0.1
    )


def test_a_new_head_leaves_the_first_alone(
    exposed: onnx.ModelProto, pieces: WordPieces, tmp_path: Path
) -> None:
    weight = np.zeros((7, 7 * 384), np.float32)
    bias = np.arange(7, dtype=np.float32)
    onnx.save(head.attach(exposed, weight, bias), tmp_path / "net.onnx")
    session = Session(tmp_path / "net.onnx")
    golden = read_golden(golden_path(CARD))
    for text, logits in zip(golden.inputs, golden.logits, strict=True):
        answers = dict(zip(session.outputs, session.answer(collate([pieces(text)])), strict=True))
        first, second = answers["logits"], answers[head.EXPRESSION]
        np.testing.assert_allclose(first[0], logits, atol=2e-2)
        np.testing.assert_allclose(second[0], bias, atol=1e-6)


def test_other_graphs_are_refused() -> None:
    graph = onnx.helper.make_graph([], "empty", [], [])
    with pytest.raises(ModelError, match="no mean over its last layer"):
        head.expose_layers(onnx.helper.make_model(graph))


def dialogues(n: int = 90) -> head.SentenceFeatures:
    """Features that tell the dialogue, whose label is its own, and one that tells the label."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(n // 3), 3)
    y = rng.integers(0, 3, n // 3)[group]
    x = np.eye(n // 3, dtype=np.float32)[group]
    return head.SentenceFeatures(x, y, group, np.ones(n, np.float32))


def test_a_fit_learns_and_is_judged_on_other_dialogues() -> None:
    data = dialogues()
    *_, (weight, bias) = head.fit(data, 3, (0.03, 0.001))
    assert ((data.x @ weight.T + bias).argmax(1) == data.y).all()
    (held,) = head.out_of_fold(data, 3, (0.001,))
    assert (held.argmax(1) == data.y).mean() < 0.6, "a dialogue was judged by a fit that knew it"


def test_weights_count() -> None:
    x = np.zeros((4, 1), np.float32)
    data = head.SentenceFeatures(
        x, np.array([0, 0, 0, 1]), np.arange(4), np.array([1, 1, 1, 9], np.float32)
    )
    ((_, bias),) = head.fit(data, 2, (0.1,))
    assert bias[1] - bias[0] == pytest.approx(np.log(3), abs=0.01)


def test_rare_labels_win_where_that_pays() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.2).astype(np.int64)
    logits = np.stack([np.full(400, 1.0), y * 0.8 + rng.normal(0, 0.03, 400)], axis=1)
    logits = logits.astype(np.float32)
    assert not logits.argmax(axis=1).any()
    bias = head.balance(logits, y, 2)
    assert bias[0] == 0
    assert ((logits + bias).argmax(axis=1) == y).mean() > 0.99
