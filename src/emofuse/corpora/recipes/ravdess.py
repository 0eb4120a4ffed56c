"""RAVDESS: 24 actors speak and sing two statements in up to 8 emotions (CC BY-NC-SA 4.0).

Livingstone and Russo 2018, *The Ryerson Audio-Visual Database of Emotional
Speech and Song*, doi:10.1371/journal.pone.0196391; actor-disjoint folds of
Luna-Jiménez et al. 2021, doi:10.3390/s21227665.

It is read from the names of its files, wherever they lie, or (speech) from a
table ``ravdess.csv`` beside ``ravdess/Actor_NN/``.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

from ...core.estimates import Modality
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Download, Medium, Recipe, Request, unknown_label

TEST_FOLD = 3
"""Fold that models which ship with emofuse never learn from."""

FOLDS = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
"""The actors of each fold."""

SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
"""What is said, by the statement's code."""

_NAME = re.compile(r"(0[1-3])-(0[12])-(\d\d)-(0[12])-(0[12])-(0[12])-(\d\d)")
_MEDIA = {"03": Medium.AUDIO, "01": Medium.AUDIO_VIDEO, "02": Medium.VIDEO}
_SPEECH, _SONG = "01", "02"
_FOLD_OF = {actor: number for number, actors in enumerate(FOLDS) for actor in actors}


def load(root: Path, suffix: str | None = None) -> Manifest:
    """Read the corpus' table.

    Args:
        root: folder with ``ravdess.csv`` (columns ``clip, speaker, sex, statement,
            emotion, fold`` and others) and the sound as
            ``ravdess/Actor_NN/CLIP.suffix``.
        suffix: of the sound files; default: whichever is there.

    Returns:
        The manifest, taxonomy ``ravdess``; fold `TEST_FOLD` is its test split,
        the others are for training.

    Raises:
        InputError: if the table is missing or lacks a column.
    """
    table, folder = root / "ravdess.csv", root / "ravdess"
    there = tree.by_stem(tree.media(folder, tree.AUDIO)) if not suffix and folder.is_dir() else {}

    def entry(row: dict[str, str]) -> Entry:
        usual = f"Actor_{int(row['speaker']):02d}/{row['clip']}{suffix or '.opus'}"
        return _entry(row, there.get(row["clip"].lower(), folder / usual))

    try:
        with table.open(newline="", encoding="utf-8") as f:
            entries = tuple(entry(row) for row in csv.DictReader(f))
    except FileNotFoundError:
        raise InputError(
            f"no RAVDESS here: expected the table {table}; set `data` to its folder"
        ) from None
    except (KeyError, ValueError) as e:
        raise InputError(f"{table} is not the table of RAVDESS that is expected: {e!r}") from e
    return Manifest("ravdess", taxonomy("ravdess"), entries)


def _entry(row: dict[str, str], path: Path) -> Entry:
    fold = int(row["fold"])
    return Entry(
        id=row["clip"],
        path=path,
        labels={row["emotion"]: 1.0},
        split=Split.TEST if fold == TEST_FOLD else Split.TRAIN,
        fold=fold,
        speaker=row["speaker"],
        sex=row["sex"],
        text=SENTENCES[row["statement"]],
    )


def _read_speech(request: Request) -> Manifest:
    table = tree.find(request.root, "ravdess.csv") if request.root.is_dir() else None
    if table is not None and request.medium in (None, Medium.AUDIO):
        return load(table.parent)
    return _read_names(request, "ravdess", _SPEECH)


def _read_song(request: Request) -> Manifest:
    return _read_names(request, "ravdess-song", _SONG)


def _read_names(request: Request, corpus: str, channel: str) -> Manifest:
    clips: dict[Medium, dict[str, Path]] = defaultdict(dict)
    for path in tree.media(request.root, tree.AUDIO | tree.VIDEO):
        name = _NAME.fullmatch(path.stem)
        if name and name[2] == channel:
            # The archives of Kaggle hold every clip twice, in two folders: one is enough.
            clips[_MEDIA[name[1]]].setdefault(path.stem, path)
    wanted = [request.medium] if request.medium else list(_MEDIA.values())
    found = next((clips[medium] for medium in wanted if clips[medium]), {})
    recipe = SPEECH if channel == _SPEECH else SONG
    if not found:
        raise recipe.absent(request.root)
    native = taxonomy(recipe.labellings["acted"])
    entries = (_of_name(stem, found[stem], native.labels) for stem in sorted(found))
    return Manifest(corpus, native, tuple(entries))


def _of_name(stem: str, path: Path, labels: tuple[str, ...]) -> Entry:
    code, statement, actor = stem.split("-")[2], stem.split("-")[4], int(stem.split("-")[6])
    if not 1 <= int(code) <= len(labels):
        raise unknown_label("RAVDESS", code, labels, path)
    if actor not in _FOLD_OF:
        raise InputError(f"{path}: RAVDESS has 24 actors, the name says {actor}")
    row = {
        "clip": stem,
        "speaker": str(actor),
        "sex": "Male" if actor % 2 else "Female",
        "statement": statement,
        "emotion": labels[int(code) - 1],
        "fold": str(_FOLD_OF[actor]),
    }
    return _entry(row, path)


_URL = "https://zenodo.org/records/1188976/files"
_HOME = "https://zenodo.org/records/1188976"
_LICENCE = "CC BY-NC-SA 4.0; commercial licences are sold"
_CITATION = (
    "Livingstone, S. R. and Russo, F. A. (2018). The Ryerson Audio-Visual Database of Emotional "
    "Speech and Song (RAVDESS). PLoS ONE 13(5): e0196391. doi:10.1371/journal.pone.0196391"
)
_LAYOUT = (
    "files named by seven numbers, such as Actor_01/03-{}-05-01-02-01-01.wav, in any folders "
    "(archives Audio_*.zip and Video_*.zip of its home page)"
)

SPEECH = Recipe(
    name="ravdess",
    title="24 actors say two statements in 8 emotions: 1,440 clips, as sound and film",
    modalities=(Modality.SPEECH, Modality.FACE),
    media=tuple(_MEDIA.values()),
    labellings={"acted": "ravdess"},
    licence=_LICENCE,
    citation=_CITATION,
    home=_HOME,
    layout=_LAYOUT.format("01"),
    read=_read_speech,
    downloads=(
        Download(
            f"{_URL}/Audio_Speech_Actors_01-24.zip",
            "md5:bc696df654c87fed845eb13823edef8a",
            "Audio_Speech_Actors_01-24.zip",
            unpack=True,
        ),
    ),
    remark="Five actor-disjoint folds (Luna-Jiménez et al. 2021); fold 3 is the test split. "
    "--download fetches the sound (208 MB), not the films.",
)

SONG = Recipe(
    name="ravdess-song",
    title="23 actors sing two statements in 6 emotions: 1,012 clips, as sound and film",
    modalities=(Modality.SPEECH, Modality.FACE),
    media=tuple(_MEDIA.values()),
    labellings={"acted": "ravdess_song"},
    licence=_LICENCE,
    citation=_CITATION,
    home=_HOME,
    layout=_LAYOUT.format("02"),
    read=_read_song,
    downloads=(
        Download(
            f"{_URL}/Audio_Song_Actors_01-24.zip",
            "md5:5411230427d67a21e18aa4d466e6d1b9",
            "Audio_Song_Actors_01-24.zip",
            unpack=True,
        ),
    ),
    remark="The folds are those of speech, so that no actor crosses when both are used. "
    "--download fetches the sound (226 MB), not the films.",
)
