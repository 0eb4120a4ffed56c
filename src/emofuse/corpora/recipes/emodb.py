"""EmoDB: ten Germans say ten sentences in 7 emotions.

Burkhardt et al. 2005, *A Database of German Emotional Speech*, Interspeech.
"""

from __future__ import annotations

import re

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Access, Medium, Recipe, Request, unknown_label

SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
"""Sex and age of the speakers."""

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
"""What is said, by the code in a clip's name."""

_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z]?)", re.IGNORECASE)


def _read(request: Request) -> Manifest:
    native, speakers = taxonomy("emodb"), list(SPEAKERS)
    entries: dict[str, Entry] = {}
    for path in tree.media(request.root, tree.AUDIO):
        name = _NAME.fullmatch(path.stem)
        if not name or name[1] not in SPEAKERS:
            continue
        label, sentence = name[3].upper(), name[2].lower()
        if label not in native.labels:
            raise unknown_label("EmoDB", label, native.labels, path)
        key = f"{name[1]}{sentence}{label}{name[4].lower()}"
        sex, age = SPEAKERS[name[1]]
        entries.setdefault(
            key,
            Entry(
                id=key,
                path=path,
                labels={label: 1.0},
                fold=speakers.index(name[1]),
                speaker=name[1],
                sex=sex,
                age=age,
                text=SENTENCES.get(sentence),
            ),
        )
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("emodb", native, tuple(entries[key] for key in sorted(entries)))


RECIPE = Recipe(
    name="emodb",
    title="ten Germans say ten sentences in 7 emotions: 535 clips",
    modalities=(Modality.SPEECH,),
    media=(Medium.AUDIO,),
    labellings={"acted": "emodb"},
    licence="free to use; its makers ask to be cited",
    citation="Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W. F. and Weiss, B. (2005). "
    "A Database of German Emotional Speech. Proc. Interspeech, 1517-1520",
    home="http://emodb.bilderbar.info/",
    access=Access.OPEN,
    obtain="http://emodb.bilderbar.info/download/download.zip",
    layout="wav/03a01Fa.wav: speaker, sentence, letter of the emotion, version",
    read=_read,
    remark="Boredom has no place among the canonical labels and is dropped from training. Ten "
    "folds, one a speaker.",
)
