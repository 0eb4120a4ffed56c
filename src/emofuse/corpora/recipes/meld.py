"""MELD: 13,708 utterances of a television series with words, voice and face (GPL-3.0).

Poria et al. 2019, *MELD: A Multimodal Multi-Party Dataset for Emotion
Recognition in Conversations*, ACL, https://arxiv.org/abs/1810.02508.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...errors import InputError
from .. import tree
from ..labels import taxonomy
from ..manifest import Entry, Manifest, Split
from ..recipe import Access, Medium, Recipe, Request, named_split, unknown_label

_TABLES = {Split.TRAIN: "train", Split.VALIDATION: "dev", Split.TEST: "test"}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_PLAIN = dict(zip(("text", "speaker", "emotion", "dialogue", "utterance"), _COLUMNS, strict=True))
"""Columns of tables ``meld-dev.csv``, which hold the words alone."""
_CLIP = re.compile(r"dia(\d+)_utt(\d+)", re.IGNORECASE)

Clips = dict[tuple[Split, int, int], Path]


def _read(request: Request) -> Manifest:
    native, clips = taxonomy("meld"), _clips(request)
    entries: list[Entry] = []
    for split, name in _TABLES.items():
        if table := tree.find(request.root, f"{name}_sent_emo.csv", f"meld-{name}.csv"):
            entries += _entries(table, split, clips, native)
    if not entries:
        raise RECIPE.absent(request.root)
    return Manifest("meld", native, tuple(entries))


def _entries(table: Path, split: Split, clips: Clips, native: Taxonomy) -> list[Entry]:
    example = next((path for (of, *_), path in clips.items() if of is split), None)
    entries = []
    for number, row in enumerate(_rows(table), 2):
        try:
            dialogue, utterance = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
        except ValueError:
            raise InputError(
                f"{table}, line {number}: dialogue and utterance are numbers"
            ) from None
        label = row["Emotion"].strip().lower()
        if label not in native.labels:
            raise unknown_label("MELD", label, native.labels, f"{table}, line {number}")
        name = f"dia{dialogue}_utt{utterance}"
        # A clip that is not there gets the name under which it is missed.
        usual = example.with_name(name + example.suffix) if example else None
        entries.append(
            Entry(
                id=f"{split.value}_{name}",
                path=clips.get((split, dialogue, utterance), usual),
                labels={label: 1.0},
                split=split,
                speaker=row["Speaker"].strip(),
                text=row["Utterance"],
            )
        )
    return entries


def _rows(table: Path) -> list[dict[str, str]]:
    """Read a table under MELD's own names of its columns."""
    if not table.name.lower().startswith("meld-"):
        return tree.read_table(table, *_COLUMNS)
    return [
        {_PLAIN.get(name, name): cell for name, cell in row.items()}
        for row in tree.read_table(table, *_PLAIN)
    ]


def _clips(request: Request) -> Clips:
    """Find the clips: films (as MELD has them), else sound that somebody took from them.

    The three splits count their dialogues from 0 each, so that the folder matters.
    """
    if not request.root.is_dir():
        raise RECIPE.absent(request.root)
    kinds = {Medium.AUDIO_VIDEO: tree.VIDEO, Medium.AUDIO: tree.AUDIO}
    wanted = [request.medium] if request.medium else [*kinds, Medium.TEXT]
    for medium in wanted:
        clips: Clips = {}
        for path in tree.media(request.root, kinds.get(medium, ())):
            name, split = _CLIP.fullmatch(path.stem), named_split(path, request.root)
            if name and split:
                clips.setdefault((split, int(name[1]), int(name[2])), path)
        if clips:
            return clips
    if request.medium in kinds:
        raise RECIPE.absent(request.root)
    return {}


RECIPE = Recipe(
    name="meld",
    title="13,708 utterances of the series Friends: words, voice and face in conversation",
    modalities=(Modality.TEXT, Modality.SPEECH, Modality.FACE),
    media=(Medium.AUDIO_VIDEO, Medium.AUDIO, Medium.TEXT),
    labellings={"emotion": "meld"},
    licence="GPL-3.0 (annotations); the clips are from a television series",
    citation="Poria, S., Hazarika, D., Majumder, N., Naik, G., Cambria, E. and Mihalcea, R. "
    "(2019). MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations. "
    "Proc. ACL. arXiv:1810.02508",
    home="https://affective-meld.github.io/",
    access=Access.OPEN,
    obtain="git clone https://github.com/declare-lab/MELD for the words; the clips are "
    "https://huggingface.co/datasets/declare-lab/MELD/resolve/main/MELD.Raw.tar.gz",
    layout="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv and, for more than words, "
    "the clips diaX_uttY.mp4 in folders that name the split (train_splits, dev_splits_complete, "
    "output_repeated_splits_test); or meld-train.csv, meld-dev.csv with dialogue, utterance, "
    "speaker, emotion, text",
    read=_read,
    remark="The same characters speak in all three splits, as its makers made them: preparing "
    "it needs --allow speakers. A few clips are missing from the archives.",
)
