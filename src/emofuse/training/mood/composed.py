"""Photos of groups composed of corpora's faces, whose mood is known because of what is in them.

The mood of such a photo is what most of its people show. Faces come from corpora that show one
person each, folded to positive, neutral and negative; surprise, which may be either, is left
out. How people who know each other stand, look and dress is not in such photos, nor is anything
but faces.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.media import Frame, MediaInfo, MediaKind, Packet, Track, VideoInfo, Watermark
from ...core.time import NS, Span
from ...group.keyframes import difference, shrunk

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]

MOODS = ("positive", "neutral", "negative")

BUCKETS = {"1": (1, 1), "2–4": (2, 4), "5–9": (5, 9), "10–24": (10, 24), "25+": (25, 60)}
"""Numbers of people that figures are told by."""

WIDTH, HEIGHT = 1280, 800
"""Of a photo, in pixels."""

_LARGEST, _SMALLEST = 0.42, 16.0  # of a face: part of the height, pixels
_OWN = (0.5, 1.0)  # share of the people who show the mood

_SHOWS = {
    "happy": "positive",
    "happiness": "positive",
    "neutral": "neutral",
    **dict.fromkeys(
        ("sad", "sadness", "angry", "anger", "fear", "disgust", "contempt"), "negative"
    ),
}

Faces = Mapping[str, Sequence[Picture]]
"""Mood → faces that show it."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A composed photo.

    Args:
        image: RGB uint8 (`HEIGHT`, `WIDTH`, 3).
        boxes: left, top, width and height of each face, in pixels.
        shows: the mood of each face.
    """

    image: Picture
    boxes: Sequence[Box]
    shows: Sequence[str]

    @property
    def mood(self) -> str:
        """What most people show."""
        return Counter(self.shows).most_common(1)[0][0]


class PhotoSource:
    """A photo at hand, as a source of media."""

    def __init__(self, image: Picture) -> None:
        height, width = image.shape[:2]
        self._frame = Frame(image, Span(0, NS // 8))
        self.info = MediaInfo(
            "photo", MediaKind.IMAGE, NS // 8, VideoInfo(width, height, None, "raw")
        )

    def packets(self) -> Iterator[Packet]:
        """Yield the picture and its end."""
        yield self._frame
        yield Watermark(Track.VIDEO, self._frame.at.end_ns)

    def close(self) -> None:
        """Nothing is open."""


def draw_moods(
    people: int, mood: str, rng: np.random.Generator, moods: Sequence[str] = MOODS
) -> list[str]:
    """Draw what each of a group shows, so that more show its mood than any other of `moods`."""
    own = max(1, round(rng.uniform(*_OWN) * people))
    others = [m for m in moods if m != mood]
    while True:
        shows = [mood] * own
        shows += [others[int(rng.integers(len(others)))] for _ in range(people - own)]
        counts = Counter(shows)
        if all(counts[mood] > counts[other] for other in others):
            return shows
        own += 1


def draw_people(bucket: str, rng: np.random.Generator) -> int:
    """Draw a number of people of one of the `BUCKETS`."""
    fewest, most = BUCKETS[bucket]
    return int(rng.integers(fewest, most + 1))


def compose(shows: Sequence[str], faces: Faces, rng: np.random.Generator) -> Photo:
    """Compose a photo of people who show given moods.

    The larger the group the smaller its faces; sizes, places, light, blur and what is behind
    them are drawn.
    """
    image = _wall(rng)
    boxes = []
    cells = _cells(len(shows), rng)
    nearest = rng.uniform(0.4, 1.0)  # how large the faces are in their places
    for mood, (left, top, width, height) in zip(shows, cells, strict=True):
        room = min(width, height, _LARGEST * HEIGHT)
        side = max(_SMALLEST, room * nearest * rng.uniform(0.6, 1.0))
        x = left + rng.uniform(0, max(width - side, 1))
        y = top + rng.uniform(0, max(height - side, 1))
        crop = faces[mood][int(rng.integers(len(faces[mood])))]
        _paste(image, crop, x, y, side, rng)
        boxes.append((x, y, side, side))
    if rng.random() < 0.3:
        cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0), dst=image)
    noisy = image + rng.normal(0, rng.uniform(0, 6), image.shape).astype(np.float32)
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return Photo(_stored(pixels, rng), boxes, list(shows))


def blur_by_motion(photo: Photo, rng: np.random.Generator) -> tuple[Photo, float]:
    """Let a camera move while every third photo is taken; return also how much frames would differ.

    The difference is that of two frames as far apart as the blur is long.
    """
    if rng.random() > 1 / 3:
        return photo, 0.0
    length = int(rng.integers(2, 12))
    kernel = np.full((1, length), 1 / length, np.float32)
    if rng.random() < 0.3:
        kernel = kernel.T
    blurred = np.asarray(cv2.filter2D(photo.image, -1, kernel), np.uint8)
    # A shutter is open for about a quarter of the time between two frames.
    moved = np.roll(photo.image, 4 * length, axis=1 if kernel.shape[0] == 1 else 0)
    return replace(photo, image=blurred), difference(shrunk(photo.image), shrunk(moved))


def read_fer2013(root: Path, split: str) -> dict[str, list[Picture]]:
    """Read FER2013's faces on whose mood its label and most of FER+'s taggers agree.

    Args:
        root: folder with ``fer2013.tar`` and ``fer2013_labels.csv``.
        split: ``train``, ``validation`` (PublicTest) or ``test`` (PrivateTest).
    """
    wanted: dict[str, str] = {}
    votes = ("neutral", "happiness", "sadness", "anger", "disgust", "fear", "contempt", "surprise")
    with (root / "fer2013_labels.csv").open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            if row["split"] != split or row["duplicate_of_train"] or row["blank"] == "1":
                continue
            most = max(votes, key=lambda v: int(row[v] or 0))
            mood = _SHOWS.get(row["label"])
            if mood is not None and row[most] and mood == _SHOWS.get(most):
                wanted[f"fer2013/{row['path']}"] = mood
    return _read_tar(root / "fer2013.tar", wanted)


def read_table(root: Path, name: str, label: str = "emotion") -> dict[str, list[Picture]]:
    """Read the faces of a corpus of ``cross_corpus/``, e.g. ``"ck48"`` or ``"kdef"``."""
    wanted: dict[str, str] = {}
    with (root / "cross_corpus" / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            mood = _SHOWS.get(row[label].lower())
            if mood is not None:
                wanted[row["image"]] = mood
    return _read_tar(root / "cross_corpus" / f"{name}.tar", wanted)


def _read_tar(path: Path, wanted: Mapping[str, str]) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            mood = wanted.get(member.name.removeprefix("./"))
            file = tar.extractfile(member) if mood is not None else None
            if mood is not None and file is not None:
                picture = Image.open(io.BytesIO(file.read())).convert("RGB")
                found.setdefault(mood, []).append(np.asarray(picture))
    return found


def _cells(people: int, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Divide the photo into places, a little more than people, and draw one for each."""
    columns = int(np.ceil(np.sqrt(people * WIDTH / HEIGHT)))
    lines = int(np.ceil(people / columns))
    width, height = WIDTH / columns, HEIGHT / lines
    drawn = rng.permutation(columns * lines)[:people]
    return [(c % columns * width, c // columns * height, width, height) for c in drawn]


def _wall(rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = rng.uniform(20, 230, (*rng.integers(3, 12, 2), 3)).astype(np.float32)
    how = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    wall = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=how)
    return np.clip(wall, 0, 255).astype(np.float32)


def _paste(
    image: NDArray[np.float32],
    crop: Picture,
    left: float,
    top: float,
    side: float,
    rng: np.random.Generator,
) -> None:
    """Blend a face into a photo, in a rounded square that fades out."""
    n, x, y = round(side), round(left), round(top)
    how = cv2.INTER_AREA if n < crop.shape[0] else cv2.INTER_CUBIC
    face = cv2.resize(crop, (n, n), interpolation=how).astype(np.float32)
    if rng.random() < 0.5:
        face = face[:, ::-1]
    face = face * rng.uniform(0.7, 1.15) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    v, u = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    alpha = np.clip((1.02 - (u**8 + v**8) ** (1 / 8)) / 0.12, 0, 1)[..., None].astype(np.float32)
    seen = image[y : y + n, x : x + n]
    part = np.s_[: seen.shape[0], : seen.shape[1]]
    seen += alpha[part] * (np.clip(face, 0, 255)[part] - seen)


def _stored(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Compress as cameras do."""
    quality = int(rng.integers(60, 96))
    _, packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8)
