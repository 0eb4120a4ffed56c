"""Teaches the default model of a group's mood how to take faces, voice and motion together.

    python -m emofuse.training.mood.aggregation --data ROOT --out runs/group-v1

1. Photos are composed of FER2013's training faces and looked at as `emofuse analyze` does: what is
   found of each face, and what the embedded face model says of it, is kept beside the truth.
2. Scenes without end are drawn from these faces: a mood, a number of people, most of whom show it.
   A voice that is there is of the scene's mood more often than not (`_AGREES`, an assumption), as
   the embedded speech model hears it in clips of CREMA-D's training speakers. Where a scene moves,
   its faces are of photos that were blurred by motion.
3. The net learns to tell the mood. Its temperature is fitted on photos composed of validation faces
   with voices of validation speakers.
"""

from __future__ import annotations

import argparse
import csv
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...analyzer import Analyzer, AnalyzerConfig
from ...core.details import FaceDetails
from ...core.estimates import Estimate, Modality
from ...core.time import Span
from ...evaluation.metrics.calibration import ece
from ...face.config import FaceConfig
from ...group.mood import MOODS, WIDTH, Evidence, MoodRecogniser, rows, stack
from ...models.calibrate import fit_temperature
from ...models.card import Card
from ...models.store import Store
from ...models.write import write_card, write_golden
from ..core.console import log
from ..core.export import forget_origin
from .composed import (
    BUCKETS,
    Faces,
    Photo,
    PhotoSource,
    blur_by_motion,
    compose,
    draw_moods,
    draw_people,
    read_fer2013,
)

Rows = NDArray[np.float32]

MODEL_ID = "group-v1"

_AGREES = 0.7  # how often a voice is of the scene's mood: an assumption
_HEARD = 0.4  # share of scenes with a voice
_FACELESS = 0.1  # of those, share in which no face can be read
_MISREAD = 0.1  # of faces that are replaced: face-v4 learned from these, and errs more with others
_EMOTIONS = {"HAP": 0, "NEU": 1} | dict.fromkeys(("ANG", "SAD", "FEA", "DIS"), 2)


@dataclass(frozen=True, slots=True, eq=False)
class FoundFaces:
    """What analyses found in composed photos.

    Args:
        faces: rows of the readable faces, (faces, `WIDTH`).
        shows: the mood of each face, as an index.
        bucket: the size of the group each was seen in, as an index of `BUCKETS`.
        moving: motion of the photo each was seen in.
        share: of each bucket, the share of its people who were read.
    """

    faces: Rows
    shows: NDArray[np.int64]
    bucket: NDArray[np.int64]
    moving: Rows
    share: Rows

    def indices(self) -> dict[tuple[int, bool, int], NDArray[np.int64]]:
        """Return which faces were seen in groups of a size, moving or not, and show a mood."""
        return {
            (b, moves, mood): np.flatnonzero(
                (self.bucket == b) & ((self.moving > 0) == moves) & (self.shows == mood)
            )
            for b in range(len(BUCKETS))
            for moves in (False, True)
            for mood in range(len(MOODS))
        }


@dataclass(frozen=True, slots=True, eq=False)
class Voices:
    """What the speech model says of clips: columns 2 to 6 of a scene's row, and the truth."""

    heard: Rows
    moods: NDArray[np.int64]


def face_analyzer(store: Store | None = None) -> Analyzer:
    """Return an analyzer that reads all faces of a photo, and nothing else."""
    config = AnalyzerConfig(modalities=(Modality.FACE,), face=FaceConfig(max_faces=200))
    return Analyzer(config, store)


def evidence_of(analyzer: Analyzer, photo: Photo, motion: float = 0.0) -> Evidence:
    """Look at a photo as `emofuse analyze` does."""
    timeline = analyzer.collect(PhotoSource(photo.image))
    return Evidence(timeline.of(Modality.FACE), motion=motion)


def look_at_photos(faces: Faces, count: int, seed: int) -> FoundFaces:
    """Compose photos of all sizes of groups and note what an analysis finds in them."""
    analyzer, found = face_analyzer(), []
    people, read = np.zeros(len(BUCKETS)), np.zeros(len(BUCKETS))
    for k in range(count):
        rng = np.random.default_rng((seed, k))
        b = k % len(BUCKETS)
        shows = [MOODS.labels[i] for i in rng.integers(0, 3, draw_people(list(BUCKETS)[b], rng))]
        photo, motion = blur_by_motion(compose(shows, faces, rng), rng)
        evidence = evidence_of(analyzer, photo, motion)
        table = rows(evidence)
        truth = [shown(photo, face) for face in evidence.read]
        people[b] += len(shows)
        read[b] += sum(t is not None for t in truth)
        for row, label in zip(table[1:], truth, strict=True):
            if label is not None:
                found.append((row, MOODS.labels.index(label), b, table[0, 7]))
    table, moods, buckets, moving = (np.array(column) for column in zip(*found, strict=True))
    return FoundFaces(table, moods, buckets, moving, (read / people).astype(np.float32))


def shown(photo: Photo, face: Estimate) -> str | None:
    """Return what the person shows whom a found face belongs to; None: there is nobody."""
    details = face.find_details(FaceDetails)
    assert details is not None
    assert details.box is not None
    height, width = photo.image.shape[:2]
    left, top, w, h = details.box
    x, y = (left + w / 2) * width, (top + h / 2) * height
    for (bx, by, side, _), mood in zip(photo.boxes, photo.shows, strict=True):
        if abs(bx + side / 2 - x) < side / 2 and abs(by + side / 2 - y) < side / 2:
            return mood
    return None


def listen(root: Path, split: str, most: int, seed: int) -> Voices:
    """Hear clips of CREMA-D's speakers of a split as `emofuse analyze` does.

    Args:
        root: folder with ``crema-d.tar`` and ``crema-d.csv``.
        split: of the table.
        most: clips of each mood.
        seed: decides which.
    """
    wanted = _clips(root / "crema-d.csv", split, most, seed)
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.SPEECH,)))
    heard, moods = [], []
    with tempfile.TemporaryDirectory() as folder, tarfile.open(root / "crema-d.tar") as tar:
        for member in tar:
            mood = wanted.get(Path(member.name).stem)
            file = tar.extractfile(member) if mood is not None else None
            if file is None or mood is None:
                continue
            clip = Path(folder, Path(member.name).name)
            clip.write_bytes(file.read())
            timeline = analyzer.analyze(clip)
            clip.unlink()
            row = rows(Evidence((), timeline.of(Modality.SPEECH), Span(0, timeline.duration_ns)))[0]
            if row[2]:
                heard.append(row[2:7])
                moods.append(mood)
    return Voices(np.stack(heard), np.array(moods))


def _clips(table: Path, split: str, most: int, seed: int) -> dict[str, int]:
    """Choose clips, as many of each mood: name → mood as an index."""
    by_mood: dict[int, list[str]] = {0: [], 1: [], 2: []}
    with table.open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            if row["split"] == split and row["conflicting_duplicate"] == "0":
                by_mood[_EMOTIONS[row["emotion"]]].append(row["clip"])
    rng = np.random.default_rng(seed)
    return {
        clips[i]: mood
        for mood, clips in by_mood.items()
        for i in rng.permutation(len(clips))[:most]
    }


# ---------------------------------------------------------------- scenes without end


def draw_scene(
    seen: FoundFaces,
    indices: Mapping[tuple[int, bool, int], NDArray[np.int64]],
    voices: Voices,
    rng: np.random.Generator,
) -> tuple[Rows, int]:
    """Draw a scene from faces and voices that were seen and heard; return its rows and mood."""
    b = int(rng.integers(len(BUCKETS)))
    mood = int(rng.integers(3))
    moves = bool(rng.random() < 0.3)
    shows = Counter(draw_moods(draw_people(list(BUCKETS)[b], rng), MOODS.labels[mood], rng))
    for label in rng.choice(MOODS.labels, rng.binomial(sum(shows.values()), _MISREAD)):
        if shows[str(label)]:
            shows[str(label)] -= 1
            shows[MOODS.labels[int(rng.integers(3))]] += 1
    drawn = []
    for label, people in shows.items():
        same = indices[b, moves, MOODS.labels.index(label)]
        drawn.append(same[rng.integers(len(same), size=rng.binomial(people, seen.share[b]))])
    faces = np.concatenate(drawn)
    heard = not len(faces) or rng.random() < _HEARD
    if heard and rng.random() < _FACELESS:
        faces = faces[:0]
    out = np.zeros((1 + len(faces), WIDTH), np.float32)
    out[1:] = seen.faces[faces]
    sides = 2.0 ** out[1:, -4]
    out[1:, -1] = sides / sides.max(initial=1e-6)
    out[0, :2] = 1, np.log2(1 + len(faces))
    out[0, 7] = seen.moving[faces].mean() if len(faces) else 0.0
    if heard:
        own = mood if rng.random() < _AGREES else int(rng.integers(3))
        out[0, 2:7] = voices.heard[rng.choice(np.flatnonzero(voices.moods == own))]
    return out, mood


class MoodNet(nn.Module):
    """Scene and faces → mood; see `emofuse.group.mood`.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Linear(WIDTH, width), nn.ReLU(), nn.Linear(width, 1))
        self.read = nn.Sequential(nn.Linear(WIDTH, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Sequential(
            nn.Linear(width + 1 + WIDTH, width), nn.ReLU(), nn.Linear(width, 3)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits, (scenes, 3), of rows, (scenes, 1 + faces, WIDTH); absent ones are 0."""
        scene, faces = rows[:, 0], rows[:, 1:]
        # Each face is seen beside how much everything moves.
        moving = scene[:, None, 7:8].expand(-1, faces.shape[1], 1)
        beside = torch.cat([moving, faces[..., 1:]], dim=-1)
        weight = functional.softplus(self.weigh(beside)) * faces[..., :1]
        total = weight.sum(dim=1)
        mean = (weight * self.read(beside)).sum(dim=1) / (total + 1e-6)
        known = torch.cat([mean, torch.log1p(total), scene], dim=-1)
        return self.head(known)


def fit(seen: FoundFaces, voices: Voices, steps: int, seed: int, batch: int = 64) -> MoodNet:
    """Teach a net on scenes that are drawn anew in every step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = MoodNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    losses, indices = [], seen.indices()
    for step in range(1, steps + 1):
        drawn = [draw_scene(seen, indices, voices, rng) for _ in range(batch)]
        logits = net(torch.from_numpy(stack([scene for scene, _ in drawn])))
        loss = functional.cross_entropy(logits, torch.tensor([mood for _, mood in drawn]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 100 == 0:
            log(f"step {step}: loss {np.mean(losses[-100:]):.3f}")
    return net.eval()


# ---------------------------------------------------------------- scenes to validate on


def made_scenes(
    faces: Faces, count: int, seed: int, moods: Sequence[str] = MOODS.labels
) -> Iterator[tuple[str, Photo]]:
    """Compose photos whose mood is known, of each size of group alike: (bucket, photo).

    Args:
        faces: mood → faces that show it.
        count: photos.
        seed: the same photos for the same seed.
        moods: those that scenes have; only these are shown in them.
    """
    for k in range(count):
        rng = np.random.default_rng((seed, k))
        bucket = list(BUCKETS)[k % len(BUCKETS)]
        mood = moods[int(rng.integers(len(moods)))]
        yield bucket, compose(draw_moods(draw_people(bucket, rng), mood, rng, moods), faces, rng)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScenes:
    """Scenes to validate on: stacked rows, (scenes, rows, `WIDTH`), and their moods."""

    scenes: Rows
    moods: NDArray[np.int64]


def validation_scenes(faces: Faces, voices: Voices, count: int, seed: int = 7) -> LabelledScenes:
    """Look at composed photos; every third has a voice."""
    analyzer, scenes, moods = face_analyzer(), [], []
    for k, (_, photo) in enumerate(made_scenes(faces, count, seed)):
        rng = np.random.default_rng((seed, k, 1))
        blurred, motion = blur_by_motion(photo, rng)
        scene, mood = rows(evidence_of(analyzer, blurred, motion)), MOODS.labels.index(photo.mood)
        scenes.append(with_voice(scene, mood, voices, rng) if k % 3 == 0 else scene)
        moods.append(mood)
    return LabelledScenes(stack(scenes), np.array(moods))


def with_voice(scene: Rows, mood: int, voices: Voices, rng: np.random.Generator) -> Rows:
    """Give a scene's rows a voice, of its mood as often as in training."""
    own = mood if rng.random() < _AGREES else int(rng.integers(3))
    out = scene.copy()
    out[0, 2:7] = voices.heard[rng.choice(np.flatnonzero(voices.moods == own))]
    return out


# ---------------------------------------------------------------- the finished model


def export(net: MoodNet, out: Path, validation: LabelledScenes) -> Card:
    """Calibrate the model; write it, its card and a golden pair into a folder."""
    with torch.inference_mode():
        logits = net(torch.from_numpy(validation.scenes)).numpy()
    calibration = fit_temperature(np.eye(3)[validation.moods], logits)
    p = calibration.probabilities(logits)
    figures = {
        "accuracy": float((p.argmax(axis=1) == validation.moods).mean()),
        "ece": ece(validation.moods, p),
    }
    log(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{MODEL_ID}.onnx"
    scenes, people = torch.export.Dim("scenes", max=4096), torch.export.Dim("rows", max=1024)
    torch.onnx.export(
        net,
        (torch.zeros((2, 3, WIDTH)),),
        path,
        input_names=["rows"],
        output_names=["logits"],
        dynamo=True,
        external_data=False,
        dynamic_shapes=({0: scenes, 1: people},),
        verbose=False,
    )
    forget_origin(path)
    told = {
        **_CARD,
        "calibration": {"temperature": round(calibration.temperature, 3)},
        "metrics": [
            {**_MEASURED, "name": name, "value": round(value, 4)} for name, value in figures.items()
        ],
    }
    card = write_card(told, out, {"weights": path})
    some = [scene[scene[:, 0] > 0] for scene in validation.scenes[: 2 * len(BUCKETS)]]
    write_golden(MoodRecogniser(card, {"weights": path}), some, out)
    return card


_MEASURED: dict[str, Any] = {
    "corpus": "made scenes",
    "split": "faces of FER2013's validation split",
    "protocol": "composed photos of 1 to 60 people; the mood is what most of them show; a third "
    "have a voice and a third were blurred by motion; the temperature was fitted on them",
    "command": "EMOFUSE_DATA=… python -m benchmarks.group_mood",
}

_CARD: dict[str, Any] = {
    "id": MODEL_ID,
    "modality": "fused",
    "recogniser": "group-mood",
    "summary": "A group's mood from its faces, the voice and the motion; learned on made scenes",
    "taxonomy": "valence",
    "labels": list(MOODS.labels),
    "licence": "research use only (as its training data, FER2013 and CREMA-D)",
    "preparation": {"width": WIDTH},
    "notes": [
        "Learned from made scenes: faces of FER2013, which show one person each, drawn together. "
        "The mood of such a scene is what most of its people show. No real group was learned from "
        "and none was measured: how people stand, dress and look at each other is not seen.",
        "How much a voice counts rests on an assumption: that in made scenes with a voice it is of "
        f"the scene's mood in {_AGREES:.0%} and any in the others.",
        "It takes what face-v4 and speech-v4 say. With other models of faces and voices its "
        "probabilities may no longer fit.",
        "One seed. What a face expresses is not what a person feels.",
    ],
    "data": [
        {
            "name": "fer2013",
            "licence": "research and education (Kaggle competition data)",
            "used": "training faces on whose mood its label and FER+'s majority agree",
            "corpus": "fer2013",
            "splits": ["train"],
            "chosen": ["validation"],
        },
        {
            "name": "crema-d",
            "licence": "ODbL",
            "used": "voices of training speakers, as speech-v4 hears them",
            "corpus": "crema-d",
            "splits": ["train"],
            "chosen": ["validation"],
        },
    ],
}


K = TypeVar("K", FoundFaces, Voices, LabelledScenes)


def _kept(path: Path, kind: type[K], make: Callable[[], K]) -> K:
    """Read what an earlier run kept, or make and keep it."""
    if not path.is_file():
        made = make()
        np.savez_compressed(path, **{f.name: getattr(made, f.name) for f in fields(kind)})
    with np.load(path, allow_pickle=False) as kept:
        return kind(**{f.name: kept[f.name] for f in fields(kind)})


_NEEDED = ("fer2013.tar", "fer2013_labels.csv", "crema-d.tar", "crema-d.csv")


def main() -> None:
    """Gather, teach, calibrate and export."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--photos", type=int, default=600, help="composed to learn from")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if missing := [name for name in _NEEDED if not (given.data / name).is_file()]:
        parser.error(f"--data {given.data}: expected {', '.join(_NEEDED)}, no {missing[0]} there")
    given.out.mkdir(parents=True, exist_ok=True)
    seen = _kept(
        given.out / "seen.npz",
        FoundFaces,
        lambda: look_at_photos(read_fer2013(given.data, "train"), given.photos, given.seed),
    )
    taught, chosen = (
        _kept(given.out / f"voices-{split}.npz", Voices, partial(listen, given.data, split, 150, 1))
        for split in ("train", "validation")
    )
    validation = _kept(
        given.out / "validation.npz",
        LabelledScenes,
        lambda: validation_scenes(
            read_fer2013(given.data, "validation"), chosen, given.photos // 2
        ),
    )
    net = fit(seen, taught, given.steps, given.seed)
    card = export(net, given.out, validation)
    log(f"{given.out / card.id}.toml: temperature {card.calibration.temperature:.2f}")


if __name__ == "__main__":
    main()
