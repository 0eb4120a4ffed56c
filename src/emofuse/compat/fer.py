"""FER's ``detect_emotions``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .faces import find_faces


class FER:
    """Stands in for ``from fer import FER``.

    Args:
        ignored: what FER takes (``mtcnn``, ``min_face_size``); nothing depends on it.
    """

    def __init__(self, *args: Any, **ignored: Any) -> None:
        pass

    def detect_emotions(self, img: Any) -> list[dict[str, Any]]:
        """Read the emotions of the faces in an image.

        Args:
            img: a path, or an array in BGR; see `faces.find_faces`.

        Returns:
            For each face ``box`` (left, top, width, height in pixels) and ``emotions``
            (probabilities).

        Raises:
            InputError: if the image cannot be read.
        """
        return [
            {"box": np.array(f.box), "emotions": {k: round(v, 2) for k, v in f.emotions.items()}}
            for f in find_faces(img)
        ]

    def top_emotion(self, img: Any) -> tuple[str | None, float | None]:
        """Return the label of the first face and its probability; None if there is no face."""
        faces = find_faces(img)
        if not faces:
            return None, None
        return faces[0].label, round(faces[0].emotions[faces[0].label], 2)
