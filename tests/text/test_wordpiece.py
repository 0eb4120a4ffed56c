"""Our tokenizer gives the ids that Hugging Face's library gives, whatever it is given."""

from __future__ import annotations

import json
import unicodedata
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.text.wordpiece import WordPiece

tokenizers = pytest.importorskip("tokenizers")

FILE = Path(str(files("emofuse.models"))) / "weights" / "text-minilm-v2.tokenizer.json"
THEIRS = tokenizers.Tokenizer.from_file(str(FILE))
THEIRS.no_padding()
THEIRS.enable_truncation(40)
SETTINGS = json.loads(FILE.read_text(encoding="utf-8"))
OURS = WordPiece(SETTINGS, 40)

LETTERS = (
    "aAeéÉßñçøИиςΣσ漢字かなカ한글हिन्दीعربي👍🏽"
    "'’\"-_.,!?…#@$%^&*()[]{}\t\n\r\x00\x07\ufffd\u00a0\u200b\u0301 0123"
)


def settled(character: str) -> bool:
    """Whether every table of Unicode that the library or a Python may have agrees about it."""
    then = unicodedata.ucd_3_2_0.category(character)
    return then == unicodedata.category(character) != "Cn"


PARTS = st.one_of(
    st.text(LETTERS, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]).filter(settled), max_size=8),
    st.sampled_from([*SETTINGS["model"]["vocab"]][::97]),
    st.sampled_from(["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[cls]", "[UNK]x", "x" * 101, "isn't"]),
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry, I can't do that -- really!",
        "Ça alors! Über-großartig, naïve café.",
        "ΟΔΥΣΣΕΥΣ İstanbul ﬁne ½",
        "他很高兴 but she wasn't",
        "[CLS] hello [SEP] world[MASK]",
        "a" * 100 + " " + "a" * 101,
        "word " * 60,
        "form\x0cfeed\x1cand\x85others",
    ],
)
def test_as_the_library(text: str) -> None:
    assert OURS.encode(text) == THEIRS.encode(text).ids


@settings(max_examples=400)
@given(st.lists(PARTS, max_size=8))
def test_as_the_library_on_anything(parts: list[str]) -> None:
    text = " ".join(parts)
    assert OURS.encode(text) == THEIRS.encode(text).ids


def test_other_tokenizers_are_left_to_the_library() -> None:
    assert WordPiece.fits(SETTINGS)
    assert not WordPiece.fits(SETTINGS | {"pre_tokenizer": {"type": "Whitespace"}})
    assert not WordPiece.fits(SETTINGS | {"normalizer": None})
    odd = [SETTINGS["added_tokens"][0] | {"lstrip": True}]
    assert not WordPiece.fits(SETTINGS | {"added_tokens": odd})
