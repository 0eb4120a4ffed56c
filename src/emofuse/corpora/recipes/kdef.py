"""KDEF: 70 people pose 7 expressions twice, seen from five sides: 4,900 photos.

Lundqvist, Flykt and Öhman 1998, *The Karolinska Directed Emotional Faces*,
Karolinska Institutet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Medium, Recipe, Request, speaker_folds

FOLDS = 10

CODES = {
    "AF": "afraid",
    "AN": "angry",
    "DI": "disgusted",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprised",
}
"""How the makers' file names write the expressions."""

_NAME = re.compile(rf"[AB]([FM])(\d\d)({'|'.join(CODES)})(?:S|HL|HR|FL|FR)", re.IGNORECASE)
_IN_FOLDER = re.compile(r"(\d+)_(\d+)")


def _read(request: Request) -> Manifest:
    images = tree.media(request.root, tree.IMAGE)
    entries = list(_photos(images)) or list(_in_folders(images))
    if not entries:
        raise RECIPE.absent(request.root)
    folds = speaker_folds((e.speaker for e in entries if e.speaker), FOLDS)
    entries = [replace(e, fold=folds[e.speaker]) for e in entries if e.speaker]
    return Manifest("kdef", taxonomy("kdef"), tuple(sorted(entries, key=lambda e: e.id)))


def _photos(images: list[Path]) -> Iterator[Entry]:
    """Yield photos that are named as by the makers: ``AF01/AF01ANS.JPG``."""
    for path in images:
        if name := _NAME.fullmatch(path.stem):
            sex = {"F": "Female", "M": "Male"}[name[1].upper()]
            labels = {CODES[name[3].upper()]: 1.0}
            speaker = f"{name[1]}{name[2]}".upper()
            yield Entry(path.stem.upper(), path, labels, speaker=speaker, sex=sex)


def _in_folders(images: list[Path]) -> Iterator[Entry]:
    """Yield photos as they are copied about: ``Angry/0_25.jpg`` is the 25th of person 0."""
    labels = taxonomy("kdef").labels
    for path in images:
        name, label = _IN_FOLDER.fullmatch(path.stem), path.parent.name.lower()
        if name and label in labels:
            yield Entry(f"{label}/{path.stem}", path, {label: 1.0}, speaker=name[1])


RECIPE = Recipe(
    name="kdef",
    title="70 people pose 7 expressions, from the front and from both sides: 4,900 photos",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"emotion": "kdef"},
    licence="non-commercial research only, on request",
    citation="Lundqvist, D., Flykt, A. and Öhman, A. (1998). The Karolinska Directed Emotional "
    "Faces (KDEF). Department of Clinical Neuroscience, Karolinska Institutet. "
    "doi:10.1037/t27732-000",
    home="https://kdef.se",
    layout="photos named AF01ANS.JPG in any folders, or Angry/0_25.jpg",
    read=_read,
    remark="Posed and lit evenly; two in five are profiles. Ten subject-disjoint folds.",
)
