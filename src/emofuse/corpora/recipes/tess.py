"""TESS: two women say 200 words in 7 emotions (CC BY-NC-ND 4.0).

Pichora-Fuller and Dupuis 2020, *Toronto emotional speech set*,
doi:10.5683/SP2/E8H2MF.
"""

from __future__ import annotations

import re

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Download, Medium, Recipe, Request, unknown_label

AGES = {"OAF": 64, "YAF": 26}
"""The two actresses: the older and the younger."""

# One file lacks the F; a common copy writes numbers around names: 289testOAF_such_fear7.
_NAME = re.compile(r"[a-z0-9]*?(OA|YA)F?_([a-z]+)_([a-z]+)\d*", re.IGNORECASE)


def _read(request: Request) -> Manifest:
    native = taxonomy("tess")
    entries: dict[str, Entry] = {}
    for path in tree.media(request.root, tree.AUDIO):
        if not (name := _NAME.fullmatch(path.stem)):
            continue
        speaker, word, label = f"{name[1].upper()}F", name[2].lower(), name[3].lower()
        if label not in native.labels:
            raise unknown_label("TESS", label, native.labels, path)
        key = f"{speaker}_{word}_{label}"  # some archives hold everything twice
        entries.setdefault(
            key,
            Entry(
                id=key,
                path=path,
                labels={label: 1.0},
                fold=list(AGES).index(speaker),
                speaker=speaker,
                sex="Female",
                age=AGES[speaker],
                text=f"Say the word {word}.",
            ),
        )
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("tess", native, tuple(entries[key] for key in sorted(entries)))


RECIPE = Recipe(
    name="tess",
    title="two women, 26 and 64 years old, say 200 words in 7 emotions: 2,800 clips",
    modalities=(Modality.SPEECH,),
    media=(Medium.AUDIO,),
    labellings={"acted": "tess"},
    licence="CC BY-NC-ND 4.0",
    citation="Pichora-Fuller, M. K. and Dupuis, K. (2020). Toronto emotional speech set (TESS). "
    "Borealis. doi:10.5683/SP2/E8H2MF",
    home="https://doi.org/10.5683/SP2/E8H2MF",
    layout="sound files such as OAF_angry/OAF_back_angry.wav, in any folders",
    read=_read,
    downloads=(
        Download(
            "https://bj.bcebos.com/paddleaudio/datasets/TESS_Toronto_emotional_speech_set.zip",
            "md5:1465311b24d1de704c4c63e4ccc470c7",
            "TESS_Toronto_emotional_speech_set.zip",
            unpack=True,
        ),
    ),
    remark="--download fetches the copy that PaddlePaddle hosts, with the checksum that "
    "paddle.audio.datasets.TESS publishes. With two speakers, figures on it say little about a "
    "third. Two folds, one a speaker.",
)
