"""Which language words are in, and whether a model reads it.

Languages are told by py3langid (Lui & Baldwin 2012, "langid.py: An off-the-shelf language
identification tool"; 97 languages), which needs no network. A short sentence alone is
often told wrongly ("Oh no." is Danish, too), so that what was said just before counts,
and little text is taken to be readable.
"""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from ..core.media import Diagnostic, Utterance, Watermark

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_CONTEXT = 40
"""Characters of what was said before that count, too."""

_LEAST = 20
"""UTF-8 bytes of text below which no language is told: half as many letters of Cyrillic."""

_IMPROBABLE = 0.05
"""A language of a smaller probability is not that of a text."""


def language_of(text: str) -> str | None:
    """Tell the language of a text.

    Returns:
        Its ISO 639-1 code; None for less than about twenty letters.

    Example:
        >>> language_of("No sé qué decirte, estoy muy triste.")
        'es'
        >>> language_of("Oh no.") is None
        True
    """
    if len(text.encode(errors="replace")) < _LEAST:
        return None
    return max(_probabilities(text).items(), key=lambda item: item[1])[0]


def is_readable(text: str, languages: Collection[str]) -> bool:
    """Whether a text may be in one of some languages (ISO 639-1); too short a text may.

    Example:
        >>> is_readable("I do not know what to say.", ["en"])
        True
        >>> is_readable("Jestem dzisiaj bardzo smutny.", ["en"])
        False
    """
    if len(text.encode(errors="replace")) < _LEAST:
        return True
    told = _probabilities(text)
    return sum(told.get(language, 0.0) for language in languages) >= _IMPROBABLE


def _probabilities(text: str) -> dict[str, float]:
    return dict(_identifier().rank(text))


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    """Load the identifier, its two large tables left on the disk.

    They are 70 MB, twice that while the package itself loads them, and a text needs some kB.
    """
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    file = TemporaryFile(suffix=".npz", buffering=0)  # noqa: SIM115 - it stays open
    with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
        shutil.copyfileobj(packed, file, 1 << 20)
    file.seek(0)
    with np.load(file) as tables:
        classes, output = tables["classes"].tolist(), tables["out_feat"].tolist()
        row, prior = memoryview(tables["nextmove_row"]), tables["pc"]
    with ZipFile(file) as archive:
        weights, moves = (archive.getinfo(f"{name}.npy") for name in ("ptc", "nextmove"))
    table, next_move = _Weights(file, weights), _Moves(file, moves)
    return LanguageIdentifier(table, prior, classes, next_move, output, True, tk_row=row)


class _OnDisk:
    """An array of an uncompressed archive whose rows are read when they are asked for."""

    _reading = threading.Lock()

    def __init__(self, file: IO[bytes], entry: ZipInfo) -> None:
        file.seek(entry.header_offset + 26)  # where the lengths of name and extra field are
        file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)
        np.lib.format.read_magic(file)
        shape, _, self._kind = np.lib.format.read_array_header_1_0(file)
        self._row = int(np.prod(shape[1:])) * self._kind.itemsize  # in bytes
        self._file, self._start = file, file.tell()

    def _bytes(self, row: int) -> bytes:
        with self._reading:
            self._file.seek(self._start + row * self._row)
            return self._file.read(self._row)


class _Weights(_OnDisk):
    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        return np.stack([np.frombuffer(self._bytes(row), self._kind) for row in rows.tolist()])


class _Moves(_OnDisk):
    def __getitem__(self, state: int) -> int:
        return int.from_bytes(self._bytes(state), "little")


class ReadableWords:
    """Marks utterances in a language that the text model was not taught: a `Stage`.

    They keep their words, but their confidence becomes 0, so that they have no say. Each
    language is told once, in a `Diagnostic`.

    Args:
        languages: ISO 639-1 codes of those that the model reads; empty: all.
        model_id: of the model, for the note.
    """

    def __init__(self, languages: Collection[str], model_id: str) -> None:
        self._languages, self._model_id = tuple(languages), model_id
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._before = ""
        self._told: set[str] = set()

    def feed(self, item: Utterance | Watermark) -> Iterator[Utterance | Watermark | Diagnostic]:
        """Take an utterance; yield it, marked if the model does not read it."""
        if not (isinstance(item, Utterance) and self._languages):
            yield item
            return
        context = f"{self._before} {item.text}".strip()
        context = context[-max(_CONTEXT, len(item.text)) :]
        self._before = context[-_CONTEXT:]
        if is_readable(context, self._languages):
            yield item
            return
        language = language_of(context) or "und"
        if language not in self._told:
            self._told.add(language)
            yield Diagnostic("other-language", self._note(language), item.span.start_ns)
        yield replace(item, language=language, confidence=0.0)

    def flush(self) -> Iterator[Utterance]:
        """Nothing is ever held."""
        return iter(())

    def _note(self, language: str) -> str:
        reads = ", ".join(self._languages)
        return f"words in another language ({language}) have no say: {self._model_id} reads {reads}"
