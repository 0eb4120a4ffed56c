"""GroupEmoW: photos of groups from the web, by how pleasant their mood is.

Guo et al. 2020, *Graph Neural Networks for Image Understanding Based on Multiple
Cues: Group Emotion Recognition and Event Recognition as Use Cases*, WACV.
"""

from __future__ import annotations

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Medium, Recipe, Request, named_split


def _read(request: Request) -> Manifest:
    native, entries = taxonomy("valence"), []
    for path in tree.media(request.root, tree.IMAGE):
        label, split = path.parent.name.lower(), named_split(path, request.root)
        if label in native.labels and split:
            name = path.relative_to(request.root).as_posix()
            entries.append(Entry(name, path, {label: 1.0}, split=split))
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("groupemow", native, tuple(entries))


RECIPE = Recipe(
    name="groupemow",
    title="about 16,000 photos of groups from the web: positive, neutral or negative",
    modalities=(Modality.FACE,),
    media=(Medium.IMAGE,),
    labellings={"valence": "valence"},
    licence="research only, on request",
    citation="Guo, X., Polania, L. F., Zhu, B., Boncelet, C. and Barner, K. E. (2020). Graph "
    "Neural Networks for Image Understanding Based on Multiple Cues: Group Emotion Recognition "
    "and Event Recognition as Use Cases. Proc. WACV, 2921-2930",
    home="https://github.com/gxstudy/"
    "Graph-Neural-Networks-for-Image-Understanding-Based-on-Multiple-Cues",
    layout="images in folders SPLIT/LABEL, such as train/Positive or GroupEmoW_Val/Negative",
    read=_read,
    remark="Its labels are of groups, not of faces.",
)
