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

from ...face.detect import YunetGraph
from .net import STRIDES


class Teacher:
    """YuNet (2023mar), asked for all cells at once.

    Args:
        path: the published ``face_detection_yunet_2023mar.onnx``.

    Raises:
        ModelError: if the file cannot be loaded or is another model.
    """

    def __init__(self, path: Path) -> None:
        self._graph = YunetGraph(path)

    def answer(self, scenes: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the answers to square RGB scenes of one size.

        Args:
            scenes: uint8 (side, side, 3); 640 must be a multiple of the side, which
                must be one of 32. As many as fit are looked at together.

        Returns:
            float32 (scenes, cells, 15), see `YunetGraph.run`: the cells of the finest
            grid first, row by row, places in pixels of the scene.
        """
        side, canvas = len(scenes[0]), YunetGraph.SIDE
        per = canvas // side
        if per * side != canvas or side % STRIDES[-1]:
            raise ValueError(f"{canvas} must be a multiple of a scene's side, got {side}")
        answers = []
        for first in range(0, len(scenes), per * per):
            some = scenes[first : first + per * per]
            picture = np.zeros((canvas, canvas, 3), np.uint8)
            places = [divmod(i, per) for i in range(len(some))]
            for (row, column), scene in zip(places, some, strict=True):
                rows = slice(row * side, (row + 1) * side)
                picture[rows, column * side : (column + 1) * side] = scene
            grids = self._graph.run(picture)
            answers += [_part(grids, row, column, side) for row, column in places]
        return np.stack(answers)


def _part(
    grids: Sequence[NDArray[np.float32]], row: int, column: int, side: int
) -> NDArray[np.float32]:
    """Cut one scene's cells out of a canvas' grids, places from the scene's corner."""
    shift = np.array([0.0, *[column * side, row * side] * 7], np.float32)
    cells = []
    for stride, grid in zip(STRIDES, grids, strict=True):
        n, count = side // stride, YunetGraph.SIDE // stride
        rows, columns = slice(row * n, (row + 1) * n), slice(column * n, (column + 1) * n)
        here = grid.reshape(count, count, -1)[rows, columns]
        cells.append(here.reshape(-1, grid.shape[-1]) - shift)
    return np.concatenate(cells)
