"""GoEmotions: Reddit comments with the emotions that readers found in them.

Demszky et al., "GoEmotions: A Dataset of Fine-Grained Emotions", ACL 2020,
https://arxiv.org/abs/2005.00547. Apache-2.0. A folder holds ``original/`` (27
emotions and neutral) and ``ekman/`` (Ekman's six and neutral), each with
``labels.txt`` and tab-separated ``train.tsv``, ``dev.tsv`` and ``test.tsv``:
text, comma-separated label numbers, id. Names of people and religions are
replaced by ``[NAME]`` and ``[RELIGION]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from ...core.labels import Taxonomy
from ...errors import InputError
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split

_FILES = {Split.TRAIN: "train.tsv", Split.VALIDATION: "dev.tsv", Split.TEST: "test.tsv"}


class Grain(str, Enum):
    """Which of the two labellings is read; the values are the folders' names."""

    FINE = "original"
    EKMAN = "ekman"


_TAXONOMIES = {Grain.FINE: "goemotions", Grain.EKMAN: "goemotions_ekman"}


def load(root: Path, grain: Grain = Grain.EKMAN) -> Manifest:
    """Read the corpus' tables.

    Args:
        root: the folder that holds ``original/`` and ``ekman/``.
        grain: which labelling. The comments, ids and their order are the same.

    Raises:
        InputError: if a file is missing or is not what it should be.
    """
    native = taxonomy(_TAXONOMIES[grain])
    folder = root / grain.value
    found = tuple(_lines(folder / "labels.txt"))
    if found != native.labels:
        raise InputError(
            f"{folder / 'labels.txt'} lists {', '.join(found)}; GoEmotions has "
            f"{', '.join(native.labels)}: get the published files"
        )
    entries = [
        entry for split, name in _FILES.items() for entry in _entries(folder / name, split, native)
    ]
    return Manifest("goemotions", native, tuple(entries))


def _entries(path: Path, split: Split, native: Taxonomy) -> Iterator[Entry]:
    for number, line in enumerate(_lines(path), 1):
        try:
            text, indices, comment = line.split("\t")
            labels = {native.labels[int(i)]: 1.0 for i in indices.split(",")}
        except (ValueError, IndexError):
            raise InputError(
                f"{path}, line {number}: expected text, label numbers and an id "
                f"between tabs, got {line[:80]!r}"
            ) from None
        yield Entry(comment, labels=labels, split=split, text=text)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines that are not empty. Comments hold other line ends than newlines."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(
            f"cannot read {path}: {e}; give the folder that holds original/ and ekman/"
        ) from e
    for line in text.split("\n"):
        if line.strip():
            yield line.rstrip("\r")
