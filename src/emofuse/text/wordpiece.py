"""BERT's tokenizer: the one that the embedded text model uses, without a library for it.

Devlin et al. 2019, "BERT", https://arxiv.org/abs/1810.04805; Wu et al. 2016 for word pieces.
The compiled library `tokenizers` brings some twenty packages for accounts and downloads with
it, which nobody needs who reads one vocabulary; other kinds of tokenizers still use it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""First and last code points of Chinese characters, each of which is a word."""


class WordPiece:
    """The tokenizer that a ``tokenizer.json`` describes, if `fits` says that it is BERT's.

    Args:
        settings: the content of the file.
        longest: most ids of a text, special ones included; what is too much is cut off.

    Raises:
        KeyError, TypeError: if `settings` are damaged.
    """

    def __init__(self, settings: Mapping[str, Any], longest: int) -> None:
        model, normalizer = settings["model"], settings["normalizer"]
        self.vocabulary: Mapping[str, int] = model["vocab"]
        self._unknown = self.vocabulary[model["unk_token"]]
        self._longest_word = int(model["max_input_chars_per_word"])
        self._prefix: str = model["continuing_subword_prefix"]
        self._clean = bool(normalizer["clean_text"])
        self._chinese = bool(normalizer["handle_chinese_chars"])
        self._lower = bool(normalizer["lowercase"])
        accents = normalizer["strip_accents"]
        self._bare = self._lower if accents is None else bool(accents)
        template = settings["post_processor"]
        self._before, self._after = _around(template)
        self._room = longest - len(self._before) - len(self._after)
        added = {token["content"]: token["id"] for token in settings["added_tokens"]}
        self._special: Mapping[str, int] = added
        self._split = re.compile("|".join(map(re.escape, added)) or r"(?!)")
        self._pieces = lru_cache(maxsize=20_000)(self._of_word)

    @staticmethod
    def fits(settings: Mapping[str, Any]) -> bool:
        """Whether a ``tokenizer.json`` is of this kind, in all that it says.

        >>> WordPiece.fits({"model": {"type": "BPE"}})
        False
        """
        kinds = {"model": "WordPiece", "normalizer": "BertNormalizer"}
        kinds |= {"pre_tokenizer": "BertPreTokenizer", "post_processor": "TemplateProcessing"}
        if any((settings.get(part) or {}).get("type") != kind for part, kind in kinds.items()):
            return False
        odd = ("single_word", "lstrip", "rstrip", "normalized")
        return not any(token.get(key) for token in settings["added_tokens"] for key in odd)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, special ones included."""
        ids: list[int] = []
        for part in self._parts(text):
            ids.extend(part)
            if len(ids) >= self._room:
                break
        return [*self._before, *ids[: self._room], *self._after]

    def _parts(self, text: str) -> Iterator[tuple[int, ...]]:
        """Yield the ids of one word after the other; special tokens may stand in the text."""
        start = 0
        for match in self._split.finditer(text):
            yield from map(self._pieces, _words(self._normalized(text[start : match.start()])))
            yield (self._special[match[0]],)
            start = match.end()
        yield from map(self._pieces, _words(self._normalized(text[start:])))

    def _normalized(self, text: str) -> str:
        if self._clean:
            text = "".join(map(_cleaned, text))
        if self._chinese:
            text = "".join(f" {c} " if _is_chinese(c) else c for c in text)
        if self._bare:
            apart = unicodedata.normalize("NFD", text)
            text = "".join(c for c in apart if unicodedata.category(c) != "Mn")
        # Letter by letter: Python would write a sigma at the end of a word in its own way.
        return "".join(c.lower() for c in text) if self._lower else text

    def _of_word(self, word: str) -> tuple[int, ...]:
        """Split a word into the longest pieces that the vocabulary has, from its start."""
        if len(word) > self._longest_word:
            return (self._unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for end in range(len(word), start, -1):
                found = self.vocabulary.get(prefix + word[start:end])
                if found is not None:
                    break
            else:
                return (self._unknown,)
            ids.append(found)
            start = end
        return tuple(ids)


def _around(template: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Return the ids of the special tokens before and after a text."""
    before: list[int] = []
    after: list[int] = []
    place = before
    for part in template["single"]:
        if "Sequence" in part:
            place = after
        else:
            place += template["special_tokens"][part["SpecialToken"]["id"]]["ids"]
    return before, after


def _cleaned(c: str) -> str:
    # What controls a device goes, form feeds and the like too, which Python counts as spaces.
    # Code points that no table knows yet stay.
    if c in "\t\n\r":
        return " "
    if c == "\ufffd" or unicodedata.category(c) in ("Cc", "Cf", "Co"):
        return ""
    return " " if c.isspace() else c


def _is_chinese(c: str) -> bool:
    return c > "\u33ff" and any(first <= ord(c) <= last for first, last in _CJK)


def _words(text: str) -> Iterator[str]:
    """Yield words, and punctuation marks one by one."""
    for word in text.split():
        start = 0
        for i, c in enumerate(word):
            if _is_punctuation(c):
                if start < i:
                    yield word[start:i]
                yield c
                start = i + 1
        if start < len(word):
            yield word[start:]


def _is_punctuation(c: str) -> bool:
    if c.isascii():
        return c.isprintable() and not c.isalnum() and c != " "
    return unicodedata.category(c).startswith("P")
