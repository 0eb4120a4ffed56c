"""The corpora that the documentation speaks of, laid out as they are distributed; small."""

from __future__ import annotations

import wave
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from tests.corpora import made
from tests.docs.blocks import ROOT
from tests.training.made import write_table

from emofuse.corpora.labels import taxonomy
from emofuse.corpora.recipes.ravdess import FOLDS
from emofuse.evaluation.fusion import posteriors
from emofuse.face.detectors import make_detector
from emofuse.models.store import Store
from emofuse.sources.audio import read_audio
from emofuse.training.group.made import (
    SceneConfig,
    Waveform,
    drawn_voices,
    faces_of_media,
    scenes,
    write_groupemow,
    write_vgaf,
)

MEDIA = ROOT / "tests" / "media"
_RATE = 16_000
_TOPICS = ("work", "school", "music", "football", "politics", "food", "the weather")
_EKMAN = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


def lay_out(data: Path) -> None:
    """Put the corpora into a folder: voices and faces of the repository's clips, and noise."""
    _ravdess(data / "ravdess")
    _posteriors(data / "fusion" / posteriors.TABLE)
    _crema_d(data / "crema-d")
    _fer2013(data)
    _goemotions(data / "goemotions")
    _meld(data / "meld")
    _faces_of_others(data)
    _groups(data)


def _ravdess(root: Path) -> None:
    for actor, *_ in FOLDS:
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02}-01-{emotion % 2 + 1:02}-01-{actor:02}.wav"
            _voice(root / f"Actor_{actor:02}" / name)


def _posteriors(table: Path) -> None:
    """What others' models said of such clips: they are as sure as they are right."""
    rng = np.random.default_rng(0)
    names = [f"{m}_{label}" for m in posteriors.MODELS.values() for label in posteriors.LABELS]

    def rows() -> Iterator[dict[str, Any]]:
        for i in range(80):
            p = rng.normal(0, 1, (3, 8))
            p[:, i % 8] += 2.0
            p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
            clip = f"01-01-{i % 8 + 1:02}-01-{i % 2 + 1:02}-01-{i % 10:02}"
            about = {"actor": i % 10, "emotion": posteriors.LABELS[i % 8], "fold": i % 5}
            yield {"clip": clip, **about, **dict(zip(names, p.ravel().tolist(), strict=True))}

    write_table(table, list(rows()))


def _crema_d(root: Path) -> None:
    emotions, votes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), []
    for actor in (1001, 1002, 1049, 1053, 1048):  # two of each split, one to test on
        for i, emotion in enumerate(emotions):
            clip = f"{actor}_DFA_{emotion}_XX"
            _voice(root / "AudioWAV" / f"{clip}.wav")
            counts = {letter: 6 * (k == i) + 1 for k, letter in enumerate("ADFHNS")}
            number = f"1{len(votes):05}"
            votes.append({"": number, **counts, "fileName": clip, "numResponses": 12})
    write_table(root / "processedResults" / "tabulatedVotes.csv", votes)


def _fer2013(data: Path) -> None:
    """With the votes of FER+."""
    labels, votes, rows = taxonomy("fer2013").labels, taxonomy("ferplus").labels, []
    for split, count in (("train", 4), ("validation", 4), ("test", 2)):
        for i, label in enumerate(labels * count):
            path = f"{split}/{label}/im{i}.png"
            made.picture(data / "fer2013" / path)
            said = {name: 8 * (name == votes[i % 7]) for name in votes}
            more = {"duplicate_of_train": "", "blank": 0}
            rows.append({"path": path, "split": split, "label": label, **said, **more})
    write_table(data / "fer2013_labels.csv", rows)


def _goemotions(root: Path) -> None:
    for folder, labels in (("original", taxonomy("goemotions").labels), ("ekman", _EKMAN)):
        made.text(root / folder / "labels.txt", "\n".join(labels) + "\n")
        for name in ("train", "dev", "test"):
            rows = (
                f"We talked about {topic}, and there was only {label} in it.\t{i}\t{name}{k}-{i}\n"
                for k, topic in enumerate(_TOPICS)
                for i, label in enumerate(labels)
            )
            made.text(root / folder / f"{name}.tsv", "".join(rows))


def _meld(root: Path) -> None:
    said = (("joy", "That is wonderful!"), ("anger", "I hate you."), ("neutral", "It is here."))
    for number, name in enumerate(("train", "dev", "test")):
        rows = [
            (i, text, f"Speaker {number}", emotion, "neutral", i, 0)
            for i, (emotion, text) in enumerate(said)
        ]
        made.table(root / f"{name}_sent_emo.csv", made.MELD_COLUMNS, *rows)


def _faces_of_others(data: Path) -> None:
    """CK+'s crops, and KDEF's pictures of one who is there."""
    for i, label in enumerate(("anger", "disgust", "fear", "happy", "sadness", "surprise") * 2):
        made.picture(data / "ck48" / label / f"S{i:03}_001_00000010.png")
    face = Image.open(MEDIA / "portrait.jpg").convert("RGB")
    for i, label in enumerate(("Angry", "Happy", "Sad") * 2):
        path = data / "kdef" / label / f"{i // 3}_{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        ImageEnhance.Brightness(face).enhance(0.8 + i / 20).save(path)


def _groups(data: Path) -> None:
    """VGAF and GroupEmoW: scenes of the repository's faces."""
    paths = [MEDIA / name for name in ("portrait.jpg", "talking.mp4", "two_people.mp4")]
    faces = faces_of_media(paths, make_detector("compact", Store()))
    config = SceneConfig(people=(2, 3), seconds=1.0)
    clips = list(scenes(9, faces, drawn_voices(), config=config))
    write_vgaf(data / "vgaf", {"Train": clips[:6], "Val": clips[6:]})
    splits = ("train", "val", "test")
    write_groupemow(data / "groupemow", {s: clips[i::3] for i, s in enumerate(splits)})


def _voice(path: Path) -> None:
    """Write a second of speech: another one, and louder or softer, for each name."""
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    start = int(rng.integers(0, len(_speech()) - _RATE))
    samples = _speech()[start : start + _RATE] * rng.uniform(0.3, 1.0) * 32_000
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, _RATE, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())


@cache
def _speech() -> Waveform:
    return read_audio(MEDIA / "speech.ogg", _RATE)
