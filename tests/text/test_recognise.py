"""The text model reads emotions, and its preparation is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.errors import ModelError
from emofuse.models.registry import load
from emofuse.models.store import Store
from emofuse.text.recognise import PADDING, Preparation, TextRecogniser, WordPieces, collate, plain

MODEL = "text-minilm-v2"

EVERYDAY = {
    "happy": [
        "I am so happy to see you!",
        "thank you so much that is wonderful",
        "What a beautiful day, I love it.",
    ],
    "sad": [
        "I miss my grandmother so much.",
        "I'm sorry, I feel so sad and alone.",
        "she died last night and i cannot stop crying",
    ],
    "angry": [
        "This is outrageous, you are an idiot!",
        "i hate you get out of my house",
        "Stop lying to me, I am furious.",
    ],
    "fear": [
        "I'm scared of the dark.",
        "please help me i am terrified",
        "I am so nervous and afraid about tomorrow.",
    ],
    "disgust": ["That is disgusting.", "this is so gross", "the toilet was absolutely filthy"],
    "surprise": [
        "Wow, I did not expect that!",
        "What? Are you serious?",
        "i had no idea why would he do that",
    ],
    "neutral": [
        "The train leaves at ten.",
        "He put the box on the table.",
        "the meeting is on monday",
    ],
}


@pytest.fixture(scope="module")
def recogniser() -> TextRecogniser:
    model = load(MODEL, Store(offline=True))
    assert isinstance(model, TextRecogniser)
    return model


@pytest.fixture(scope="module")
def tokenizer() -> Path:
    store = Store(offline=True)
    return store.files(store.card(MODEL))["tokenizer"]


@pytest.mark.parametrize("emotion", EVERYDAY)
def test_everyday_sentences_are_understood(recogniser: TextRecogniser, emotion: str) -> None:
    rows = [recogniser.prepare(text) for text in EVERYDAY[emotion]]
    assert [answer.probabilities.label for answer in recogniser.infer(rows)] == [emotion] * len(
        rows
    )


def test_signs_are_written_plainly() -> None:
    assert plain("“Don’t” – he said…") == '"Don\'t" - he said...'
    assert plain("😂").strip() == "face with tears of joy"
    assert plain("👍🏽") == plain("👍") == " thumbs up sign "
    assert plain("❤️") == " heavy black heart "
    assert plain("naïve Ünïcode 你好") == "naïve Ünïcode 你好"


def test_a_pictograph_changes_the_answer(recogniser: TextRecogniser) -> None:
    texts = ["I have seen it.", "I have seen it 😭", "I have seen it 😍"]
    answers = recogniser.infer([recogniser.prepare(t) for t in texts])
    plain_, crying, loving = (answer.probabilities for answer in answers)
    assert crying["sad"] > plain_["sad"] + 0.1
    assert loving["happy"] > plain_["happy"] + 0.1


def test_rows_have_their_own_length_and_a_limit(tokenizer: Path) -> None:
    prepare = WordPieces(tokenizer, Preparation(max_tokens=16))
    short, long = prepare("I am glad."), prepare("very " * 500)
    assert short.dtype == np.int64
    assert (len(short), len(long)) == (6, 16)
    assert len(prepare("")) == 2
    assert PADDING not in short
    assert (short[0], short[-1]) == (long[0], long[-1])  # the special tokens stay


def test_filling_up_changes_no_answer(recogniser: TextRecogniser) -> None:
    rows = [recogniser.prepare(t) for t in ("I am glad.", "Why on earth would you do that? " * 4)]
    batch = collate(rows)
    assert batch.shape == (2, len(rows[1]))
    assert (batch[0, len(rows[0]) :] == PADDING).all()
    together = recogniser.logits(rows)
    np.testing.assert_allclose(together[:1], recogniser.logits(rows[:1]), atol=1e-4)


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot load the tokenizer"):
        WordPieces(tmp_path / "tokenizer.json")


def test_a_card_without_tokenizer_is_refused(recogniser: TextRecogniser) -> None:
    files = {k: v for k, v in Store().files(recogniser.card).items() if k != "tokenizer"}
    with pytest.raises(ModelError, match="'tokenizer'"):
        TextRecogniser(recogniser.card, files)


def test_a_preparation_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Preparation(max_tokens=2)
