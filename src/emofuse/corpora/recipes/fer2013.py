"""FER2013 (Goodfellow et al. 2013) with the votes of FER+ (Barsoum et al. 2016).

The root holds the images as ``fer2013/SPLIT/LABEL/NAME.jpg`` (48 × 48, grey) and
a table ``fer2013_labels.csv`` with the columns ``path`` (below ``fer2013/``),
``split`` (``train``, ``validation`` = PublicTest, ``test`` = PrivateTest),
``label`` (FER2013's), one column of votes per FER+ label (empty where FER+ has
none), ``duplicate_of_train`` (the training image that this one repeats) and
``blank`` (1 for an image without content).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split

CORPUS = "FER2013"
BLANK, DUPLICATE = "blank", "duplicate_of_train"
"""Flags: an image without content; a held-out image that repeats a training image."""

Row = Mapping[str, str]


def load(root: Path) -> Manifest:
    """Read the corpus with FER2013's own label of each face.

    Raises:
        InputError: if the table or the images are not under `root`.
    """
    return Manifest(CORPUS, taxonomy("fer2013"), _entries(root, lambda row: {row["label"]: 1.0}))


def load_votes(root: Path) -> Manifest:
    """Read the same faces in the same order with the votes of FER+'s taggers.

    Raises:
        InputError: if the table or the images are not under `root`.
    """
    native = taxonomy("ferplus")

    def votes(row: Row) -> dict[str, float]:
        return {label: float(row[label]) for label in native.labels if float(row[label] or 0) > 0}

    return Manifest("FER+", native, _entries(root, votes))


def read_images(entries: Iterable[Entry]) -> NDArray[np.uint8]:
    """Read the grey faces of entries: uint8, shape (n, 48, 48).

    Raises:
        InputError: if an image is missing or unreadable.
    """
    from PIL import Image, UnidentifiedImageError

    images = []
    for entry in entries:
        assert entry.path is not None  # by the recipe
        try:
            with Image.open(entry.path) as image:
                images.append(np.asarray(image.convert("L")))
        except (OSError, UnidentifiedImageError) as e:
            raise InputError(
                f"cannot read the image {entry.path}: {e}; extract the corpus again"
            ) from e
    return np.stack(images)


def _entries(root: Path, labels: Callable[[Row], dict[str, float]]) -> tuple[Entry, ...]:
    table, images = root / "fer2013_labels.csv", root / "fer2013"
    if not table.is_file() or not images.is_dir():
        raise InputError(
            f"no FER2013 under {root}: expected the table {table.name} and the extracted "
            f"images in {images.name}/"
        )
    with table.open(newline="", encoding="utf-8") as f:
        return tuple(
            Entry(
                id=row["path"],
                path=images / row["path"],
                labels=labels(row),
                split=Split(row["split"]),
                flags=_flags(row),
            )
            for row in csv.DictReader(f)
        )


def _flags(row: Row) -> frozenset[str]:
    flags = {BLANK: row["blank"] == "1", DUPLICATE: bool(row["duplicate_of_train"])}
    return frozenset(flag for flag, is_set in flags.items() if is_set)
