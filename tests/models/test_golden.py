"""Every embedded model answers as it did when it was exported."""

from pathlib import Path

import numpy as np
import pytest

from emofuse.core.estimates import Modality
from emofuse.errors import ModelError
from emofuse.models import registry
from emofuse.models.card import Card, read_card
from emofuse.models.golden import Golden, golden_path, read_golden, replay
from emofuse.models.recogniser import OnnxRecogniser
from emofuse.models.store import WEIGHTS, ZOO, ModelLocation, Store

EMBEDDED = [card for card in Store(folders=[]).cards() if not card.downloads]
RECOGNISERS = [card for card in EMBEDDED if card.recogniser in registry.RECOGNISERS]
"""Without the face detector, whose golden pair tests/face/test_detect.py replays."""


def test_face_speech_and_words_each_have_an_embedded_model() -> None:
    """Without these the tests below would pass on nothing."""
    known = {card.modality for card in RECOGNISERS}
    assert {Modality.FACE, Modality.SPEECH, Modality.TEXT} <= known


@pytest.mark.parametrize("card", RECOGNISERS, ids=lambda card: card.id)
def test_an_embedded_model_answers_its_golden_pair(card: Card) -> None:
    store = Store(folders=[])
    assert store.location(card) is ModelLocation.EMBEDDED
    golden = read_golden(golden_path(card))
    recogniser = registry.load(card.id, store)
    # Products in int8 differ between versions of ONNX Runtime: .013 between 1.23 and 1.31.
    assert replay(recogniser, golden) < 2e-2, "on this kind of processor it should be closer"
    answers = recogniser.infer([recogniser.prepare(raw) for raw in golden.inputs])
    labels = [card.taxonomy.labels[i] for i in golden.logits.argmax(axis=1)]
    assert [a.probabilities.label for a in answers] == labels
    assert len({a.probabilities.label for a in answers}) > 1, (
        "a pair with one answer only would prove little"
    )


@pytest.mark.parametrize("card", RECOGNISERS, ids=lambda card: card.id)
def test_the_batch_changes_no_answer(card: Card) -> None:
    recogniser = registry.load(card.id)
    assert isinstance(recogniser, OnnxRecogniser)
    rows = [recogniser.prepare(raw) for raw in read_golden(golden_path(card)).inputs]
    alone = np.concatenate([recogniser.logits([row]) for row in rows])
    np.testing.assert_allclose(recogniser.logits(rows), alone, atol=1e-3)


@pytest.mark.parametrize("card", RECOGNISERS, ids=lambda card: card.id)
def test_a_wrong_answer_is_noticed(card: Card) -> None:
    recogniser = registry.load(card.id)
    golden = read_golden(golden_path(card))
    with pytest.raises(ModelError, match="no longer answers"):
        replay(recogniser, Golden(golden.inputs, golden.logits + np.float32(0.1)))
    with pytest.raises(ModelError, match="shape"):
        replay(recogniser, Golden(golden.inputs, golden.logits[:, :-1]))


def test_nothing_lies_about_in_the_weights_folder() -> None:
    """Each file there belongs to a card: what nobody names is dead weight in the wheel."""
    shipped = [read_card(path) for path in ZOO.glob("*.toml")]
    named = {f.name for card in shipped for f in card.files.values() if f.url is None}
    named |= {golden_path(card).name for card in EMBEDDED if card.files}
    assert {p.name for p in WEIGHTS.iterdir() if not p.name.startswith((".", "__"))} == named


def test_texts_come_back_as_texts_and_in_order(tmp_path: Path) -> None:
    texts = {f"input_{i}": np.array(f"text {i}") for i in range(12)}
    np.savez(tmp_path / "a.npz", logits=np.zeros((12, 2), np.float32), **texts)
    assert read_golden(tmp_path / "a.npz").inputs == [f"text {i}" for i in range(12)]


def test_useless_golden_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no usable golden pair"):
        read_golden(tmp_path / "absent.npz")
    np.savez(tmp_path / "empty.npz", logits=np.zeros((0, 2)))
    with pytest.raises(ModelError, match="got 0 inputs"):
        read_golden(tmp_path / "empty.npz")
    np.savez(tmp_path / "short.npz", logits=np.zeros((1, 2)), input_0=1, input_1=2)
    with pytest.raises(ModelError, match="got 2 inputs"):
        read_golden(tmp_path / "short.npz")
