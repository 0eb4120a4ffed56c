"""What of a clip a speech model hears, cut with the very stages of an analysis."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import SPEAKER
from ...core.media import AudioChunk, Grade, Sample, WindowSpec
from ...engine.windows import Quality, Windower
from ...errors import InputError
from ...speech.vad import RATE, VoiceActivityDetector

Waveform = NDArray[np.float32]


class Segmentation(str, Enum):
    """What of a clip the model hears; all of a clip's answers are averaged."""

    CLIP = "clip"
    USE = "in use"
    SHORT = "1 s"

    @property
    def protocol(self) -> str:
        """The cut in words."""
        return {
            Segmentation.CLIP: "whole clips, cut into the card's windows",
            Segmentation.USE: "as an analysis does it: the card's windows inside the regions that voice "
            "activity detection finds; a clip without any counts as neutral",
            Segmentation.SHORT: "one second from the middle of the voiced part of each clip",
        }[self]


class Cutter:
    """Cuts clips at `RATE` Hz into windows.

    Args:
        cut: what of each clip is heard.
        window: of the model's card.
        quality: grades each window as evidence; by default all are of 1.

    Raises:
        InputError: if the card has no window.
    """

    def __init__(
        self,
        cut: Segmentation,
        window: WindowSpec | None,
        quality: Quality = lambda samples, rate: Grade(1.0),
    ) -> None:
        if window is None:
            raise InputError("this protocol needs a model of windows; its card has no `window`")
        self._cut = cut
        self._windower = Windower(window, SPEAKER, quality)
        self._voice = VoiceActivityDetector() if cut is Segmentation.USE else None

    def __call__(self, sound: Waveform) -> Iterator[Sample]:
        """Yield the windows of a clip, float32 (n,); none where no voice is found."""
        self._windower.reset()
        for chunk in self._regions(sound):
            yield from (s for s in self._windower.feed(chunk) if isinstance(s, Sample))
        yield from self._windower.flush()

    def _regions(self, sound: Waveform) -> Iterator[AudioChunk]:
        if self._voice is not None:
            self._voice.reset()
            found = [*self._voice.feed(AudioChunk(sound, RATE, 0)), *self._voice.flush()]
            yield from (x for x in found if isinstance(x, AudioChunk))
            return
        first, last = 0, len(sound)
        if self._cut is Segmentation.SHORT:
            start, end = voiced_range(sound, RATE)
            first = start + max(0, end - start - RATE) // 2
            last = min(end, first + RATE)
        yield AudioChunk(np.ascontiguousarray(sound[first:last]), RATE, first)


def voiced_range(
    sound: NDArray[np.floating[Any]], rate: int, below_db: float = 30.0
) -> tuple[int, int]:
    """Find where a recording of one voice starts and ends, by energy.

    100 ms are added on both sides. It finds much the same as voice activity
    detection proper in studio recordings, a hundred times faster.

    Args:
        sound: shape (n,).
        rate: sampling rate in Hz.
        below_db: how far the level of a 20 ms frame of voice may be below that of
            the loud ones (95th percentile).

    Returns:
        First sample, and the one after the last.
    """
    size = rate // 50
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    if not len(frames):
        return 0, len(sound)
    power = (frames.astype(np.float32) ** 2).mean(axis=1)
    loud = np.flatnonzero(power >= 10 ** (-below_db / 10) * np.percentile(power, 95))
    pad = rate // 10
    return max(0, int(loud[0]) * size - pad), min(len(sound), (int(loud[-1]) + 1) * size + pad)
