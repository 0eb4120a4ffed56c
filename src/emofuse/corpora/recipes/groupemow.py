"""GroupEmoW: photos of groups from the web, by how pleasant their mood is.

Guo et al. 2020, *Graph Neural Networks for Image Understanding Based on Multiple
Cues: Group Emotion Recognition and Event Recognition as Use Cases*, WACV.
"""

from __future__ import annotations

import math

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Box, Entry, Manifest
from ..recipe import Medium, Recipe, Request, named_split

_COLUMNS = ("image", "left", "top", "width", "height")


def _read(request: Request) -> Manifest:
    native, entries = taxonomy("valence"), []
    boxes = _boxes(request)
    for path in tree.media(request.root, tree.IMAGE):
        label, split = path.parent.name.lower(), named_split(path, request.root)
        if label in native.labels and split:
            name = path.relative_to(request.root).as_posix()
            found = tuple(boxes.get(name.lower(), ()))
            entries.append(Entry(name, path, {label: 1.0}, split=split, boxes=found))
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("groupemow", native, tuple(entries))


def _boxes(request: Request) -> dict[str, list[Box]]:
    """Read where the faces are, if a table says so: image → boxes."""
    names = [request.options["faces"]] if "faces" in request.options else ["faces.csv"]
    table = tree.find(request.root, *names)
    if table is None:
        if "faces" in request.options:
            raise InputError(f"groupemow: there is no {names[0]} below {request.root}")
        return {}
    home = table.parent.relative_to(request.root)
    out: dict[str, list[Box]] = {}
    for number, row in enumerate(tree.read_table(table, *_COLUMNS), 2):
        try:
            left, top, width, height = (float(row[c]) for c in _COLUMNS[1:])
            if not (width > 0 and height > 0 and math.isfinite(left + top + width + height)):
                raise ValueError
        except ValueError:
            raise InputError(
                f"{table}, line {number}: expected the left, top, width and height of a face in "
                f"pixels, got {', '.join(row[c] for c in _COLUMNS[1:])}"
            ) from None
        name = (home / row["image"].replace("\\", "/")).as_posix().lower()
        out.setdefault(name, []).append((left, top, width, height))
    return out


RECIPE = Recipe(
    name="groupemow",
    title="about 16,000 photos of groups from the web: positive, neutral or negative",
    modalities=(Modality.FACE, Modality.FUSED),
    media=(Medium.IMAGE,),
    labellings={"valence": "valence"},
    licence="research only, on request",
    citation="Guo, X., Polania, L. F., Zhu, B., Boncelet, C. and Barner, K. E. (2020). Graph "
    "Neural Networks for Image Understanding Based on Multiple Cues: Group Emotion Recognition "
    "and Event Recognition as Use Cases. Proc. WACV, 2921-2930",
    home="https://github.com/gxstudy/"
    "Graph-Neural-Networks-for-Image-Understanding-Based-on-Multiple-Cues",
    layout="images in folders SPLIT/LABEL, such as train/Positive or GroupEmoW_Val/Negative; "
    "faces.csv (image,left,top,width,height), if there is one, says where the faces are",
    read=_read,
    options={"faces": "name of the table of the faces' boxes (faces.csv)"},
    remark="Its labels are of groups, not of faces. Without boxes, faces are searched for.",
)
