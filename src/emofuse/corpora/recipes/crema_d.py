"""CREMA-D: 7,441 clips of 91 actors saying 12 sentences in 6 emotions (ODbL).

Cao et al. 2014, *CREMA-D: Crowd-sourced emotional multimodal actors dataset*,
doi:10.1109/TAFFC.2014.2336244.
"""

from __future__ import annotations

import csv
from enum import Enum
from pathlib import Path

from ...errors import InputError
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split

CONFLICTING = "conflicting_duplicate"
"""Flag of clips that occur twice with different labels: belongs into no set."""

_VOTES = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}


class Labelling(str, Enum):
    """Who says what a clip expresses: the actor's task, or those who heard it."""

    ACTED = "acted"
    VOICE = "voice"


def load(root: Path, labelling: Labelling = Labelling.ACTED, suffix: str = ".opus") -> Manifest:
    """Read the corpus' table.

    Args:
        root: folder with ``crema-d.csv`` (columns ``clip, speaker, sex, sentence,
            emotion, split, voice_vote, conflicting_duplicate`` and others) and the
            sound as ``crema-d/AudioWAV/CLIP.suffix``.
        labelling: acted emotion, or the winner of the crowd's vote on the voice
            alone; winners that tie have one vote each.
        suffix: of the sound files; the original corpus has ``.wav``.

    Returns:
        The manifest, taxonomy ``crema_d``; speakers do not cross its splits.

    Raises:
        InputError: if the table is missing or lacks a column.
    """
    table = root / "crema-d.csv"
    sound = root / "crema-d" / "AudioWAV"
    try:
        with table.open(newline="", encoding="utf-8") as f:
            entries = tuple(_entry(row, labelling, sound, suffix) for row in csv.DictReader(f))
    except FileNotFoundError:
        raise InputError(
            f"no CREMA-D here: expected the table {table}; set `data` to its folder"
        ) from None
    except (KeyError, ValueError) as e:
        raise InputError(f"{table} is not the table of CREMA-D that is expected: {e!r}") from e
    return Manifest("crema-d", taxonomy("crema_d"), entries)


def _entry(row: dict[str, str], labelling: Labelling, sound: Path, suffix: str) -> Entry:
    if labelling is Labelling.ACTED:
        labels = {row["emotion"]: 1.0}
    else:
        labels = {_VOTES[v]: 1.0 for v in row["voice_vote"].split(":") if v}
    return Entry(
        id=row["clip"],
        path=sound / (row["clip"] + suffix),
        labels=labels,
        split=Split(row["split"]),
        speaker=row["speaker"],
        sex=row["sex"],
        text=SENTENCES[row["sentence"]],
        flags=frozenset({CONFLICTING} if row["conflicting_duplicate"] == "1" else ()),
    )


SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
"""What is said, by the code in a clip's name."""
