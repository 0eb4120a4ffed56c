"""Made scenes of groups: real faces of a known mood before a drawn wall, with voices.

No corpus of groups can be fetched, so nets are tried on scenes whose mood is known because they
were composed: most of the faces show it, they move by it, and the voices are of it. What a net
learns of them says that it learns, not how well it would read real groups.

Scenes are written as VGAF (clips) and GroupEmoW (photos) lay theirs out, so that the recipes
read them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ...face.crop import crop_face
from ...face.detect import Detector
from ...group.streams import even, find_faces, read_frames
from ...io.images import read_image
from ...io.media_types import AUDIO_SUFFIXES, IMAGE_SUFFIXES
from ...sources.audio import read_audio

Picture = NDArray[np.uint8]
Waveform = NDArray[np.float32]
Box = tuple[float, float, float, float]

MOODS = ("positive", "neutral", "negative")
RATE = 16_000
WIDTH, HEIGHT = 384, 216

_EXPRESSIONS = {
    "positive": ("happy",),
    "neutral": ("neutral",),
    "negative": ("angry", "sad", "fear", "disgust"),
}
"""Which folders of FER2013 show a mood."""


_VOICES = {"positive": ("03",), "neutral": ("01", "02"), "negative": ("04", "05", "06", "07")}
"""Which emotions of RAVDESS have a mood: happy; neutral, calm; sad, angry, fearful, disgust."""


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """How scenes are made.

    Args:
        people: fewest and most faces of a scene.
        purity: share of its faces that show its mood; the others show another one.
        seconds: of a clip.
        fps: frames a second.
        face: smallest and largest face, in fractions of the height.
    """

    people: tuple[int, int] = (3, 6)
    purity: float = 0.8
    seconds: float = 2.0
    fps: int = 8
    face: tuple[float, float] = (0.28, 0.45)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scene that was made.

    Args:
        mood: the group's.
        frames: RGB uint8 (HEIGHT, WIDTH, 3) each.
        boxes: of the faces in the first frame: left, top, width, height.
        moods: of each face.
        sound: mono float32 at `RATE`.
    """

    mood: str
    frames: Sequence[Picture]
    boxes: Sequence[Box]
    moods: Sequence[str]
    sound: Waveform = field(default_factory=lambda: np.zeros(0, np.float32))


def make_scene(
    mood: str,
    faces: Mapping[str, Sequence[Picture]],
    voices: Mapping[str, Sequence[Waveform]],
    rng: np.random.Generator,
    config: SceneConfig = SceneConfig(),
) -> Scene:
    """Compose a scene.

    Args:
        mood: one of `MOODS`.
        faces: mood → face crops, RGB or gray uint8.
        voices: mood → sounds at `RATE`; empty: silence.
        rng: decides everything.
        config: how.
    """
    count = int(rng.integers(config.people[0], config.people[1] + 1))
    own = max(1, round(config.purity * count))
    others = [m for m in MOODS if m != mood]
    moods = [mood] * own + [others[int(rng.integers(2))] for _ in range(count - own)]
    wall = _wall(rng)
    cells = rng.permutation(count)
    placed = [_place(cell, count, config, rng) for cell in cells]
    crops = [_color(faces[m][int(rng.integers(len(faces[m])))]) for m in moods]
    frames = []
    for k in range(max(2, round(config.seconds * config.fps))):
        frame = wall.copy()
        for i, ((left, top, side), crop) in enumerate(zip(placed, crops, strict=True)):
            dx, dy = _motion(moods[i], k / config.fps, i)
            _paste(frame, crop, left + dx, top + dy, side)
        frames.append(frame.astype(np.uint8))
    boxes = [(left, top, side, side) for left, top, side in placed]
    return Scene(mood, frames, boxes, moods, _sound(voices.get(mood, ()), config.seconds, rng))


def scenes(
    count: int,
    faces: Mapping[str, Sequence[Picture]],
    voices: Mapping[str, Sequence[Waveform]],
    seed: int = 0,
    config: SceneConfig = SceneConfig(),
) -> Iterator[Scene]:
    """Compose scenes, of each mood alike; the same ones for the same seed."""
    for k in range(count):
        yield make_scene(MOODS[k % 3], faces, voices, np.random.default_rng((seed, k)), config)


def write_vgaf(folder: Path, parts: Mapping[str, Sequence[Scene]]) -> Path:
    """Write clips as VGAF lays them out: ``Train_labels.txt``, ``Train/1.mp4`` and so on.

    Args:
        folder: of the corpus.
        parts: ``"Train"``, ``"Val"`` → scenes.
    """
    for part, made in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        lines = ["Vid_name Label"]
        for k, scene in enumerate(made, 1):
            write_video(folder / part / f"{k}.mp4", scene)
            lines.append(f"{k} {MOODS.index(scene.mood) + 1}")
        (folder / f"{part}_labels.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_groupemow(folder: Path, parts: Mapping[str, Sequence[Scene]]) -> Path:
    """Write photos as GroupEmoW lays them out, ``train/Positive/1.jpg``, with ``faces.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "left", "top", "width", "height"))
        for part, made in parts.items():
            for k, scene in enumerate(made, 1):
                name = f"{part}/{scene.mood.capitalize()}/{k}.jpg"
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                Pillow.fromarray(scene.frames[0]).save(folder / name, quality=92)
                table.writerows((name, *map(round, box)) for box in scene.boxes)
    return folder


def write_video(path: Path, scene: Scene, fps: int = SceneConfig().fps) -> Path:
    """Write a scene as a film, H.264 and, if it has sound, AAC."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, options={"crf": "20", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono") if len(scene.sound) else None
        for frame in scene.frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        out.mux(video.encode())
        if audio is not None:
            for start in range(0, len(scene.sound), 1024):
                block = scene.sound[start : start + 1024]
                samples = av.AudioFrame.from_ndarray(block[None], "fltp", "mono")
                samples.rate, samples.pts = RATE, start
                samples.time_base = Fraction(1, RATE)
                out.mux(audio.encode(samples))
            out.mux(audio.encode())
    return path


def faces_of_media(paths: Sequence[Path], detector: Detector) -> dict[str, list[Picture]]:
    """Cut faces out of photos and films and share them out among the moods.

    Nobody said what they show: each mood gets other pictures, so that it can be told by who is
    seen.
    """
    crops: list[Picture] = []
    for path in paths:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            pictures = [read_image(path).pixels]
        else:
            frames = read_frames(path)
            pictures = [frames[i] for i in even(frames, 3)]
        crops += [crop_face(p, found, side=96) for p, found in find_faces(pictures, detector)]
    if len(crops) < len(MOODS):
        raise ValueError(f"need three faces or more, found {len(crops)}")
    return {
        m: [np.asarray(x, np.uint8) for x in part]
        for m, part in zip(MOODS, np.array_split(np.stack(crops), 3), strict=True)
    }


def faces_of_fer2013(folder: Path, most: int = 200, seed: int = 0) -> dict[str, list[Picture]]:
    """Read faces by mood from FER2013's folders ``LABEL/*.jpg``, e.g. ``…/fer2013/train``."""
    rng = np.random.default_rng(seed)
    out: dict[str, list[Picture]] = {}
    for mood, labels in _EXPRESSIONS.items():
        paths = sorted(p for label in labels for p in (folder / label).glob("*.jpg"))
        some = rng.permutation(len(paths))[:most]
        out[mood] = [read_image(paths[i]).pixels for i in some]
    return out


def voices_of_ravdess(folder: Path, most: int = 40, seed: int = 0) -> dict[str, list[Waveform]]:
    """Read voices by mood from RAVDESS' speech, by the emotion in the files' names."""
    rng = np.random.default_rng(seed)
    paths = [p for p in sorted(folder.rglob("03-01-*")) if p.suffix in AUDIO_SUFFIXES]
    out: dict[str, list[Waveform]] = {}
    for mood, codes in _VOICES.items():
        own = [p for p in paths if p.stem.split("-")[2] in codes]
        some = [own[i] for i in rng.permutation(len(own))[:most]]
        out[mood] = [_loud(read_audio(path, RATE)) for path in some]
    return out


def drawn_voices(count: int = 4, seed: int = 0) -> dict[str, list[Waveform]]:
    """Make sounds by mood: quick rising tones, a steady hum, a rough growl."""
    rng = np.random.default_rng(seed)
    t = np.arange(2 * RATE) / RATE
    out: dict[str, list[Waveform]] = {mood: [] for mood in MOODS}
    for _ in range(count):
        pitch = rng.uniform(0.9, 1.1)
        laugh = np.sin(2 * np.pi * pitch * (350 + 150 * (t * 5 % 1)) * t) * (t * 5 % 1 < 0.6)
        hum = sum(np.sin(2 * np.pi * 120 * pitch * h * t) / h for h in range(1, 6))
        growl = np.cumsum(rng.normal(0, 1, len(t))) % 8 - 4
        for mood, wave in zip(MOODS, (laugh, hum, growl), strict=True):
            wave = wave + rng.normal(0, 0.02, len(t))
            out[mood].append((0.3 * wave / np.abs(wave).max()).astype(np.float32))
    return out


def _wall(rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = rng.uniform(40, 200, (4, 6, 3)).astype(np.float32)
    wall = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(wall + rng.normal(0, 4, wall.shape), 0, 255).astype(np.float32)


def _place(
    cell: int, count: int, config: SceneConfig, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Find a place and a size in one of the cells into which a scene is divided."""
    columns = int(np.ceil(np.sqrt(count * WIDTH / HEIGHT)))
    rows = int(np.ceil(count / columns))
    width, height = WIDTH / columns, HEIGHT / rows
    side = min(rng.uniform(*config.face) * HEIGHT, 0.9 * width, 0.9 * height)
    row, column = divmod(int(cell), columns)
    left = column * width + rng.uniform(0, width - side)
    top = row * height + rng.uniform(0, height - side)
    return left, top, side


def _motion(mood: str, seconds: float, person: int) -> tuple[float, float]:
    """Return how far a face has moved: bouncing, calm, or swaying."""
    phase = 2 * np.pi * (1.2 * seconds + 0.17 * person)
    if mood == "positive":
        return 0.0, 7 * float(np.sin(phase))
    if mood == "negative":
        return 7 * float(np.sin(phase)), 0.0
    return 0.0, 0.0


def _paste(frame: NDArray[np.float32], crop: Picture, left: float, top: float, side: float) -> None:
    """Blend a face into a frame, in an oval that fades out."""
    n = round(side)
    x, y = round(left), round(top)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(WIDTH, x + n), min(HEIGHT, y + n)
    if x0 >= x1 or y0 >= y1:
        return
    face = cv2.resize(crop, (n, n), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    v, u = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    alpha = np.clip((1.05 - np.hypot(u, v * 0.9)) / 0.15, 0, 1)[..., None].astype(np.float32)
    part = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
    seen = frame[y0:y1, x0:x1]
    seen += alpha[part] * (face[part] - seen)


def _loud(sound: Waveform) -> Waveform:
    """Cut the silence off and bring the loudest sample to 0.5."""
    heard = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max(initial=1e-6))
    voiced = sound[heard[0] : heard[-1] + 1] if len(heard) else sound
    return (voiced * (0.5 / max(float(np.abs(voiced).max(initial=0)), 1e-6))).astype(np.float32)


def _color(crop: Picture) -> Picture:
    return crop if crop.ndim == 3 else np.repeat(crop[..., None], 3, axis=2)


def _sound(voices: Sequence[Waveform], seconds: float, rng: np.random.Generator) -> Waveform:
    """Mix two voices over a faint noise."""
    n = round(seconds * RATE)
    if not voices:
        return np.zeros(0, np.float32)
    mixed = rng.normal(0, 0.002, n).astype(np.float32)
    for voice in (voices[int(rng.integers(len(voices)))] for _ in range(2)):
        whole = np.resize(np.roll(voice, int(rng.integers(len(voice)))), n)
        mixed += 0.5 * whole.astype(np.float32)
    return mixed
