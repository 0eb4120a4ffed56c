"""SAVEE: four men say 120 sentences each in 7 emotions (research only).

Haq and Jackson 2009, *Speaker-dependent audio-visual emotion recognition*, AVSP.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ...core.estimates import Modality
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest
from ..recipe import Access, Medium, Recipe, Request

SPEAKERS = ("DC", "JE", "JK", "KL")

_NAME = re.compile(r"(?:(DC|JE|JK|KL)[_-])?(sa|su|a|d|f|h|n)(\d{1,2})", re.IGNORECASE)


def _read(request: Request) -> Manifest:
    found: dict[Medium, dict[tuple[str, str, int], Path]] = defaultdict(dict)
    for path in tree.media(request.root, tree.AUDIO | tree.VIDEO):
        if key := _key(path):
            sound = path.suffix.lower() in tree.AUDIO
            found[Medium.AUDIO if sound else Medium.AUDIO_VIDEO].setdefault(key, path)
    wanted = [request.medium] if request.medium else list(RECIPE.media)
    clips = next((found[medium] for medium in wanted if found[medium]), {})
    if not clips:
        raise RECIPE.absent(request.root)
    entries = (
        Entry(
            id=f"{speaker}_{label}{number:02d}",
            path=clips[speaker, label, number],
            labels={label: 1.0},
            fold=SPEAKERS.index(speaker),
            speaker=speaker,
            sex="Male",
        )
        for speaker, label, number in sorted(clips)
    )
    return Manifest("savee", taxonomy("savee"), tuple(entries))


def _key(path: Path) -> tuple[str, str, int] | None:
    """Return speaker, label and number: of ``DC/a01.wav``, or of ``DC_a01.wav``."""
    if not (name := _NAME.fullmatch(path.stem)):
        return None
    speaker = (name[1] or path.parent.name).upper()
    return (speaker, name[2].lower(), int(name[3])) if speaker in SPEAKERS else None


RECIPE = Recipe(
    name="savee",
    title="four men say 120 sentences each in 7 emotions: 480 clips, sound and film",
    modalities=(Modality.SPEECH, Modality.FACE),
    media=(Medium.AUDIO, Medium.AUDIO_VIDEO),
    labellings={"acted": "savee"},
    licence="free for research, after registration",
    citation="Haq, S. and Jackson, P. J. B. (2009). Speaker-Dependent Audio-Visual Emotion "
    "Recognition. Proc. Int. Conf. on Auditory-Visual Speech Processing (AVSP), 53-58",
    home="http://kahlan.eps.surrey.ac.uk/savee/",
    access=Access.REGISTRATION,
    layout="AudioData/DC/a01.wav (or DC_a01.wav) for the speakers DC, JE, JK and KL, "
    "or AudioVisualClip/DC/a01.avi",
    read=_read,
    remark="Four folds, one a speaker.",
)
