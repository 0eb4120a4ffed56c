"""Reading what trainers learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def read_grey_images(paths: Iterable[Path | None]) -> NDArray[np.uint8]:
    """Read grey images of one size: uint8, shape (n, height, width).

    Raises:
        InputError: if one is missing or unreadable.
    """
    from PIL import Image, UnidentifiedImageError

    images = []
    for path in paths:
        if path is None:
            raise InputError("an entry of the manifest has no image")
        try:
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("L")))
        except (OSError, UnidentifiedImageError) as e:
            raise InputError(f"cannot read the image {path}: {e}; extract the corpus again") from e
    return np.stack(images)


def shuffled(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices below `n` in random order, in full batches of `size`; the rest waits."""
    order = rng.permutation(n)
    for start in range(0, n - size + 1, size):
        yield order[start : start + size]
