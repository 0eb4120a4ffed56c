"""What a model of four streams looks at and listens to, kept while a medium is read."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.media import AudioChunk, Frame, Packet
from ..core.time import Span, ns_to_samples
from ..face.detectors import make_detector
from ..models.store import Store
from .keyframes import select_keyframes
from .scores import make_scorer
from .streams import READ_SIDE, Clip, StreamPreparation, find_faces, make_clip


class ClipWindow:
    """Keeps frames and sound until a moment is asked for; then they are forgotten.

    Args:
        preparation: how the model's streams are prepared, as in its training.
        store: where detector and scorer come from.
    """

    def __init__(self, preparation: StreamPreparation, store: Store) -> None:
        self._preparation = preparation
        self._detector = make_detector(preparation.detector, store)
        self._select = select_keyframes(make_scorer(None, store))
        self._frames: list[Frame] = []
        self._sound: list[AudioChunk] = []

    def add(self, packet: Packet) -> None:
        """Keep a packet."""
        if isinstance(packet, Frame):
            self._frames.append(Frame(_shrink(packet.image), packet.at))
        elif isinstance(packet, AudioChunk):
            self._sound.append(packet)

    def clip(self, span: Span) -> Clip:
        """Prepare what the streams look at in a moment, which must follow the last one."""
        end_ns = max(span.end_ns, span.start_ns + 1)
        here = [f.image for f in self._frames if span.start_ns <= f.at.start_ns < end_ns]
        sound = self._cut(Span(span.start_ns, end_ns))
        self._frames = [f for f in self._frames if f.at.start_ns >= end_ns]
        self._sound = [c for c in self._sound if c.span.end_ns > end_ns]
        chosen = [here[i] for i in self._select(here, self._preparation.keyframes)]
        faces = find_faces(chosen, self._detector)
        return make_clip(self._preparation, chosen, faces, here, sound)

    def _cut(self, span: Span) -> NDArray[np.float32] | None:
        """Return the sound of a span at the model's rate; None if there is none."""
        import soxr

        parts = []
        for chunk in self._sound:
            first = ns_to_samples(span.start_ns, chunk.rate) - chunk.first
            last = ns_to_samples(span.end_ns, chunk.rate) - chunk.first
            parts.append(chunk.samples[max(first, 0) : max(last, 0)])
        if not any(map(len, parts)):
            return None
        whole, rate = np.concatenate(parts), self._sound[0].rate
        resampled: NDArray[np.float32] = soxr.resample(whole, rate, self._preparation.rate)
        return resampled


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a frame to the size at which training reads frames."""
    scale = READ_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
