"""Photos with the faces in them, as training and evaluating a detector need them.

A table (CSV, one row a face) names a picture's file, its width and height, a
face's box (``x, y, w, h``), its five landmarks and the ``score`` of the detector
that found it, in pixels of the stored picture. A picture without a face has one
row without a box.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Split
from ...errors import InputError
from ...face.detect import Detector
from ...io.images import read_image

POINTS = tuple(
    f"{name}_{axis}"
    for name in ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
    for axis in "xy"
)
COLUMNS = ("image", "width", "height", "x", "y", "w", "h", *POINTS, "score")
"""Columns of a table of faces."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture and the faces known in it.

    Args:
        name: of its file.
        pixels: RGB, uint8 (H, W, 3).
        faces: float32 (n, 15): left, top, width, height, x and y of the five
            landmarks, score; in pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    faces: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.faces.ndim != 2 or self.faces.shape[1] != 15:
            raise ValueError(f"faces need the shape (n, 15), got {self.faces.shape}")


def split_of(name: str) -> Split:
    """Return a photo's split by the hash of its name: 12 % test, 5 % validation.

    A name decides, so that a photo never changes sides.
    """
    bucket = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 100
    return Split.TEST if bucket < 12 else Split.VALIDATION if bucket < 17 else Split.TRAIN


def read_photos(
    table: Path, folder: Path, wanted: Callable[[str], bool] = lambda _: True
) -> list[Photo]:
    """Read the photos of a table, in order of their names.

    Args:
        table: CSV with `COLUMNS`.
        folder: holds the pictures.
        wanted: says of a name whether the photo is read.

    Raises:
        InputError: if the table, a column or a picture is missing or damaged.
    """
    faces: dict[str, list[list[float]]] = defaultdict(list)
    for row in _rows(table):
        if not wanted(row["image"]):
            continue
        here = faces[row["image"]]
        if row["x"]:
            here.append([float(row[k]) for k in (*"xywh", *POINTS, "score")])
    return [
        Photo(name, read_image(folder / name).pixels, np.array(rows, np.float32).reshape(-1, 15))
        for name, rows in sorted(faces.items())
    ]


def label(pictures: Iterable[tuple[str, NDArray[np.uint8]]], teacher: Detector, out: Path) -> int:
    """Write a table of the faces that a detector with landmarks finds in RGB pictures.

    Small pictures are given to the teacher enlarged and with a margin, as it finds
    no face that fills the whole picture.

    Returns:
        The number of faces.
    """
    count = 0
    with out.open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(COLUMNS)
        for name, picture in pictures:
            height, width = picture.shape[:2]
            scale = max(1.0, 160 / max(height, width))
            margin = round(0.3 * max(height, width) * scale)
            large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            large = cv2.copyMakeBorder(large, *[margin] * 4, cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            found = [d for d in teacher.detect(large) if d.landmarks is not None]
            for d in found:
                x, y, w, h = d.box
                place = [(x - margin) / scale, (y - margin) / scale, w / scale, h / scale]
                points = ((d.landmarks - margin) / scale).ravel()
                numbers = [*place, *points.tolist()]
                row = [f"{v:.2f}" for v in numbers] + [f"{d.score:.3f}"]
                writer.writerow([name, width, height, *row])
            if not found:
                writer.writerow([name, width, height] + [""] * 15)
            count += len(found)
    return count


def near_duplicates(photos: Sequence[Photo], others: Sequence[Photo], most: int = 5) -> set[str]:
    """Return the names of `photos` that look like one of `others`.

    Two look alike if their 64-bit difference hashes (light against dark of
    neighbours on a 9 × 8 grid) differ in at most `most` bits.
    """
    if not photos or not others:
        return set()
    theirs = np.stack([_fingerprint(p.pixels) for p in others])
    alike = (np.abs(_fingerprint(p.pixels) - theirs).sum(axis=1).min() <= most for p in photos)
    return {p.name for p, a in zip(photos, alike, strict=True) if a}


def _fingerprint(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits: NDArray[np.int8] = (grid[:, 1:] > grid[:, :-1]).ravel().astype(np.int8)
    return bits


def _rows(table: Path) -> Iterable[dict[str, str]]:
    try:
        with table.open(newline="") as f:
            reader = csv.DictReader(f)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{table} lacks the columns {', '.join(sorted(missing))}")
            yield from reader
    except OSError as e:
        raise InputError(f"cannot read the table of faces {table}: {e}") from e
