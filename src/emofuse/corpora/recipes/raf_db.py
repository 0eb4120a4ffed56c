"""RAF-DB, basic emotions: 15,339 faces from the web, labelled by about 40 people each.

Li, Deng and Du 2017, *Reliable Crowdsourcing and Deep Locality-Preserving
Learning for Expression Recognition in the Wild*, CVPR.

Two layouts are read: the makers' (``EmoLabel/list_patition_label.txt``,
``Image/aligned/train_00001_aligned.jpg``, ``Annotation/manual/``), and folders
``train/1/ … test/7/`` as in copies on the web.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Medium, Recipe, Request, named_split, unknown_label

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the makers' own
_SEXES, _RACES = ("male", "female", None), ("Caucasian", "African-American", "Asian")
_ALIGNED = "_aligned"
_NAME = re.compile(r"(train|test)_\d+", re.IGNORECASE)


def _read(request: Request) -> Manifest:
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    table = tree.find(request.root, *_LISTS)
    entries = _from_list(request.root, table) if table else _from_folders(request.root)
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("raf-db", taxonomy("raf_db"), tuple(entries))


def _from_list(root: Path, table: Path) -> list[Entry]:
    images = tree.by_stem(tree.media(root, tree.IMAGE))
    people = {p.stem.lower(): p for p in tree.walk(root) if p.stem.endswith("_manu_attri")}
    entries = []
    for number, line in enumerate(tree.read_lines(table), 1):
        try:
            name, code = line.split()
        except ValueError:
            raise InputError(f"{table}, line {number}: expected NAME CODE, got {line!r}") from None
        stem = Path(name).stem
        usual = table.parent / f"{stem}{_ALIGNED}.jpg"
        path = images.get(f"{stem}{_ALIGNED}".lower()) or images.get(stem.lower(), usual)
        sex, race = _person(people.get(f"{stem}_manu_attri".lower()))
        entries.append(_entry(stem, path, code, _split(stem, table), sex, race, table))
    return entries


def _from_folders(root: Path) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for path in tree.media(root, tree.IMAGE):
        stem = path.stem.lower().removesuffix(_ALIGNED)
        if path.parent.name.isdigit() and (split := named_split(path, root)):
            key = stem if _NAME.fullmatch(stem) else f"{split.value}_{stem}"
            entries[key] = _entry(key, path, path.parent.name, split, None, None, path)
    return [entries[key] for key in sorted(entries)]


def _entry(
    key: str, path: Path, code: str, split: Split, sex: str | None, race: str | None, where: Path
) -> Entry:
    labels = taxonomy("raf_db").labels
    if not code.isdigit() or not 1 <= int(code) <= len(labels):
        raise unknown_label("RAF-DB", code, tuple(map(str, range(1, 8))), where)
    label = labels[int(code) - 1]
    return Entry(key, path, {label: 1.0}, split=split, sex=sex, race=race)


def _split(stem: str, table: Path) -> Split:
    if not (name := _NAME.fullmatch(stem)):
        raise InputError(f"{table}: expected names such as train_00001.jpg, got {stem!r}")
    return Split.TEST if name[1].lower() == "test" else Split.TRAIN


def _person(path: Path | None) -> tuple[str | None, str | None]:
    """Read sex and race, the last but two and the last but one numbers of a face's attributes."""
    if path is None:
        return None, None
    try:
        sex, race, _ = (int(word) for word in " ".join(tree.read_lines(path)).split()[-3:])
        return _SEXES[sex], _RACES[race]
    except (ValueError, IndexError):
        raise InputError(f"{path}: expected codes of gender, race and age at its end") from None


RECIPE = Recipe(
    name="raf-db",
    title="15,339 faces from the web with one of 7 expressions, as about 40 people saw them",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"basic": "raf_db"},
    licence="non-commercial research only, on request",
    citation="Li, S., Deng, W. and Du, J. (2017). Reliable Crowdsourcing and Deep "
    "Locality-Preserving Learning for Expression Recognition in the Wild. Proc. CVPR, 2584-2593",
    home="http://www.whdeng.cn/raf/model1.html",
    layout="EmoLabel/list_patition_label.txt and Image/aligned/train_00001_aligned.jpg, or "
    "folders train/1 … test/7",
    read=_read,
    remark="Its ages are ranges and are not read. It has no validation split.",
)
