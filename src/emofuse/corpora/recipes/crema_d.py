"""CREMA-D: 7,441 clips of 91 actors saying 12 sentences in 6 emotions (ODbL).

Cao et al. 2014, *CREMA-D: Crowd-sourced emotional multimodal actors dataset*,
doi:10.1109/TAFFC.2014.2336244.

It is read from the names of its files and the tables of its repository, or from
one table ``crema-d.csv`` beside ``crema-d/AudioWAV/``. (The corpus has 7,442
clips; 1076_MTI_SAD_XX is silent.)
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Access, Medium, Recipe, Request, unknown_label

CONFLICTING = "conflicting_duplicate"
"""Flag of clips that occur twice with different labels: belongs into no set."""

_CONFLICTING_CLIPS = (
    "1006_TIE_HAP_XX",
    "1006_TIE_NEU_XX",
    "1013_WSI_DIS_XX",
    "1013_WSI_SAD_XX",
    "1017_IWW_ANG_XX",
    "1017_IWW_FEA_XX",
)

_VALIDATION = (
    "1049 1053 1054 1055 1058 1059 1061 1062 1063 1064 1065 1066 1067 1068 1070 1075 1080 1085"
)
_TEST = "1048 1069 1071 1074 1076 1077 1078 1079 1082 1083 1084 1086 1087 1088 1089 1090 1091"
SPLIT_OF = dict.fromkeys(_VALIDATION.split(), Split.VALIDATION) | dict.fromkeys(
    _TEST.split(), Split.TEST
)
"""Actors whom models that ship with emofuse did not learn from; the others are for training."""

_VOTES = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", re.IGNORECASE)


class Labelling(str, Enum):
    """Who says what a clip expresses: the actor's task, or those who heard or saw it."""

    ACTED = "acted"
    VOICE = "voice"
    FACE = "face"
    BOTH = "multimodal"


_QUERIES = {Labelling.VOICE: "1", Labelling.FACE: "2", Labelling.BOTH: "3"}
_COLUMNS = {
    Labelling.VOICE: "voice_vote",
    Labelling.FACE: "face_vote",
    Labelling.BOTH: "multimodal_vote",
}
_SUMMARY = {
    Labelling.VOICE: "VoiceVote",
    Labelling.FACE: "FaceVote",
    Labelling.BOTH: "MultiModalVote",
}


def load(root: Path, labelling: Labelling = Labelling.ACTED, suffix: str | None = None) -> Manifest:
    """Read the corpus' table.

    Args:
        root: folder with ``crema-d.csv`` (columns ``clip, speaker, sex, sentence,
            emotion, split, voice_vote, conflicting_duplicate`` and others) and the
            sound as ``crema-d/AudioWAV/CLIP.suffix``.
        labelling: acted emotion, or the winner of the crowd's vote on the voice
            alone, the face alone or both; winners that tie have one vote each.
        suffix: of the sound files; default: whichever is there.

    Returns:
        The manifest, taxonomy ``crema_d``; speakers do not cross its splits.

    Raises:
        InputError: if the table is missing or lacks a column.
    """
    table, folder = root / "crema-d.csv", root / "crema-d"
    there = tree.by_stem(tree.media(folder, tree.AUDIO)) if not suffix and folder.is_dir() else {}

    def entry(row: dict[str, str]) -> Entry:
        usual = folder / "AudioWAV" / f"{row['clip']}{suffix or '.opus'}"
        return _entry(row, labelling, there.get(row["clip"].lower(), usual))

    try:
        with table.open(newline="", encoding="utf-8") as f:
            entries = tuple(entry(row) for row in csv.DictReader(f))
    except FileNotFoundError:
        raise InputError(
            f"no CREMA-D here: expected the table {table}; set `data` to its folder"
        ) from None
    except (KeyError, ValueError) as e:
        raise InputError(f"{table} is not the table of CREMA-D that is expected: {e!r}") from e
    return Manifest("crema-d", taxonomy("crema_d"), entries)


def _entry(row: Mapping[str, str], labelling: Labelling, path: Path) -> Entry:
    if labelling is Labelling.ACTED:
        labels = {row["emotion"]: 1.0}
    else:
        labels = _winners(row[_COLUMNS[labelling]])
    return Entry(
        id=row["clip"],
        path=path,
        labels=labels,
        split=Split(row["split"]),
        speaker=row["speaker"],
        sex=row["sex"],
        age=int(row["age"]) if row.get("age") else None,
        race=row.get("race"),
        text=SENTENCES[row["sentence"]],
        flags=frozenset({CONFLICTING} if row["conflicting_duplicate"] == "1" else ()),
    )


def _winners(votes: str) -> dict[str, float]:
    return {_VOTES[vote]: 1.0 for vote in votes.split(":") if vote}


def _read(request: Request) -> Manifest:
    labelling = Labelling(request.labelling)
    table = tree.find(request.root, "crema-d.csv") if request.root.is_dir() else None
    if table is not None and request.medium in (None, Medium.AUDIO):
        return load(table.parent, labelling)
    return _read_names(request, labelling)


def _read_names(request: Request, labelling: Labelling) -> Manifest:
    """Read the corpus as its repository has it."""
    clips = _clips(request)
    if not clips:
        raise RECIPE.absent(request.root)
    native = taxonomy("crema_d")
    labels = _acted if labelling is Labelling.ACTED else _voted(request.root, labelling)
    people = _people(request.root)
    entries = []
    for stem in sorted(clips):
        actor, sentence, emotion, _ = stem.split("_")
        if emotion not in native.labels:
            raise unknown_label("CREMA-D", emotion, native.labels, clips[stem])
        person = people.get(actor, {})
        entries.append(
            Entry(
                id=stem,
                path=clips[stem],
                labels=labels(stem),
                split=SPLIT_OF.get(actor, Split.TRAIN),
                speaker=actor,
                sex=person.get("Sex"),
                age=int(person["Age"]) if person else None,
                race=person.get("Race"),
                text=SENTENCES.get(sentence),
                flags=frozenset({CONFLICTING} if stem in _CONFLICTING_CLIPS else ()),
            )
        )
    return Manifest("crema-d", native, tuple(entries))


def _clips(request: Request) -> dict[str, Path]:
    """Find the clips of the medium that is asked for, or else sound, or else films.

    Of the repository's two copies of the sound the WAV is taken: the MP3 comes first
    in the alphabet, but is what the crowd heard, not what was recorded.
    """
    found: dict[Medium, dict[str, Path]] = defaultdict(dict)
    for path in tree.media(request.root, tree.AUDIO | tree.VIDEO):
        stem, is_sound = path.stem.upper(), path.suffix.lower() in tree.AUDIO
        if _NAME.fullmatch(stem):
            clips = found[Medium.AUDIO if is_sound else Medium.AUDIO_VIDEO]
            if stem not in clips or path.suffix.lower() == ".wav":
                clips[stem] = path
    wanted = [request.medium] if request.medium else list(RECIPE.media)
    return next((found[medium] for medium in wanted if found[medium]), {})


def _acted(stem: str) -> dict[str, float]:
    return {stem.split("_")[2]: 1.0}


def _voted(root: Path, labelling: Labelling) -> Callable[[str], dict[str, float]]:
    """Return the crowd's votes on a clip, counted where the tables count them."""
    readers = {
        "tabulatedVotes.csv": _tabulated,
        "finishedResponses.csv": _responses,
        "summaryTable.csv": _summary,
    }
    for name, reader in readers.items():
        if path := tree.find(root, name):
            votes = reader(path, labelling)
            return lambda stem: votes.get(stem, {})
    raise InputError(
        f"no votes on CREMA-D in {root}: expected {', '.join(readers)} of its repository; "
        "copy one there, or use the labelling 'acted'"
    )


def _tabulated(path: Path, labelling: Labelling) -> dict[str, dict[str, float]]:
    """Read ``tabulatedVotes.csv``; the first digit of a row's number says what was shown."""
    rows = tree.read_table(path, "", "fileName", *_VOTES)
    return {
        row["fileName"]: {_VOTES[v]: float(row[v]) for v in _VOTES if float(row[v]) > 0}
        for row in rows
        if row[""].startswith(_QUERIES[labelling])
    }


def _responses(path: Path, labelling: Labelling) -> dict[str, dict[str, float]]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in tree.read_table(path, "queryType", "clipName", "respEmo"):
        if row["queryType"] == _QUERIES[labelling] and row["respEmo"] in _VOTES:
            votes[row["clipName"]][_VOTES[row["respEmo"]]] += 1
    return {clip: {label: float(n) for label, n in c.items()} for clip, c in votes.items()}


def _summary(path: Path, labelling: Labelling) -> dict[str, dict[str, float]]:
    column = _SUMMARY[labelling]
    rows = tree.read_table(path, "FileName", column)
    return {row["FileName"]: _winners(row[column]) for row in rows}


def _people(root: Path) -> dict[str, dict[str, str]]:
    path = tree.find(root, "VideoDemographics.csv")
    rows = tree.read_table(path, "ActorID", "Age", "Sex", "Race") if path else []
    return {row["ActorID"]: row for row in rows}


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

RECIPE = Recipe(
    name="crema-d",
    title="91 actors say 12 sentences in 6 emotions: 7,442 clips, sound and film, with votes",
    modalities=(Modality.SPEECH, Modality.FACE),
    media=(Medium.AUDIO, Medium.AUDIO_VIDEO),
    labellings={labelling.value: "crema_d" for labelling in Labelling},
    licence="Open Database License (ODbL) 1.0, contents under DbCL 1.0",
    citation="Cao, H., Cooper, D. G., Keutmann, M. K., Gur, R. C., Nenkova, A. and Verma, R. "
    "(2014). CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset. IEEE Transactions on "
    "Affective Computing 5(4): 377-390. doi:10.1109/TAFFC.2014.2336244",
    home="https://github.com/CheyneyComputerScience/CREMA-D",
    access=Access.OPEN,
    obtain="git clone https://github.com/CheyneyComputerScience/CREMA-D, with git-lfs installed",
    layout="its repository, cloned with git-lfs: AudioWAV/1001_DFA_ANG_XX.wav or VideoFlash/*.flv, "
    "VideoDemographics.csv, processedResults/tabulatedVotes.csv (in any folders)",
    read=_read,
    remark="Without git-lfs the clips are text files of 130 bytes: they are reported as "
    "unreadable. The split is ours, speaker-disjoint: 56, 18 and 17 actors.",
)
