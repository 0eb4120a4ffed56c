"""VGAF: clips of groups from the web, by how pleasant their mood is.

Sharma, Ghosh and Dhall 2019, *Automatic Group Level Affect and Cohesion
Prediction in Videos*, ACII workshops, doi:10.1109/ACIIW.2019.8925231; used in
the EmotiW challenges since 2020.
"""

from __future__ import annotations

from pathlib import Path

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Medium, Recipe, Request, named_split, unknown_label

_LISTS = {
    Split.TRAIN: ("Train_labels.txt", "Train_labels.csv"),
    Split.VALIDATION: ("Val_labels.txt", "Validation_labels.txt", "Val_labels.csv"),
    Split.TEST: ("Test_labels.txt", "Test_labels.csv"),
}


def _read(request: Request) -> Manifest:
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    clips: dict[tuple[Split, str], Path] = {}
    for path in tree.media(request.root, tree.VIDEO | tree.AUDIO):
        if split := named_split(path, request.root):
            clips.setdefault((split, path.stem.lower()), path)
    codes, entries = _codes(request), []
    for split, names in _LISTS.items():
        if table := tree.find(request.root, *names):
            entries += _entries(table, split, clips, codes)
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("vgaf", taxonomy("valence"), tuple(entries))


def _codes(request: Request) -> dict[str, str]:
    """Return what is written → label: the labels themselves, or the numbers from 1 on."""
    native = taxonomy("valence").labels
    order = [name.strip() for name in request.options.get("codes", ",".join(native)).split(",")]
    if sorted(order) != sorted(native):
        raise InputError(f"vgaf: option codes is an order of {', '.join(native)}; got {order}")
    return {label: label for label in native} | {str(n): x for n, x in enumerate(order, 1)}


def _entries(
    table: Path, split: Split, clips: dict[tuple[Split, str], Path], codes: dict[str, str]
) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for number, line in enumerate(tree.read_lines(table), 1):
        if not line.replace("\t", " ").isprintable():
            raise InputError(
                f"{table}, line {number}: this is no text; expected lines of NAME LABEL, get the "
                "table again"
            )
        words = line.replace(",", " ").split()
        if len(words) != 2:
            raise InputError(f"{table}, line {number}: expected NAME LABEL, got {line!r}")
        name, code = Path(words[0]).name, words[1].lower()
        if number == 1 and code == "label":
            continue  # the header
        if code not in codes:
            raise unknown_label("VGAF", code, tuple(codes), f"{table}, line {number}")
        stem = name.removesuffix(".mp4")
        usual = table.parent / table.name.split("_")[0] / f"{stem}.mp4"
        path = clips.get((split, stem.lower()), usual)
        entry = Entry(f"{split.value}/{stem}", path, {codes[code]: 1.0}, split=split)
        if entries.setdefault(entry.id, entry).labels != entry.labels:
            raise InputError(f"{table}, line {number}: {stem} has another label further up")
    if not entries:
        raise InputError(f"{table} names no clip; expected lines of NAME LABEL")
    return list(entries.values())


RECIPE = Recipe(
    name="vgaf",
    title="clips of groups from about 1,000 films of the web: positive, neutral or negative",
    modalities=(Modality.FACE, Modality.SPEECH, Modality.FUSED),
    media=(Medium.AUDIO_VIDEO, Medium.AUDIO),
    labellings={"valence": "valence"},
    licence="research only, on request (EmotiW challenge)",
    citation="Sharma, G., Ghosh, S. and Dhall, A. (2019). Automatic Group Level Affect and "
    "Cohesion Prediction in Videos. Proc. ACII Workshops. doi:10.1109/ACIIW.2019.8925231",
    home="https://sites.google.com/view/emotiw2020",
    layout="Train_labels.txt and Val_labels.txt (lines of a clip's name and 1, 2 or 3) with the "
    "clips in Train/ and Val/",
    read=_read,
    options={"codes": "what 1, 2 and 3 stand for (positive,neutral,negative)"},
    remark="Its labels are of groups, not of faces. The labels of its test split are not public. "
    "Compare the meaning of its numbers with what came with your copy.",
)
