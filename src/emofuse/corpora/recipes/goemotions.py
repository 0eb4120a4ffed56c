"""GoEmotions: Reddit comments with the emotions that readers found in them.

Demszky et al., "GoEmotions: A Dataset of Fine-Grained Emotions", ACL 2020,
https://arxiv.org/abs/2005.00547. Apache-2.0. Tab-separated ``train.tsv``,
``dev.tsv`` and ``test.tsv`` hold text, comma-separated label numbers and id. Names
of people and religions are replaced by ``[NAME]`` and ``[RELIGION]``.

Two layouts are read: the folders ``original/`` (27 emotions and neutral) and
``ekman/`` (Ekman's six and neutral), each with a ``labels.txt``; and the three
published files alone, whose emotions are grouped into Ekman's here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...errors import InputError
from .. import tree
from ..labels import load_map, taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Download, Medium, Recipe, Request

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
    return _load(folder, native)


def _load(folder: Path, native: Taxonomy) -> Manifest:
    entries = [
        entry for split, name in _FILES.items() for entry in _entries(folder / name, split, native)
    ]
    return Manifest("goemotions", native, tuple(entries))


def _read(request: Request) -> Manifest:
    grain = Grain.EKMAN if request.labelling == "ekman" else Grain.FINE
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    tables = [path for path in tree.walk(request.root) if path.name in _FILES.values()]
    folders = {path.parent for path in tables}
    named = (folder for folder in folders if folder.name == grain.value)
    if home := next((folder for folder in named if (folder / "labels.txt").is_file()), None):
        return load(home.parent, grain)
    published = sorted(folder for folder in folders if folder.name != Grain.EKMAN.value)
    if not published:
        raise RECIPE.absent(request.root)
    fine = _load(published[0], taxonomy(_TAXONOMIES[Grain.FINE]))
    return fine if grain is Grain.FINE else _group(fine)


def _group(fine: Manifest) -> Manifest:
    """Group the 27 emotions into Ekman's, by way of the canonical labels."""
    native = taxonomy(_TAXONOMIES[Grain.EKMAN])
    to_canonical = load_map(fine.taxonomy.name).weights
    back = {to: label for label, row in load_map(native.name).weights.items() for to in row}
    entries = []
    for entry in fine:
        grouped = {back[to] for label in entry.labels for to in to_canonical[label]}
        labels = {label: 1.0 for label in native.labels if label in grouped}
        entries.append(Entry(entry.id, labels=labels, split=entry.split, text=entry.text))
    return Manifest(fine.corpus, native, tuple(entries))


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


_URL = "https://github.com/google-research/google-research/raw/master/goemotions/data"
_SHA256 = {
    "train.tsv": "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    "dev.tsv": "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    "test.tsv": "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
}

RECIPE = Recipe(
    name="goemotions",
    title="54,263 Reddit comments with any of 27 emotions, or of Ekman's six",
    modalities=(Modality.TEXT,),
    media=(Medium.TEXT,),
    labellings={"original": _TAXONOMIES[Grain.FINE], "ekman": _TAXONOMIES[Grain.EKMAN]},
    licence="Apache-2.0",
    citation="Demszky, D., Movshovitz-Attias, D., Ko, J., Cowen, A., Nemade, G. and Ravi, S. "
    "(2020). GoEmotions: A Dataset of Fine-Grained Emotions. Proc. ACL. arXiv:2005.00547",
    home="https://github.com/google-research/google-research/tree/master/goemotions",
    layout="train.tsv, dev.tsv and test.tsv (text, label numbers, id), or folders original/ and "
    "ekman/ with these and labels.txt",
    read=_read,
    downloads=tuple(
        Download(f"{_URL}/{name}", f"sha256:{digest}", name) for name, digest in _SHA256.items()
    ),
    remark="Some short comments occur more than once; the corpus does not say who wrote them.",
)
