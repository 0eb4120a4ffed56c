"""FER2013 (Goodfellow et al. 2013) with the votes of FER+ (Barsoum et al. 2016).

Three layouts are read; in each, the faces are 48 × 48 and grey:

- images as ``fer2013/SPLIT/LABEL/NAME.jpg`` beside a table ``fer2013_labels.csv``
  with the columns ``path`` (below ``fer2013/``), ``split`` (``train``,
  ``validation`` = PublicTest, ``test`` = PrivateTest), ``label`` (FER2013's), one
  column of votes per FER+ label (empty where FER+ has none),
  ``duplicate_of_train`` (the training image that this one repeats) and ``blank``
  (1 for an image without content);
- Kaggle's ``fer2013.csv`` (``emotion, pixels, Usage``), from which images are
  written to a folder of the user's choice, with the votes of ``fer2013new.csv``;
- folders of images ``train/LABEL/`` and ``test/LABEL/``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...errors import InputError
from ...io.atomic import atomic_path
from ...io.images import read_image
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Access, Medium, Recipe, Request, named_split, unknown_label

CORPUS = "FER2013"
BLANK, DUPLICATE = "blank", "duplicate_of_train"
"""Flags: an image without content; a held-out image that repeats a training image."""

NO_EXPRESSION = ("unknown", "NF")
"""What FER+'s taggers could say instead of an expression; NF: no face."""

SIDE = 48
"""Width and height of an image, in pixels."""

Row = Mapping[str, str]

_TABLE = "fer2013_labels.csv"
_PIXELS = ("fer2013.csv", "icml_face_data.csv")
_VOTES = "fer2013new.csv"
_USAGE = {"Training": Split.TRAIN, "PublicTest": Split.VALIDATION, "PrivateTest": Split.TEST}


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
    return Manifest("FER+", taxonomy("ferplus"), _entries(root, _votes))


def agreed(votes: Mapping[str, float]) -> dict[str, float]:
    """Return the label that the majority of FER+'s taggers agrees on, or nothing.

    As FER+'s authors count (Barsoum et al. 2016, mode "majority"): what a single tagger
    said is dropped; of the rest, more than half must have said it, and that it is a face
    with one of the eight expressions.
    """
    kept = {label: n for label, n in votes.items() if n > 1}
    most = max(kept, key=lambda label: kept[label], default=None)
    if most in (None, *NO_EXPRESSION) or 2 * kept[most] <= sum(kept.values()):
        return {}
    return {most: 1.0}


def by_majority(manifest: Manifest) -> Manifest:
    """Return the faces that the majority of FER+'s taggers agrees on, with that label."""
    entries = ((e, agreed(e.labels)) for e in manifest)
    kept = tuple(replace(e, labels=label) for e, label in entries if label)
    return Manifest(manifest.corpus, manifest.taxonomy, kept)


def read_images(entries: Iterable[Entry]) -> NDArray[np.uint8]:
    """Read the grey faces of entries: uint8, shape (n, 48, 48).

    Raises:
        InputError: if an image is missing or unreadable.
    """
    images = []
    for entry in entries:
        assert entry.path is not None  # by the recipe
        images.append(read_image(entry.path).pixels[..., 0])
    return np.stack(images)


def _entries(root: Path, labels: Callable[[Row], dict[str, float]]) -> tuple[Entry, ...]:
    table, images = root / _TABLE, root / "fer2013"
    if not table.is_file() or not images.is_dir():
        raise InputError(
            f"no FER2013 under {root}: expected the table {table.name} and the extracted "
            f"images in {images.name}/"
        )
    with table.open(newline="", encoding="utf-8") as f:
        try:
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
        except (KeyError, ValueError) as e:
            raise InputError(f"{table} is not the table of FER2013 that is expected: {e!r}") from e


def _flags(row: Row) -> frozenset[str]:
    flags = {BLANK: row["blank"] == "1", DUPLICATE: bool(row["duplicate_of_train"])}
    return frozenset(flag for flag, is_set in flags.items() if is_set)


def _votes(row: Row) -> dict[str, float]:
    labels = taxonomy("ferplus").labels
    return {label: float(row[label]) for label in labels if float(row[label] or 0) > 0}


def _read(request: Request) -> Manifest:
    if request.labelling == "ferplus-majority":
        return by_majority(_read(replace(request, labelling="ferplus")))
    root, voted = request.root, request.labelling == "ferplus"
    if not root.is_dir():
        raise RECIPE.absent(root)
    if (table := tree.find(root, _TABLE)) and (table.parent / "fer2013").is_dir():
        return load_votes(table.parent) if voted else load(table.parent)
    if voted:
        return Manifest("FER+", taxonomy("ferplus"), _from_votes(request))
    entries = _from_pixels(request) if tree.find(root, *_PIXELS) else _from_folders(root)
    if not entries:
        raise RECIPE.absent(root)
    return Manifest(CORPUS, taxonomy("fer2013"), entries)


def _from_votes(request: Request) -> tuple[Entry, ...]:
    """LabelAlignment FER+'s table with the images, by their number in FER2013's table."""
    table = tree.find(request.root, _VOTES)
    if table is None:
        raise InputError(
            f"no votes of FER+ in {request.root}: expected {_TABLE}, or {_VOTES} of "
            f"https://github.com/microsoft/FERPlus beside {_PIXELS[0]}"
        )
    images = dict(_images(request))
    rows = tree.read_table(table, "Usage", *taxonomy("ferplus").labels)
    if images and len(rows) < len(images):
        raise InputError(f"{table} has {len(rows)} rows for {len(images)} images of FER2013")
    entries = (
        Entry(name, images[name], _votes(row), split=_split(row["Usage"], table))
        for name, row in ((_name(number), row) for number, row in enumerate(rows))
        if name in images
    )
    return tuple(entries)


def _images(request: Request) -> Iterator[tuple[str, Path]]:
    """Yield the numbered images: as FER+'s script writes them, or from Kaggle's table."""
    there = tree.by_stem(tree.media(request.root, tree.IMAGE))
    if numbered := {name: path for name, path in there.items() if _is_name(name)}:
        yield from numbered.items()
    elif tree.find(request.root, *_PIXELS):
        yield from ((e.id, e.path) for e in _from_pixels(request) if e.path)
    else:
        raise RECIPE.absent(request.root)


def _from_pixels(request: Request) -> tuple[Entry, ...]:
    """Read Kaggle's table, writing its images where there are none yet."""
    table = tree.find(request.root, *_PIXELS)
    folder = request.options.get("images")
    if table is None:
        raise RECIPE.absent(request.root)
    if not folder:
        raise InputError(
            f"{table} holds the images as numbers: say where to write them as files, with "
            "--set images=DIR"
        )
    labels, entries = taxonomy("fer2013").labels, []
    for number, row in enumerate(_rows(table)):
        where = f"{table}, line {number + 2}"
        code = row["emotion"].strip()
        if not code.isdigit() or int(code) >= len(labels):
            raise unknown_label(CORPUS, code, tuple(map(str, range(len(labels)))), where)
        path = Path(folder) / f"{_name(number)}.png"
        if not path.is_file():
            _write_image(row["pixels"], path, where)
        split = _split(row["Usage"], table)
        entries.append(Entry(_name(number), path, {labels[int(code)]: 1.0}, split=split))
    return tuple(entries)


def _rows(table: Path) -> Iterator[Row]:
    """Yield the rows of Kaggle's table, one at a time: it has 300 MB."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as f:
            reader = csv.reader(f)
            names = [name.strip() for name in next(reader, [])]  # one of its copies has blanks
            if missing := {"emotion", "pixels", "Usage"} - set(names):
                raise InputError(f"{table} lacks the columns {', '.join(sorted(missing))}")
            for cells in reader:
                yield dict(zip(names, cells, strict=True))
    except (OSError, ValueError, csv.Error) as e:
        raise InputError(f"cannot read {table}: {e}; download it again") from e


def _write_image(pixels: str, path: Path, where: str) -> None:
    from PIL import Image

    try:
        image = np.array(pixels.split(), np.uint8).reshape(SIDE, SIDE)
        with atomic_path(path) as part:
            Image.fromarray(image).save(part, format="PNG")
    except (ValueError, OverflowError) as e:
        raise InputError(f"{where}: expected {SIDE * SIDE} pixels from 0 to 255: {e}") from e
    except OSError as e:
        raise InputError(f"cannot write {path}: {e}; choose another folder or make room") from e


def _from_folders(root: Path) -> tuple[Entry, ...]:
    """Read images by the folder that names their label.

    Kaggle's folders put both held-back sets into ``test/``; the names tell them apart.
    """
    labels, entries = taxonomy("fer2013").labels, []
    for path in tree.media(root, tree.IMAGE):
        label = path.parent.name.lower()
        split = _USAGE.get(path.stem.split("_")[0]) or named_split(path, root)
        if label in labels and split:
            name = path.relative_to(root).as_posix()
            entries.append(Entry(name, path, {label: 1.0}, split=split))
    return tuple(entries)


def _split(usage: str, table: Path) -> Split:
    if usage not in _USAGE:
        raise InputError(f"{table}: Usage is one of {', '.join(_USAGE)}, got {usage!r}")
    return _USAGE[usage]


def _name(number: int) -> str:
    """The name that FER+ gives to an image by its row in FER2013's table."""
    return f"fer{number:07d}"


def _is_name(stem: str) -> bool:
    return stem.startswith("fer") and stem[3:].isdigit() and len(stem) == len(_name(0))


RECIPE = Recipe(
    name="fer2013",
    title="35,887 small grey faces from the web with one of 7 expressions; ten votes each by FER+",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"fer2013": "fer2013", "ferplus": "ferplus", "ferplus-majority": "ferplus"},
    licence="research and education (Kaggle competition data); votes of FER+: MIT",
    citation="Goodfellow, I. J. et al. (2013). Challenges in Representation Learning: A report on "
    "three machine learning contests. arXiv:1307.0414. Votes: Barsoum, E., Zhang, C., Canton "
    "Ferrer, C. and Zhang, Z. (2016). Training Deep Networks for Facial Expression Recognition "
    "with Crowd-Sourced Label Distribution. Proc. ICMI. arXiv:1608.01041",
    home="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-"
    "recognition-challenge",
    access=Access.REGISTRATION,
    obtain="fer2013.tar.gz from the competition's page, with a Kaggle account; the votes of FER+, "
    "fer2013new.csv, without one from https://github.com/microsoft/FERPlus",
    layout=f"{_PIXELS[0]} (emotion, pixels, Usage), folders train/LABEL/ and test/LABEL/ of "
    f"images, or {_TABLE} with fer2013/; for the votes {_VOTES} too",
    read=_read,
    options={"images": "folder to which the images of fer2013.csv are written"},
    remark="Its label and FER+'s majority agree in about 71 %. It repeats many images, some of "
    "them across splits and under different labels: preparing it whole needs "
    "--allow duplicates,conflicts; --drop duplicates,conflicts leaves them out.",
)
