"""nEMO: nine Poles say 90 sentences in 6 emotions (CC BY-NC-SA 4.0).

Christop 2024, *nEMO: Dataset of Emotional Speech in Polish*, LREC-COLING,
arXiv:2404.06292.

It is read from the names of its files; a table ``nemo.csv`` (columns ``clip, sex, age,
text``) adds what these don't say.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Access, Medium, Recipe, Request, unknown_label

_NAME = re.compile(r"([a-z]{2}\d)_([a-z]+)_(\d+)", re.IGNORECASE)


def _read(request: Request) -> Manifest:
    native = taxonomy("nemo")
    clips: dict[tuple[str, str, str], Path] = {}
    for path in tree.media(request.root, tree.AUDIO):
        if name := _NAME.fullmatch(path.stem):
            speaker, label, sentence = name[1].upper(), name[2].lower(), name[3]
            if label not in native.labels:
                raise unknown_label("nEMO", label, native.labels, path)
            clips.setdefault((speaker, label, sentence), path)
    if not clips:
        raise RECIPE.absent(request.root)
    table = tree.find(request.root, "nemo.csv")
    rows = tree.read_table(table, "clip", "sex", "age", "text") if table else []
    known = {row["clip"]: row for row in rows}
    speakers = sorted({speaker for speaker, *_ in clips})
    entries = []
    for (speaker, label, sentence), path in sorted(clips.items()):
        key = f"{speaker}_{label}_{sentence}"
        row = known.get(key, {})
        entries.append(
            Entry(
                id=key,
                path=path,
                labels={label: 1.0},
                fold=speakers.index(speaker),
                speaker=speaker,
                sex=row.get("sex"),
                age=int(row["age"]) if row.get("age") else None,
                text=row.get("text"),
            )
        )
    return Manifest("nemo", native, tuple(entries))


RECIPE = Recipe(
    name="nemo",
    title="nine Poles say 90 sentences in 6 emotions: 4,481 clips",
    modalities=(Modality.SPEECH,),
    media=(Medium.AUDIO,),
    labellings={"acted": "nemo"},
    licence="CC BY-NC-SA 4.0",
    citation="Christop, I. (2024). nEMO: Dataset of Emotional Speech in Polish. Proc. "
    "LREC-COLING, 12111-12116. arXiv:2404.06292",
    home="https://huggingface.co/datasets/amu-cai/nEMO",
    access=Access.OPEN,
    obtain="git clone https://github.com/amu-cai/nEMO",
    layout="samples/SK0_anger_12.wav: speaker, emotion, sentence",
    read=_read,
    remark="One fold a speaker.",
)
