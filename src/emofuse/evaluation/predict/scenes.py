"""Finding faces first: in videos, and in photos of whole scenes.

Most face corpora are crops. Of videos and of photos of groups a face model gets what it
gets in an analysis: the crops of detector and tracker. The predictions for all of a
sample's faces are averaged, weighted by quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ...core.media import MediaKind, Sample, Track
from ...core.time import Span, to_ns
from ...corpora import tree
from ...corpora.manifest import Entry, Manifest
from ...corpora.recipe import CROP
from ...engine.pipeline import Chain, Select
from ...errors import InputError
from ...face.config import FaceConfig
from ...face.crop import USUAL, CropStyle
from ...face.detectors import make_detector
from ...face.track import FaceTracker
from ...models.store import Store
from ...sources.file import open_source

_SCENES = frozenset({"groupemow", "vgaf", "ckplus", "kdef"})

Crops = tuple[tuple[NDArray[np.uint8], float], ...]
"""Faces of one sample: RGB uint8 crops and their quality in (0, 1]."""


class Faces(str, Enum):
    """Whether images are face crops, or scenes in which faces have to be found."""

    AUTO = "auto"
    CROP = "crop"
    FIND = "find"

    def need_detection(self, manifest: Manifest) -> bool:
        """Return whether the media of a corpus are scenes in which faces have to be found."""
        if self is not Faces.AUTO:
            return self is Faces.FIND
        key = "".join(c for c in manifest.corpus.lower() if c.isalnum())
        if any(e.path is not None and e.path.suffix.lower() in tree.VIDEO for e in manifest):
            return True
        return key in _SCENES and not any(CROP in e.flags for e in manifest)


class FaceFinder:
    """Finds the faces of entries, as an analysis does.

    Args:
        config: detector and tracker.
        store: where the detector's weights are.
        fps: frames per second that are analyzed.
        style: how the model wants its faces cut out.

    Raises:
        ModelError: if the detector's weights cannot be had.
    """

    def __init__(
        self,
        config: FaceConfig | None = None,
        store: Store | None = None,
        fps: float = 8.0,
        style: CropStyle = USUAL,
    ) -> None:
        self._style = style
        self._config = config or FaceConfig()
        self._detector = make_detector(self._config.detector, store or Store())
        self._fps = fps

    def __call__(self, entry: Entry) -> Crops:
        """Return the faces of an entry's video or photo; empty if none is found.

        Raises:
            InputError: if there is no medium, or it cannot be read.
        """
        if entry.path is None:
            raise InputError(f"entry {entry.id!r} has no image, which a face model needs")
        end = None if entry.end is None else to_ns(entry.end)
        first = to_ns(entry.start or 0.0)
        return tuple(
            (sample.data, max(sample.quality, 1e-3))
            for sample in self._samples(entry)
            if _inside(sample.span, first, end)
        )

    def _samples(self, entry: Entry) -> Iterator[Sample]:
        assert entry.path is not None
        with closing(open_source(entry.path, fps=self._fps)) as source:
            config = self._config
            if source.info.video is None:
                raise InputError(f"{entry.path} has no image, which a face model needs")
            if source.info.kind is MediaKind.IMAGE:
                config = replace(config, detect_every=1, confirmations=1)
            chain = Chain(
                Select(Track.VIDEO), FaceTracker(self._detector, config, None, self._style)
            )
            for packet in source.packets():
                yield from (x for x in chain.feed(packet) if isinstance(x, Sample))
            yield from (x for x in chain.flush() if isinstance(x, Sample))


def _inside(span: Span, first: int, end: int | None) -> bool:
    return span.end_ns > first and (end is None or span.start_ns < end)
