"""CK+: 327 sequences of 118 people posing an expression, from neutral to its peak.

Lucey et al. 2010, *The Extended Cohn-Kanade Dataset (CK+): A complete dataset
for action unit and emotion-specified expression*, CVPR workshops.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import CROP, Medium, Recipe, Request, speaker_folds, unknown_label

FOLDS = 10

_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})", re.IGNORECASE)
_EMOTION = re.compile(r"(S\d{3})_(\d{3})_\d{8}_emotion", re.IGNORECASE)

Frames = dict[tuple[str, str], list[Path]]


def _read(request: Request) -> Manifest:
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    count, neutral = _count(request), request.options.get("neutral", "no").lower() == "yes"
    images = tree.media(request.root, tree.IMAGE)
    frames: Frames = defaultdict(list)
    for path in images:
        if name := _FRAME.fullmatch(path.stem):
            frames[name[1].upper(), name[2]].append(path)
    labelled = dict(_labels(request.root))
    if not labelled and (crops := list(_crops(images))):
        return Manifest("ck-plus", taxonomy("ck_plus"), tuple(_with_folds(crops)))
    folds = speaker_folds((subject for subject, _ in labelled), FOLDS)
    entries = []
    for (subject, sequence), label in sorted(labelled.items()):
        shown = sorted(frames.get((subject, sequence), ()), key=lambda path: path.stem)
        if not shown:
            raise InputError(f"no images of CK+ sequence {subject}/{sequence}: {RECIPE.expected}")
        chosen = [(path, label) for path in shown[-count:]]
        if neutral and len(shown) > count:
            chosen.insert(0, (shown[0], "neutral"))
        for path, says in chosen:
            fold = folds[subject]
            entries.append(Entry(path.stem, path, {says: 1.0}, fold=fold, speaker=subject))
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("ck-plus", taxonomy("ck_plus"), tuple(entries))


def _crops(images: Iterable[Path]) -> Iterator[Entry]:
    """Yield the crops of CK+48: ``anger/S010_004_00000017.png``."""
    labels = taxonomy("ck_plus").labels
    for path in images:
        name, label = _FRAME.fullmatch(path.stem), path.parent.name.lower()
        if name and label in labels:
            subject = name[1].upper()
            yield Entry(path.stem, path, {label: 1.0}, speaker=subject, flags=frozenset({CROP}))


def _with_folds(entries: Sequence[Entry]) -> Iterator[Entry]:
    folds = speaker_folds((e.speaker for e in entries if e.speaker), FOLDS)
    return (replace(e, fold=folds[e.speaker]) for e in entries if e.speaker)


def _labels(root: Path) -> Iterator[tuple[tuple[str, str], str]]:
    labels = taxonomy("ck_plus").labels
    for path in tree.walk(root):
        if not (name := _EMOTION.fullmatch(path.stem)):
            continue
        text = " ".join(tree.read_lines(path))
        try:
            code = int(float(text))
        except ValueError:
            raise InputError(f"{path}: expected one number, got {text[:40]!r}") from None
        if not 0 <= code < len(labels):
            raise unknown_label("CK+", str(code), tuple(map(str, range(len(labels)))), path)
        yield (name[1].upper(), name[2]), labels[code]


def _count(request: Request) -> int:
    given = request.options.get("frames", "3")
    if not given.isdigit() or not int(given):
        raise InputError(f"ck-plus: option frames is a number from 1, got {given!r}")
    return int(given)


RECIPE = Recipe(
    name="ck-plus",
    title="327 sequences of 118 people posing one of 7 expressions, from neutral to its peak",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"emotion": "ck_plus"},
    licence="research only, under an agreement with its makers",
    citation="Lucey, P., Cohn, J. F., Kanade, T., Saragih, J., Ambadar, Z. and Matthews, I. "
    "(2010). The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action unit and "
    "emotion-specified expression. Proc. CVPR Workshops, 94-101",
    home="http://www.jeffcohn.net/Resources/",
    layout="Emotion/S005/001/S005_001_00000011_emotion.txt and "
    "cohn-kanade-images/S005/001/S005_001_00000011.png, or crops as anger/S010_004_00000017.png",
    read=_read,
    options={
        "frames": "how many of a sequence's last frames carry its label (3)",
        "neutral": "yes: the first frame of each sequence is neutral (no)",
    },
    remark="Posed, frontal and lit evenly: figures on it say little about faces elsewhere. Ten "
    "subject-disjoint folds. The common crops of 48 pixels (CK+48) are 981 of its frames.",
)
