"""Made scenes with faces in them, for the training of a detector.

A scene is a mosaic of one to sixteen tiles. Each shows a photo in which one face was
brought to a drawn size, so that sizes are spread evenly (on a logarithmic scale)
whatever those of the photos are; or a part of a photo without a face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...corruptions import image
from .photos import Photo

Pixels = NDArray[np.uint8]
Faces = NDArray[np.float32]

MIRROR = (1, 0, 2, 4, 3)
"""Which landmark a landmark becomes in the mirror."""


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """How scenes vary.

    Args:
        side: of a scene in pixels; a multiple of 32.
        grids: probabilities of 1, 2 × 2, 3 × 3 and 4 × 4 tiles.
        smallest: side (pixels, geometric mean) below which a face is neither taught
            as one nor as none.
        sure: faces that the teacher scored lower are treated alike.
        enlarge: most that a photo is enlarged.
        filled: probability that a photo is kept large enough to fill most of its tile.
        rotation: standard deviation of a photo's rotation, degrees.
        negative: probability that a tile shows no face.
        clutter: probability that round and angular things are drawn beside the faces.
        cover: probability that a part of a face is covered.
        light: probability that a tile's light is changed, and that its colour is.
        grey: probability that a tile is grey.
        blur: probability that a scene is blurred, that it is blurred in one direction as
            by motion, and that its resolution is lost.
        noise: probability of sensor noise.
        jpeg: probability of JPEG compression.

    Raises:
        ValueError: if a number is out of range.
    """

    side: int = 256
    grids: tuple[float, ...] = (0.27, 0.38, 0.22, 0.13)
    smallest: float = 9.0
    sure: float = 0.6
    enlarge: float = 3.0
    filled: float = 0.65
    rotation: float = 10.0
    negative: float = 0.15
    clutter: float = 0.35
    cover: float = 0.15
    light: float = 0.5
    grey: float = 0.12
    blur: float = 0.15
    noise: float = 0.2
    jpeg: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "grids", tuple(self.grids))
        if self.side < 64 or self.side % 32:
            raise ValueError(f"side must be a multiple of 32 from 64 on, got {self.side}")
        if not math.isclose(sum(self.grids), 1.0) or min(self.grids) < 0:
            raise ValueError(f"grids must be probabilities that sum to 1, got {self.grids}")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A made picture.

    Args:
        pixels: RGB, uint8 (side, side, 3).
        plain: the same before light, blur, noise and compression corrupted it.
        faces: float32 (n, 14): left, top, width, height, landmarks; in pixels.
        taught: bool (n,): False where nothing is to be learned, neither that there
            is a face nor that there is none.
    """

    pixels: Pixels
    plain: Pixels
    faces: Faces
    taught: NDArray[np.bool_]


def make_scene(photos: Sequence[Photo], config: SceneConfig, rng: np.random.Generator) -> Scene:
    """Compose a scene of random photos."""
    side = config.side
    plain = np.empty((side, side, 3), np.uint8)
    count = 1 + int(rng.choice(len(config.grids), p=config.grids))
    places = [
        (rows, columns) for columns in _cuts(side, count, rng) for rows in _cuts(side, count, rng)
    ]
    faces, taught = [], []
    for (top, bottom), (left, right) in places:
        photo = photos[int(rng.integers(len(photos)))]
        tile, found, sure = _tile(photo, (right - left, bottom - top), config, rng)
        plain[top:bottom, left:right] = tile
        faces.append(moved(found, np.array([[1.0, 0.0, left], [0.0, 1.0, top]])))
        taught.append(sure)
    every, sure = np.concatenate(faces), np.concatenate(taught)
    if rng.random() < config.clutter:
        _draw_things(plain, every, rng)
    _cover_some(plain, every, config.cover, rng)
    pixels = plain.copy()
    for rows, columns in places:
        here = slice(*rows), slice(*columns)
        pixels[here] = _lit(pixels[here], config, rng)
    return Scene(_worn(pixels, config, rng), plain, every, sure)


def use_one_thread() -> None:
    """Keep OpenCV to one thread in this process and those forked from it."""
    cv2.setNumThreads(1)


def moved(faces: Faces, matrix: NDArray[np.float64]) -> Faces:
    """Map boxes and landmarks (n, 14) by an affine matrix (2, 3).

    A box becomes the one around the ellipse that it held: closer to a turned head
    than the box around the turned corners. A mirroring swaps left and right
    landmarks, which are named by the person's sides.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    centre = (faces[:, :2] + faces[:, 2:4] / 2) @ linear.T + shift
    half = np.sqrt((faces[:, 2:4] ** 2 / 4) @ (linear**2).T)
    points = faces[:, 4:14].reshape(-1, 5, 2) @ linear.T + shift
    if np.linalg.det(linear) < 0:
        points = points[:, MIRROR]
    out = np.concatenate([centre - half, 2 * half, points.reshape(-1, 10)], axis=1)
    return out.astype(np.float32)


def _cuts(side: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Cut a side into `count` pieces, none shorter than half an even piece."""
    shares = 0.5 + rng.random(count)
    ends = np.round(np.cumsum(shares) / shares.sum() * side).astype(int)
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _tile(
    photo: Photo, size: tuple[int, int], config: SceneConfig, rng: np.random.Generator
) -> tuple[Pixels, Faces, NDArray[np.bool_]]:
    """Show a photo in a tile of a size (width, height)."""
    empty = len(photo.faces) == 0 or rng.random() < config.negative
    matrix = _away(photo, size, rng) if empty else _towards(photo, size, config, rng)
    pixels = _warped(photo.pixels, matrix, size, rng)
    faces = moved(photo.faces[:, :14], matrix)
    seen = _seen(faces, size)
    if empty:
        _paint_over(pixels, faces[seen > 0], rng)
        faces, seen = faces[:0], seen[:0]
        score = np.zeros(0, np.float32)
    else:
        score = photo.faces[:, 14]
    there = seen > 0.1
    side = np.sqrt(faces[:, 2] * faces[:, 3])
    sure = (seen > 0.6) & (side >= config.smallest) & (score >= config.sure)
    return pixels, faces[there], sure[there]


def _towards(
    photo: Photo, size: tuple[int, int], config: SceneConfig, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the map that brings one of a photo's faces to a drawn size and place."""
    face = photo.faces[int(rng.integers(len(photo.faces)))]
    now = math.sqrt(float(face[2] * face[3]))
    most = min(1.15 * min(size), config.enlarge * now)
    least = min(config.smallest, most)
    if rng.random() < config.filled:  # small faces only where the photo still fills the tile
        height, width = photo.pixels.shape[:2]
        least = min(max(least, 0.7 * now * max(size[0] / width, size[1] / height)), most)
    wanted = math.exp(rng.uniform(math.log(least), math.log(most)))
    matrix = _turn(wanted / now, config.rotation, rng)
    centre = matrix @ (face[:2] + face[2:4] / 2)
    room = np.maximum(np.array(size) - 0.9 * wanted, 0.1 * np.array(size)) / 2
    target = np.array(size) / 2 + room * rng.uniform(-1, 1, 2)
    return np.column_stack([matrix, target - centre])


def _away(photo: Photo, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a map that shows a part of a photo, of several tried the one with least face."""
    height, width = photo.pixels.shape[:2]
    best, least = None, math.inf
    for _ in range(8):
        zoom = math.exp(rng.uniform(0, 1.4)) * max(size[0] / width, size[1] / height)
        matrix = _turn(zoom, 10.0, rng)
        centre = matrix @ (rng.uniform(0.1, 0.9, 2) * (width, height))
        matrix = np.column_stack([matrix, np.array(size) / 2 - centre])
        shown = float(_seen(moved(photo.faces[:, :14], matrix), size).sum())
        if shown < least:
            best, least = matrix, shown
    assert best is not None
    return best


def _turn(scale: float, rotation: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random rotation, stretch and mirroring at a scale, shape (2, 2)."""
    angle = math.radians(float(np.clip(rng.normal(0, rotation), -45, 45)))
    stretch = math.exp(rng.normal(0, 0.05))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return scale * turn @ np.diag([mirror * stretch, 1 / stretch])


def _warped(
    pixels: Pixels, matrix: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator
) -> Pixels:
    """Show a picture through a map; shrunk by areas first, or single points would alias."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    if scale < 0.7:
        height, width = pixels.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        matrix = matrix.copy()
        matrix[:, :2] @= np.diag([width / small[0], height / small[1]])
    kind = cv2.INTER_CUBIC if scale > 1 and rng.random() < 0.5 else cv2.INTER_LINEAR
    edge = cv2.BORDER_REPLICATE if rng.random() < 0.4 else cv2.BORDER_CONSTANT
    fill = [0.0] * 3 if rng.random() < 0.3 else rng.integers(0, 256, 3).tolist()
    return cv2.warpAffine(pixels, matrix, size, flags=kind, borderMode=edge, borderValue=fill)  # type: ignore[return-value]


def _seen(faces: Faces, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the share of each box that lies in a picture of a size."""
    low = np.maximum(faces[:, :2], 0)
    high = np.minimum(faces[:, :2] + faces[:, 2:4], np.array(size, np.float32))
    inside = np.clip(high - low, 0, None).prod(axis=1)
    share: NDArray[np.float32] = inside / np.maximum(faces[:, 2:4].prod(axis=1), 1e-6)
    return share


def _paint_over(pixels: Pixels, faces: Faces, rng: np.random.Generator) -> None:
    """Put coloured clouds in place of faces, in their picture's colours."""
    height, width = pixels.shape[:2]
    for x, y, w, h in faces[:, :4]:
        left, top = max(0, int(x - 0.1 * w)), max(0, int(y - 0.15 * h))
        right, bottom = min(width, int(x + 1.1 * w) + 1), min(height, int(y + 1.1 * h) + 1)
        if right <= left or bottom <= top:
            continue
        rows, columns = rng.integers(0, height, 25), rng.integers(0, width, 25)
        cloud = pixels[rows, columns].reshape(5, 5, 3)
        cloud = cv2.resize(cloud, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
        pixels[top:bottom, left:right] = cloud


def _lit(pixels: Pixels, config: SceneConfig, rng: np.random.Generator) -> Pixels:
    """Change light and colour."""
    if rng.random() < config.grey:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        pixels = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
    if rng.random() < config.light:
        gamma, gain = math.exp(rng.normal(0.1, 0.55)), math.exp(rng.normal(-0.25, 0.45))
        pixels = image.expose(pixels, gain, gamma, rng.normal(0, 0.06))
    if rng.random() < config.light:
        pixels = image.expose(pixels, np.exp(rng.normal(0, 0.1, 3)), 1.0)
    return pixels


def _draw_things(pixels: Pixels, faces: Faces, rng: np.random.Generator) -> None:
    """Draw plates, clocks, cups and boxes, as it were: what else is round is no face."""
    side = len(pixels)
    low, high = faces[:, :2], faces[:, :2] + faces[:, 2:4]
    for _ in range(int(rng.integers(1, 6))):
        size = math.exp(rng.uniform(math.log(10), math.log(0.5 * side)))
        centre = rng.uniform(0, side, 2)
        half = size / 2 * np.exp(rng.normal(0, 0.15, 2))
        if ((low < centre + half) & (high > centre - half)).all(axis=1).any():
            continue
        place = tuple(centre.astype(int).tolist())
        angle = float(rng.uniform(0, 180))
        round_ = rng.random() < 0.75
        for scale in sorted(rng.uniform(0.3, 1, int(rng.integers(1, 4))), reverse=True):
            axes = tuple(np.maximum(half * scale, 1).astype(int).tolist())
            colour = rng.integers(0, 256, 3).tolist()
            if round_:  # now and then a part of the disc only, as of a cup half full
                end = 360 if rng.random() < 0.7 else int(rng.integers(90, 300))
                cv2.ellipse(pixels, place, axes, angle, 0, end, colour, -1, cv2.LINE_AA)
            else:
                corners = cv2.boxPoints((place, (2 * axes[0], 2 * axes[1]), angle))
                cv2.fillConvexPoly(pixels, corners.astype(np.int32), colour, cv2.LINE_AA)
        for _ in range(int(rng.integers(0, 4))):  # hands, handles, cracks
            ends = centre + rng.uniform(-1, 1, (2, 2)) * half * 0.8
            a, b = (tuple(e.astype(int).tolist()) for e in ends)
            width = int(rng.integers(1, 3 + int(size / 20)))
            cv2.line(pixels, a, b, rng.integers(0, 256, 3).tolist(), width, cv2.LINE_AA)


def _cover_some(pixels: Pixels, faces: Faces, chance: float, rng: np.random.Generator) -> None:
    """Cover a part of some faces, at most two fifths, from one side."""
    height, width = pixels.shape[:2]
    for x, y, w, h in faces[:, :4]:
        if rng.random() >= chance or w * h < 256:
            continue
        share, side = rng.uniform(0.1, 0.4), int(rng.integers(4))
        box = [x - 0.1 * w, y - 0.1 * h, x + 1.1 * w, y + 1.1 * h]
        length = h if side % 2 else w
        box[(side + 2) % 4] = box[side] + (0.1 + share) * length * (1 if side < 2 else -1)
        left, right = np.clip([box[0], box[2]], 0, width).astype(int)
        top, bottom = np.clip([box[1], box[3]], 0, height).astype(int)
        if right - left < 2 or bottom - top < 2:
            continue
        if rng.random() < 0.5:
            pixels[top:bottom, left:right] = rng.integers(0, 256, 3)
        else:  # with what is somewhere else in the scene, enlarged beyond recognition
            a, b = int(rng.integers(height - 6)), int(rng.integers(width - 6))
            patch = pixels[a : a + 6, b : b + 6]
            size = right - left, bottom - top
            pixels[top:bottom, left:right] = cv2.resize(patch, size)


def _worn(pixels: Pixels, config: SceneConfig, rng: np.random.Generator) -> Pixels:
    """Blur, lose resolution, add noise, compress: each with its probability."""
    if rng.random() < config.blur:
        pixels = image.blur(pixels, rng.uniform(0.4, 1.5))
    if rng.random() < config.blur:
        length = 2 * int(rng.integers(1, 5)) + 1
        pixels = image.motion_blur(pixels, length, rng.uniform(0, 180))
    if rng.random() < config.blur:
        pixels = image.lose_resolution(pixels, round(config.side * rng.uniform(0.45, 0.9)))
    if rng.random() < config.noise:
        pixels = image.sensor_noise(pixels, rng.uniform(2, 12), rng)
    if rng.random() < config.jpeg:
        pixels = image.jpeg(pixels, int(rng.integers(20, 85)))
    return pixels
