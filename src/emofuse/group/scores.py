"""How clearly a picture shows a mood: what keyframes are ranked by."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Probabilities
from ..core.labels import Taxonomy
from ..corpora.labels import map_of, taxonomy, to_valence
from ..errors import InputError, ModelError
from ..face.crop import crop_face
from ..face.detect import Detection
from ..face.detectors import make_detector
from ..face.quality import look
from ..models.registry import load
from ..models.store import Store
from .recogniser import GroupRecogniser
from .streams import find_faces, make_clip

Image = NDArray[np.uint8]

FACE_MODEL = "face-v4"
"""The model behind the small scorer."""


class Scorer(Protocol):
    """Says of a picture how pleasant the mood in it is."""

    def __call__(self, image: Image) -> Probabilities | None:
        """Return the probabilities of positive, neutral and negative; None: nothing to go by."""
        ...


def make_scorer(model: str | None = None, store: Store | None = None) -> Scorer:
    """Make a scorer.

    Args:
        model: id of a model that looks at whole pictures (a ResNet-50 that was taught photos of
            groups, or a group model of four streams); None: the embedded face model.
        store: where models come from.

    Raises:
        ModelError: if the model is missing or damaged, or answers something else than a mood.
    """
    store = store or Store()
    return FaceScorer(store) if model is None else PictureScorer(model, store)


class FaceScorer:
    """The small scorer: the expressions of all faces, folded to valence.

    Faces count by their quality as evidence (`face.quality.look`), so that a sharp face in front
    counts more than a small one behind.

    Args:
        store: where models come from.
        detector: name of the face detector.
        faces: at most so many faces of a picture are read, the largest.
    """

    def __init__(self, store: Store, detector: str = "compact", faces: int = 32) -> None:
        self._detector = make_detector(detector, store)
        self._recogniser: Any = load(FACE_MODEL, store)
        self._most = faces

    def __call__(self, image: Image) -> Probabilities | None:
        """Score a picture, RGB uint8 (H, W, 3)."""
        found = sorted(self._detector.detect(image), key=_area, reverse=True)[: self._most]
        if not found:
            return None
        crops = [crop_face(image, face) for face in found]
        weights = np.array(
            [look(crop, face).quality for crop, face in zip(crops, found, strict=True)]
        )
        if not weights.any():
            return None
        said = self._recogniser.infer([self._recogniser.prepare(crop) for crop in crops])
        p = np.stack([fold(answer.probabilities).values for answer in said])
        return Probabilities(taxonomy("valence"), weights @ p / weights.sum())


class PictureScorer:
    """The full scorer: a model that looks at the whole picture.

    Args:
        model: its id.
        store: where models come from.

    Raises:
        ModelError: if it is missing or damaged, or answers something else than a mood.
    """

    def __init__(self, model: str, store: Store) -> None:
        self._recogniser: Any = load(model, store)
        try:
            _folding(self._recogniser.taxonomy)
        except InputError as e:
            raise ModelError(f"the model {model!r} does not answer a mood: {e}") from e
        self._detector = None
        if isinstance(self._recogniser, GroupRecogniser):
            self._detector = make_detector(self._recogniser.preparation.detector, store)

    def __call__(self, image: Image) -> Probabilities | None:
        """Score a picture, RGB uint8 (H, W, 3).

        Raises:
            ModelError: if the model does not look at pictures.
        """
        sample: Any = image
        if self._detector is not None:
            faces = find_faces([image], self._detector)
            sample = make_clip(self._recogniser.preparation, [image], faces)
        try:
            row = self._recogniser.prepare(sample)
        except (InputError, TypeError, ValueError, AttributeError) as e:
            raise ModelError(
                f"the model {self._recogniser.model_id!r} does not look at pictures ({e}); "
                "name one that was taught photos"
            ) from e
        return fold(self._recogniser.infer([row])[0].probabilities)


def fold(p: Probabilities) -> Probabilities:
    """Fold emotions to positive, neutral and negative; surprise, which may be either, is left out.

    Raises:
        InputError: if a label is none of the canonical ones and has no known place among them.

    Example:
        >>> from emofuse.core.labels import CANONICAL
        >>> fold(Probabilities(CANONICAL, np.array([0.2, 0.5, 0.1, 0, 0, 0, 0.2, 0]))).label
        'positive'
    """
    valence = taxonomy("valence")
    folded = p.values.astype(np.float64) @ _folding(p.taxonomy)
    total = float(folded.sum())
    # Who is surely surprised tells nothing: then all three are equally probable.
    return Probabilities(valence, folded / total if total > 0 else np.full(3, 1 / 3))


@cache
def _folding(native: Taxonomy) -> NDArray[np.float64]:
    """Return the matrix that folds a taxonomy, native labels × valence."""
    if native.labels == taxonomy("valence").labels:
        return np.eye(3)
    return map_of(native).matrix @ to_valence().matrix


def _area(face: Detection) -> float:
    return face.box[2] * face.box[3]
