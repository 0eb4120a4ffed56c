"""py-feat's table of faces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analyzer import Analyzer, AnalyzerConfig
from ..core.estimates import Modality
from ..errors import MissingExtra
from .faces import find_faces

if TYPE_CHECKING:
    import pandas as pd

_EMOTIONS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "neutral": "neutral",
}
_COLUMNS = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore")


class Detector:
    """Stands in for ``from feat import Detector``. There are no landmarks and no action units.

    Args:
        ignored: what py-feat takes (names of its models); nothing depends on it.
    """

    def __init__(self, **ignored: Any) -> None:
        pass

    def detect(self, inputs: Any, data_type: str = "image", **ignored: Any) -> pd.DataFrame:
        """Read images, or a video.

        Args:
            inputs: an image (see `faces.find_faces`) or a list of images; with
                ``data_type="video"`` the path of a video.
            data_type: ``image`` or ``video``.
            ignored: what else py-feat takes, e.g. ``batch_size``.

        Returns:
            A row a face: its box in pixels, ``FaceScore`` (the quality of the view), the
            emotions by py-feat's names, ``input`` and ``frame``.

        Raises:
            InputError: if something cannot be read.
        """
        if data_type == "video":
            return self.detect_video(inputs)
        return self.detect_image(inputs)

    def detect_image(self, input_file_list: Any, **ignored: Any) -> pd.DataFrame:
        """Read an image or a list of images; see `detect`."""
        one = not isinstance(input_file_list, list)
        images = [input_file_list] if one else input_file_list
        return _table([
            {**dict(zip(_COLUMNS, (*face.box, face.quality), strict=True)),
             **{theirs: face.emotions[ours] for theirs, ours in _EMOTIONS.items()},
             "input": _name(image), "frame": frame}
            for frame, image in enumerate(images)
            for face in find_faces(image)
        ])  # fmt: skip

    def detect_video(self, video_path: str | os.PathLike[str], **ignored: Any) -> pd.DataFrame:
        """Read a video, a row a face and half second; ``frame`` counts at its own rate."""
        config = AnalyzerConfig(modalities=(Modality.FACE,))
        timeline = Analyzer(config).analyze(video_path)
        video = timeline.media.video
        width, height = (video.width, video.height) if video else (1, 1)
        rate = (video.fps if video else None) or config.fps
        rows = []
        for e in timeline.of(Modality.FACE):
            x, y, w, h = e.details_mapping()["box"]
            box = (x * width, y * height, w * width, h * height)
            known = dict(e.probabilities.items())
            rows.append({
                **dict(zip(_COLUMNS, (*box, e.quality), strict=True)),
                **{theirs: known.get(ours, 0.0) for theirs, ours in _EMOTIONS.items()},
                "input": str(video_path), "frame": round(e.span.start * rate),
            })  # fmt: skip
        return _table(rows)


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as e:
        raise MissingExtra("pandas", "a table of py-feat") from e
    table: pd.DataFrame = pd.DataFrame(rows, columns=[*_COLUMNS, *_EMOTIONS, "input", "frame"])
    return table


def _name(image: Any) -> str:
    return str(image) if isinstance(image, (str, Path)) else type(image).__name__
