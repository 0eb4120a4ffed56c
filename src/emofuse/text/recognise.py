"""From a sentence to emotion scores."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from .sentences import Sentences, split_sentences
from .wordpiece import WordPiece

__all__ = ["Preparation", "Sentences", "TextRecogniser", "WordPieces", "plain", "split_sentences"]

PADDING = 0
"""Token id that fills up the shorter rows of a batch; the graph ignores it."""

_TYPOGRAPHY = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "…": "...", "–": "-", "—": " - "}
)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What `prepare` makes of a text; a card's ``preparation`` holds the same keys.

    Args:
        max_tokens: longest row, special tokens included; what is beyond is cut off.
        spell_out: whether pictographs and typographic signs are written out (see `plain`),
            for vocabularies that do not know them.

    Raises:
        ValueError: if no word would be left.
    """

    max_tokens: int = 64
    spell_out: bool = True

    def __post_init__(self) -> None:
        if self.max_tokens < 3:
            raise ValueError(f"max_tokens must be at least 3, got {self.max_tokens}")

    @classmethod
    def of_card(cls, card: Card) -> Preparation:
        """Read the preparation from a card.

        Raises:
            ModelError: if the card's keys or values are not those of a text model.
        """
        try:
            return cls(**card.preparation)
        except (TypeError, ValueError) as e:
            raise ModelError(
                f"card {card.id!r}: the preparation does not fit a text model: {e}"
            ) from e


def plain(text: str) -> str:
    """Write a text with signs that a vocabulary of word pieces knows. Pure.

    Typographic quotes and dashes become plain ones. Pictographs are spelled out
    by their Unicode names ("😂" → "face with tears of joy"): they say much about
    emotion, and the vocabulary has nearly none of them.
    """
    if text.isascii():
        return text
    return "".join(map(_spell, text.translate(_TYPOGRAPHY)))


def _spell(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "So":
        return f" {unicodedata.name(sign, '').lower()} "
    # Skin tones, joiners and variation selectors only say how a pictograph is drawn.
    drawn = (category == "Sk" and ord(sign) > 0xFFFF) or sign in "\u200d\ufe0e\ufe0f"
    return "" if drawn else sign


class WordPieces:
    """A tokenizer file and the length it cuts to. Calling it is `prepare`.

    Args:
        path: a ``tokenizer.json`` of Hugging Face's tokenizers.
        preparation: normally that of a card.

    Raises:
        ModelError: if the file is missing or not a tokenizer.
    """

    def __init__(self, path: Path, preparation: Preparation = Preparation()) -> None:
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            tokenizer: _Tokenizer = (
                WordPiece(settings, preparation.max_tokens)
                if WordPiece.fits(settings)
                else _Library(path, preparation.max_tokens)
            )
        except (MissingExtra, ModelError):
            raise
        except Exception as e:  # whatever a damaged file can bring about
            raise ModelError(f"cannot load the tokenizer {path}: {e}; get the model again") from e
        self._tokenizer = tokenizer
        self.padding: int = _padding(settings, tokenizer.vocabulary)
        """Token id that fills up the shorter rows of a batch."""
        self._spell_out = preparation.spell_out

    def __call__(self, text: str) -> NDArray[np.int64]:
        """Turn a text into token ids, special ones included: int64, shape (n,), n >= 2."""
        written = plain(text) if self._spell_out else text
        return np.array(self._tokenizer.encode(written), dtype=np.int64)


class _Tokenizer(Protocol):
    """What makes token ids of a text."""

    @property
    def vocabulary(self) -> Mapping[str, int]: ...

    def encode(self, text: str) -> list[int]: ...


class _Library:
    """Tokenizers of other kinds than BERT's, by Hugging Face's compiled library."""

    def __init__(self, path: Path, longest: int) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as e:
            raise MissingExtra("zoo", f"the tokenizer {path.name}") from e
        self._tokenizer = Tokenizer.from_file(str(path))
        # Files often come with padding to a fixed length, which would only cost time.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self.vocabulary: Mapping[str, int] = self._tokenizer.get_vocab()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids


def _padding(settings: Mapping[str, Any], vocabulary: Mapping[str, int]) -> int:
    """The id that a file fills up with; else what BERT and RoBERTa call padding, else 0."""
    if filler := settings.get("padding"):
        return int(filler["pad_id"])
    ids = (vocabulary.get(name) for name in ("[PAD]", "<pad>"))
    return next((i for i in ids if i is not None), PADDING)


def collate(
    rows: Sequence[NDArray[np.int64]], padding: int = PADDING, length: int | None = None
) -> NDArray[np.int64]:
    """Stack rows of token ids, the shorter ones filled up: int64 (rows, length or longest)."""
    out = np.full((len(rows), length or max(map(len, rows))), padding, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


class TextRecogniser(OnnxRecogniser):
    """Estimates the emotion of sentences.

    Args:
        card: the model's card; its ``preparation`` has the keys of `Preparation`.
        files: paths of its files by role: ``"weights"`` and ``"tokenizer"``.
        threads: intra-op threads.

    Raises:
        ModelError: if a file is missing or damaged, or the preparation is not one.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        super().__init__(card, files, threads)
        if "tokenizer" not in files:
            raise ModelError(
                f"card {card.id!r} names no file with the role 'tokenizer'; a text model needs one"
            )
        self._pieces = WordPieces(files["tokenizer"], Preparation.of_card(card))

    def prepare(self, sample: str) -> NDArray[np.int64]:
        """Turn a text into token ids, int64, shape (n,): see `WordPieces`."""
        return self._pieces(sample)

    def collate(self, rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], ...]:
        """Stack rows of token ids into the graph's inputs: ids, and by name a mask or types."""
        shape = self._session.shapes[0]
        ids = collate(rows, self._pieces.padding, shape[1] if len(shape) > 1 else None)
        lengths = np.array([len(row) for row in rows])[:, None]
        mask = (np.arange(ids.shape[1]) < lengths).astype(np.int64)
        by_name = {"mask": mask, "type": np.zeros_like(ids)}
        return tuple(
            next((x for part, x in by_name.items() if part in name.lower()), ids)
            for name in self._session.inputs
        )
