"""What YuNet says of every cell of a scene: a denser lesson than a list of faces.

YuNet's grids are the embedded detector's (strides 8, 16 and 32), so that each cell
has a teacher of its own (knowledge distillation: Hinton et al. 2015). It is shown
scenes before light, blur and noise spoil them: the pupil learns to see through these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...models.runtime import Session
from ..nets.detector import STRIDES

ANSWERS = 15
"""A cell's answers: score, left, top, right, bottom, landmarks (10)."""

_CANVAS = 640  # the published graph's input is fixed at 640 × 640


class Teacher:
    """YuNet (2023mar), asked for all cells at once.

    Args:
        path: the published ``face_detection_yunet_2023mar.onnx``.

    Raises:
        ModelError: if the file cannot be loaded or is another model.
    """

    def __init__(self, path: Path) -> None:
        self._session = Session(path, threads=1)
        wanted = {f"{kind}_{s}" for kind in ("cls", "obj", "bbox", "kps") for s in STRIDES}
        if set(self._session.outputs) != wanted:
            raise ModelError(f"{path} is not YuNet: its outputs are {self._session.outputs}")

    def answer(self, scenes: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the answers to square RGB scenes of one size.

        Args:
            scenes: uint8 (side, side, 3); 640 must be a multiple of the side, which
                must be one of 32.

        Returns:
            float32 (scenes, cells, 15), the cells of the finest grid first, row by
            row: the score in [0, 1] and places in pixels.
        """
        side = len(scenes[0])
        per = _CANVAS // side
        if per * side != _CANVAS or side % STRIDES[-1]:
            raise ValueError(f"640 must be a multiple of a scene's side, got {side}")
        answers = []
        for first in range(0, len(scenes), per * per):
            some = scenes[first : first + per * per]
            canvas = np.zeros((1, 3, _CANVAS, _CANVAS), np.float32)
            places = [divmod(i, per) for i in range(len(some))]
            for (row, column), scene in zip(places, some, strict=True):
                rows = slice(row * side, (row + 1) * side)
                columns = slice(column * side, (column + 1) * side)
                canvas[0, :, rows, columns] = scene[..., ::-1].transpose(2, 0, 1)  # it wants BGR
            outputs = self._session.run({self._session.inputs[0]: canvas})
            named = dict(zip(self._session.outputs, outputs, strict=True))
            grids = {s: _grid(named, s) for s in STRIDES}
            answers += [_part(grids, row, column, side) for row, column in places]
        return np.stack(answers)


def _grid(named: dict[str, NDArray[np.float32]], stride: int) -> NDArray[np.float32]:
    """Return one grid's answers, (rows, columns, 15)."""
    score = np.sqrt(
        np.clip(named[f"cls_{stride}"][0], 0, 1) * np.clip(named[f"obj_{stride}"][0], 0, 1)
    )
    count = _CANVAS // stride
    row, column = np.divmod(np.arange(count * count), count)
    origin = np.stack([column, row], axis=1).astype(np.float32)
    offset, log_size = np.split(named[f"bbox_{stride}"][0], 2, axis=1)
    middle, half = (origin + offset) * stride, np.exp(np.clip(log_size, -4, 5)) * stride / 2
    points = (np.tile(origin, 5) + named[f"kps_{stride}"][0]) * stride
    answers = np.concatenate([score, middle - half, middle + half, points], axis=1)
    return answers.reshape(count, count, ANSWERS)


def _part(
    grids: dict[int, NDArray[np.float32]], row: int, column: int, side: int
) -> NDArray[np.float32]:
    """Cut one scene's cells out of a canvas' grids, places from the scene's corner."""
    shift = np.array([0.0, *[column * side, row * side] * 7], np.float32)
    cells = []
    for stride, grid in grids.items():
        n = side // stride
        here = grid[row * n : (row + 1) * n, column * n : (column + 1) * n]
        cells.append(here.reshape(-1, ANSWERS) - shift)
    return np.concatenate(cells)
