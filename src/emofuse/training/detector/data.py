"""Batches of made scenes, the faces in them and what the teacher says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ...corpora.manifest import Split
from ...errors import InputError
from .config import DetectorTraining, Faces
from .photos import Photo, near_duplicates, read_photos, split_of
from .scenes import make_scene
from .teacher import Teacher


@dataclass(frozen=True, slots=True, eq=False)
class SceneBatch:
    """Scenes and their faces, padded to the same number of faces.

    Args:
        pixels: uint8 (batch, side, side, 3).
        faces: float32 (batch, faces, 14): left, top, width, height, landmarks.
        there: bool (batch, faces), False for padding.
        taught: bool (batch, faces), False for faces that neither are taught nor
            count as background.
        word: what the teacher says of every cell, see `Teacher.answer`; None without.
    """

    pixels: Tensor
    faces: Tensor
    there: Tensor
    taught: Tensor
    word: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor]:
        """The net's input."""
        return (self.pixels,)

    def to(self, device: str) -> SceneBatch:
        """Return the batch on a device."""
        parts = (self.pixels, self.faces, self.there, self.taught)
        word = None if self.word is None else self.word.to(device)
        return SceneBatch(*(part.to(device) for part in parts), word)  # type: ignore[call-arg]


class Scenes(Dataset[SceneBatch]):
    """Batches of scenes by number; a number and the seed decide everything in it."""

    def __init__(self, photos: Sequence[Photo], config: DetectorTraining) -> None:
        self.photos, self.config = photos, config
        self._teacher: Teacher | None = None

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> SceneBatch:
        """Make the batch of a step."""
        rng = np.random.default_rng((self.config.loop.seed, step))
        scenes = [
            make_scene(self.photos, self.config.scenes, rng) for _ in range(self.config.batch)
        ]
        most = max(1, *(len(s.faces) for s in scenes))
        faces = np.zeros((len(scenes), most, 14), np.float32)
        there = np.zeros((len(scenes), most), bool)
        taught = np.zeros_like(there)
        for i, scene in enumerate(scenes):
            n = len(scene.faces)
            faces[i, :n], there[i, :n], taught[i, :n] = scene.faces, True, scene.taught
        pixels = torch.from_numpy(np.stack([s.pixels for s in scenes]))
        word = self._ask([s.plain for s in scenes])
        return SceneBatch(pixels, *map(torch.from_numpy, (faces, there, taught)), word)  # type: ignore[call-arg]

    def _ask(self, scenes: list[NDArray[np.uint8]]) -> Tensor | None:
        if self.config.teacher is None:
            return None
        if self._teacher is None:  # in the process that makes scenes, not in the one that forked
            self._teacher = Teacher(self.config.teacher)
        return torch.from_numpy(self._teacher.answer(scenes))


def training_photos(sources: Sequence[Faces]) -> list[Photo]:
    """Read the photos to learn from: no near-duplicate of a held-out one, none without a face.

    A photo in which the teacher found no face may show one that it missed.

    Raises:
        InputError: if there are none.
    """
    found: list[Photo] = []
    for source in sources:
        photos = read_photos(source.table, source.folder)
        train = [p for p in photos if split_of(p.name) is Split.TRAIN and len(p.faces)]
        alike = near_duplicates(train, [p for p in photos if split_of(p.name) is not Split.TRAIN])
        found += [p for p in train if p.name not in alike] * source.times
    if not found:
        raise InputError("there are no photos with faces to learn from; name some under 'faces'")
    return found
