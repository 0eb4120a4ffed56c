"""AffectNet: faces from the web with an expression, valence and arousal (on request).

Mollahosseini, Hasani and Mahoor 2017, *AffectNet: A Database for Facial
Expression, Valence, and Arousal Computing in the Wild*,
doi:10.1109/TAFFC.2017.2740923.

Two layouts are read: the tables ``training.csv`` and ``validation.csv`` with the
folder of images that they name, and ``train_set/`` and ``val_set/`` with
``images/N.jpg`` and ``annotations/N_exp.npy, N_val.npy, N_aro.npy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Medium, Recipe, Request, named_split, unknown_label

_TABLES = {"training.csv": Split.TRAIN, "validation.csv": Split.VALIDATION}
_FILE, _RATINGS = "subDirectory_filePath", ("valence", "arousal")
_FOLDERS = ("Manually_Annotated_Images", "Manually_Annotated")
_TRIED = 20  # images of a table that are looked for to find their folder
_UNRATED = -2.0  # what the corpus writes for a face without valence and arousal
_ENDINGS = {"valence": "val", "arousal": "aro"}


def _read(request: Request) -> Manifest:
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    entries = list(_from_tables(request.root)) or list(_from_arrays(request.root))
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("affectnet", taxonomy("affectnet"), tuple(entries))


def _from_tables(root: Path) -> Iterator[Entry]:
    for name, split in _TABLES.items():
        if not (table := tree.find(root, name)):
            continue
        rows = tree.read_table(table, _FILE, "expression", *_RATINGS)
        images = _images(root, table.parent, [row[_FILE] for row in rows[:_TRIED]])
        for row in rows:
            scales = {name: _float(row[name], table) for name in _RATINGS}
            yield _entry(row[_FILE], images / row[_FILE], row["expression"], split, scales, table)


def _images(root: Path, usual: Path, examples: list[str]) -> Path:
    """Find the folder below which the images lie; the archives nest it twice."""
    for folder in (usual, *tree.folders(root, *_FOLDERS)):
        if any((folder / example).is_file() for example in examples):
            return folder
    return usual


def _from_arrays(root: Path) -> Iterator[Entry]:
    images: dict[Path, dict[str, Path]] = {}
    for path in tree.walk(root):
        if not path.name.endswith("_exp.npy"):
            continue
        split, number = named_split(path, root) or Split.TRAIN, path.name.removesuffix("_exp.npy")
        home = path.parent.parent
        if home not in images:
            images[home] = tree.by_stem(tree.media(home, tree.IMAGE))
        image = images[home].get(number, home / "images" / f"{number}.jpg")
        rated = {name: path.with_name(f"{number}_{end}.npy") for name, end in _ENDINGS.items()}
        scales = {name: _float(_array(p), p) for name, p in rated.items() if p.is_file()}
        yield _entry(f"{split.value}/{number}", image, _array(path), split, scales, path)


def _entry(
    key: str, image: Path, code: str, split: Split, scales: Mapping[str, float], where: Path
) -> Entry:
    labels = taxonomy("affectnet").labels
    if not code.isdigit() or int(code) >= len(labels):
        raise unknown_label("AffectNet", code, tuple(map(str, range(len(labels)))), where)
    return Entry(
        id=key,
        path=image,
        labels={labels[int(code)]: 1.0},
        split=split,
        scales={name: value for name, value in scales.items() if value != _UNRATED},
    )


def _array(path: Path) -> str:
    """Read the one value of an array, which the corpus stores as text or number."""
    try:
        return str(np.load(path, allow_pickle=False).reshape(-1)[0])
    except (OSError, ValueError, IndexError, EOFError) as e:
        raise InputError(f"cannot read the annotation {path}: {e}; extract it again") from e


def _float(text: str, where: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: expected valence or arousal, got {text!r}") from None


RECIPE = Recipe(
    name="affectnet",
    title="about 440,000 faces from the web with one of 8 expressions, valence and arousal",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"expression": "affectnet"},
    licence="research only, on request by laboratories",
    citation="Mollahosseini, A., Hasani, B. and Mahoor, M. H. (2017). AffectNet: A Database for "
    "Facial Expression, Valence, and Arousal Computing in the Wild. IEEE Transactions on "
    "Affective Computing. doi:10.1109/TAFFC.2017.2740923",
    home="http://mohammadmahoor.com/affectnet/",
    layout="training.csv and validation.csv with Manually_Annotated_Images/, or train_set/ and "
    "val_set/ with images/ and annotations/N_exp.npy",
    read=_read,
    remark="There is no public test set: papers report on the validation split.",
)
