"""DeepFace's ``analyze``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .faces import Face, find_faces, whole


class DeepFace:
    """Stands in for ``from deepface import DeepFace``."""

    @staticmethod
    def analyze(
        img_path: Any,
        actions: str | Sequence[str] = ("emotion",),
        enforce_detection: bool = True,
        **ignored: Any,
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """Read the emotions of the faces in an image, or in each of a list of images.

        Args:
            img_path: a path, bytes, a file, a PIL image, an array in BGR, or a list of these.
            actions: ``emotion``; emofuse recognizes nothing else.
            enforce_detection: an image without a face is an error; else the whole image
                counts as one.
            ignored: what else DeepFace takes (``detector_backend``, ``align``, ``silent``);
                nothing depends on it, except that ``anti_spoofing`` is refused.

        Returns:
            For each face ``emotion`` (percentages), ``dominant_emotion``, ``region`` (pixels)
            and ``face_confidence``, which is the quality of the view here.

        Raises:
            ValueError: if there is no face, as DeepFace has it.
            InputError: if the image cannot be read, or other actions are asked for.
        """
        wanted = [actions] if isinstance(actions, str) else list(actions)
        if others := [action for action in wanted if action != "emotion"] or not wanted:
            raise InputError(f"actions: got {others or wanted}, expected emotion and nothing else")
        if ignored.get("anti_spoofing"):
            raise InputError("anti_spoofing: emofuse does not tell photos from people")
        if isinstance(img_path, list):
            return [_results(image, enforce_detection) for image in img_path]
        return _results(img_path, enforce_detection)


def _results(image: Any, enforce_detection: bool) -> list[dict[str, Any]]:
    faces = find_faces(image)
    if not faces and enforce_detection:
        raise ValueError(
            "Face could not be detected; give another image, or set enforce_detection to False"
        )
    return [_result(face) for face in faces or [whole(image)]]


def _result(face: Face) -> dict[str, Any]:
    x, y, w, h = face.box
    return {
        "emotion": {label: 100 * p for label, p in face.emotions.items()},
        "dominant_emotion": face.label,
        "region": {"x": x, "y": y, "w": w, "h": h, "left_eye": None, "right_eye": None},
        "face_confidence": round(face.quality, 4),
    }
