"""Anyone's own data: media in folders that name the label, as ``train/happy/1.jpg``."""

from __future__ import annotations

from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...errors import InputError
from .. import tree
from ..manifest import Entry, Manifest, Split
from ..recipe import Medium, Recipe, Request, named_split

_ENDINGS = {Medium.IMAGE: tree.IMAGE, Medium.AUDIO: tree.AUDIO, Medium.AUDIO_VIDEO: tree.VIDEO}


def _read(request: Request) -> Manifest:
    root = request.root
    kinds = [request.medium] if request.medium else list(_ENDINGS)
    found = {kind: tree.media(root, _ENDINGS[kind]) for kind in kinds}
    here = [kind for kind, paths in found.items() if paths]
    if not here:
        raise RECIPE.absent(root)
    if len(here) > 1:
        raise InputError(
            f"{root} holds files of several kinds ({', '.join(kind.value for kind in here)}): "
            "choose one with --medium"
        )
    paths = [path for path in found[here[0]] if path.parent != root]
    if not paths:
        raise InputError(f"no file in {root} lies in a folder that names its label")
    labels = tuple(sorted({path.parent.name for path in paths}))
    name = request.options.get("name", root.resolve().name or "folder")
    named = {path: named_split(path.parent / "_", root) for path in paths}
    entries = tuple(
        Entry(
            id=path.relative_to(root).as_posix(),
            path=path,
            labels={path.parent.name: 1.0},
            split=split or Split.TRAIN,
        )
        for path, split in named.items()
    )
    return Manifest(name, Taxonomy(name, labels), entries)


RECIPE = Recipe(
    name="folder",
    title="your own pictures, sounds or films in folders that name the label",
    modalities=(Modality.FACE, Modality.SPEECH),
    media=tuple(_ENDINGS),
    labellings={},
    licence="yours",
    citation="",
    home="",
    layout="files in folders that name the label, as happy/1.jpg; a folder above may name the "
    "split, as train/happy/1.jpg",
    read=_read,
    options={"name": "what to call the corpus (the folder's name)"},
    remark="It does not know who is seen or heard; with the recipe csv you can say it.",
)
