"""Clips and photos of groups, as a group model is asked about them in an analysis."""

from __future__ import annotations

from ...corpora.manifest import Entry
from ...errors import InputError
from ...face.detect import Detection
from ...face.detectors import make_detector
from ...group.keyframes import select_keyframes
from ...group.recogniser import GroupRecogniser
from ...group.scores import make_scorer
from ...group.streams import Clip, read_clip
from ...models.store import Store


class ClipReader:
    """Reads what a group model looks at.

    Args:
        recogniser: the model.
        store: where the face detector and what chooses keyframes come from.
    """

    def __init__(self, recogniser: GroupRecogniser, store: Store | None = None) -> None:
        store = store or Store()
        self._preparation = recogniser.preparation
        self._detector = make_detector(self._preparation.detector, store)
        self._select = select_keyframes(make_scorer(None, store))

    def __call__(self, entry: Entry) -> Clip:
        """Return the clip of an entry.

        Raises:
            InputError: if there is no medium, it cannot be read, or the model finds nothing in it.
        """
        if entry.path is None:
            raise InputError(f"entry {entry.id!r} has no medium")
        clip = read_clip(
            entry.path,
            self._preparation,
            self._detector,
            self._select,
            boxes=[Detection(box, 1.0) for box in entry.boxes] or None,
            span=(entry.start, entry.end),
        )
        if not set(clip.streams) & set(self._preparation.streams):
            raise InputError(f"there is nothing in {entry.path} that the model looks at")
        return clip
