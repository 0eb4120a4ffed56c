"""Keyframes by sentiment: the frames of a clip that show its mood, from all over the clip.

1. A scorer (`scores.make_scorer`) says of each sampled frame how pleasant its mood is; its score
   is the probability of the likeliest mood, 0 if there is nothing to go by.
2. Of each second the frame with the highest score is a candidate.
3. Candidates below a threshold are dropped.
4. The others are ranked by score.
5. The clip is cut into as many time slots as keyframes are wanted; of each slot the candidate
   that differs most from the frame before it is taken.
6. The quota is filled up in order of rank: with the other candidates, then with the other frames
   above the threshold, then with those below it.

To choose from frames that are at hand (this is a `streams.Select`):

    select = select_keyframes(make_scorer())
    indices = select(frames, 16)            # ascending; frames: RGB uint8, FPS a second

To choose while a medium is read, in bounded memory: `Keyframes.add` each frame, then `chosen()`;
`find_keyframes(path)` does that with a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Probabilities
from ..core.media import Frame, Track, Watermark
from ..core.time import NS, Span
from ..errors import InputError
from ..io.media_types import IMAGE_SUFFIXES
from ..sources.file import FileSource
from .scores import Scorer
from .streams import FPS, Select

Image = NDArray[np.uint8]

COUNT = 16
"""Keyframes, as the visual stream wants them."""

THRESHOLD = 0.5
"""Scores below this are dropped: no mood is more probable than the others together."""

_GRID = 64  # side of the gray pictures that are compared


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A frame that may be chosen.

    Args:
        at: when it is shown.
        index: its place among the sampled frames.
        score: probability of its likeliest mood; 0: nothing to go by.
        difference: from the sampled frame before it, mean over gray levels, in [0, 1].
        mood: what the scorer said.
        image: RGB uint8 (H, W, 3).
    """

    at: Span
    index: int
    score: float
    difference: float
    mood: Probabilities | None
    image: Image = field(repr=False)

    @property
    def rank(self) -> tuple[float, int]:
        """Sorts by score, the earlier of equals first."""
        return -self.score, self.index


class Keyframes:
    """Chooses keyframes while frames come, and keeps no more than a few times the quota of them.

    Which frames are chosen depends on the frames alone, not on how they are cut into packets.

    Args:
        scorer: says how pleasant the mood of a frame is.
        count: the quota: at most so many are chosen.
        threshold: a smaller score is dropped, in [0, 1].
        duration_ns: length of the clip, which the slots divide; None or too short: slots are
            a second, and twice as long whenever there are more of them than `count`.

    Raises:
        ValueError: if the count is not positive or the threshold lies outside [0, 1].
    """

    def __init__(
        self,
        scorer: Scorer,
        count: int = COUNT,
        threshold: float = THRESHOLD,
        duration_ns: int | None = None,
    ) -> None:
        if count < 1 or not 0 <= threshold <= 1:
            raise ValueError(
                f"need count >= 1 and threshold in [0, 1], got {count} and {threshold}"
            )
        self._scorer, self._count, self._threshold = scorer, count, threshold
        self._slot_ns = -(-(duration_ns or count * NS) // count)
        self._index = 0
        self._before: NDArray[np.float32] | None = None
        self._second: list[Keyframe] = []  # frames of the second that has not ended
        self._slots: dict[int, Keyframe] = {}  # of each slot the one that differs most
        self._candidates: list[Keyframe] = []  # by rank, and no more than may be needed
        self._others: list[Keyframe] = []
        self._dropped: list[Keyframe] = []

    def add(self, frame: Frame) -> None:
        """Look at the next frame."""
        if self._second and frame.at.start_ns // NS != self._second[0].at.start_ns // NS:
            self._end_second()
        mood = self._scorer(frame.image)
        before, self._before = self._before, shrunk(frame.image)
        self._second.append(
            Keyframe(
                at=frame.at,
                index=self._index,
                score=mood.confidence if mood else 0.0,
                difference=0.0 if before is None else difference(before, self._before),
                mood=mood,
                image=frame.image,
            )
        )
        self._index += 1

    def chosen(self) -> tuple[Keyframe, ...]:
        """End the clip; return its keyframes in order of time."""
        self._end_second()
        taken = dict.fromkeys(sorted(self._slots.values(), key=lambda k: k.rank))
        for more in (self._candidates, self._others, self._dropped):
            taken |= dict.fromkeys(more)
        return tuple(sorted(list(taken)[: self._count], key=lambda k: k.index))

    def _end_second(self) -> None:
        frames, self._second = sorted(self._second, key=lambda k: k.rank), []
        kept = [k for k in frames if k.score >= self._threshold]
        if kept:
            self._candidates = _best([*self._candidates, kept[0]], 2 * self._count)
            self._offer(kept[0])
        if len(self._candidates) >= self._count:  # nothing else is ever needed
            self._others, self._dropped = [], []
            return
        self._others = _best([*self._others, *kept[1:]], self._count)
        self._dropped = _best([*self._dropped, *frames[len(kept) :]], self._count)

    def _offer(self, candidate: Keyframe) -> None:
        """Let a candidate compete in its slot."""
        while candidate.at.start_ns // self._slot_ns >= self._count:
            self._slot_ns *= 2
            halved, self._slots = self._slots, {}
            for kept in halved.values():
                self._compete(kept)
        self._compete(candidate)

    def _compete(self, candidate: Keyframe) -> None:
        slot = candidate.at.start_ns // self._slot_ns
        rival = self._slots.get(slot)
        if rival is None or (-candidate.difference, candidate.rank) < (
            -rival.difference,
            rival.rank,
        ):
            self._slots[slot] = candidate


def shrunk(image: Image) -> NDArray[np.float32]:
    """Return the small gray picture by which frames are compared: it has no noise."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the mean difference of two `shrunk` frames, in [0, 1]."""
    return float(np.abs(one - other).mean()) / 255


def select_keyframes(scorer: Scorer, fps: float = FPS, threshold: float = THRESHOLD) -> Select:
    """Return a function that chooses keyframes of frames at hand: (frames, count) → indices.

    Args:
        scorer: says how pleasant the mood of a frame is.
        fps: frames a second.
        threshold: a smaller score is dropped, in [0, 1].
    """

    def select(frames: Sequence[Image], count: int) -> list[int]:
        times = [round(i * NS / fps) for i in range(len(frames) + 1)]
        spans = [Span(*edges) for edges in pairwise(times)]
        keyframes = Keyframes(scorer, count, threshold, times[-1])
        for image, at in zip(frames, spans, strict=True):
            keyframes.add(Frame(image, at))
        return [k.index for k in keyframes.chosen()]

    return select


def find_keyframes(
    path: str | os.PathLike[str],
    scorer: Scorer,
    count: int = COUNT,
    threshold: float = THRESHOLD,
    fps: float = FPS,
    max_side: int = 1280,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[Keyframe, ...]:
    """Choose the keyframes of a video, reading it once and in bounded memory.

    Args:
        path: the video.
        scorer: says how pleasant the mood of a frame is.
        count: the quota.
        threshold: a smaller score is dropped, in [0, 1].
        fps: frames a second that are looked at.
        max_side: frames with a longer side (pixels) are shrunk to this first.
        progress: is told how much of it was read, and its length if known, in nanoseconds.

    Returns:
        At most `count`, in order of time; fewer if the video has fewer frames.

    Raises:
        InputError: if it cannot be read, or has no pictures.
    """
    path = Path(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{path} is a picture; keyframes are chosen from a video")
    tracks = {Track.VIDEO, Track.AUDIO}  # a file without pictures shall say so itself, below
    with closing(FileSource(path, fps=fps, max_side=max_side, tracks=tracks)) as source:
        if Track.VIDEO not in source.info.tracks:
            raise InputError(f"{path} has no pictures; keyframes are chosen from a video")
        length_ns = source.info.duration_ns
        keyframes = Keyframes(scorer, count, threshold, length_ns)
        for item in source.packets():
            if isinstance(item, Frame):
                keyframes.add(item)
            elif isinstance(item, Watermark) and progress and item.track is Track.VIDEO:
                progress(item.upto_ns, length_ns)
    return keyframes.chosen()


def _best(frames: Iterable[Keyframe], most: int) -> list[Keyframe]:
    return sorted(frames, key=lambda k: k.rank)[:most]
