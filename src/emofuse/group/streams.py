"""What the four streams of a group model look at: prepared alike in training and in use.

======  ===========================================================================
visual  keyframes of the clip, whole pictures
audio   the sound as a picture: mel bands in decibels over time
flow    x and y of the optical flow between evenly spaced frames
faces   the surest faces of the keyframes, in the order of time
======  ===========================================================================

A `Clip` holds them as they are kept and varied (a little larger than what a net sees, uint8);
`StreamPreparation.row` cuts that out of it, and `StreamPreparation.collate` makes the nets' inputs
of such rows. A stream can be missing: a silent film has no sound, a photo no motion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.media import Frame, Track
from ..errors import InputError
from ..face.crop import crop_face
from ..face.detect import Detection, Detector
from ..io.images import read_image
from ..io.media_types import IMAGE_SUFFIXES
from ..sources.audio import read_audio
from ..sources.file import FileSource
from ..speech.features import MelConfig, log_mel

Image = NDArray[np.uint8]
Select = Callable[[Sequence[Image], int], Sequence[int]]
"""Chooses keyframes: frames, how many at most → their indices, ascending."""

LONGEST = 120.0
"""Seconds of the longest clip that is read whole."""

FPS = 8.0
"""Frames a second that are looked at."""

READ_SIDE = 960
"""Longest side of the frames that are read: faces stay readable."""

_FLOW_SIDE = 256  # at least, the side at which flow is searched
_FLOW_RANGE = 20.0  # pixels of motion that 0 and 255 stand for, as in Wang et al. 2016
_DECIBELS = 80.0  # range of the spectrogram
_SILENT = 1e-4  # largest sample of what counts as no sound
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, which pretrained nets saw
_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Stream(str, Enum):
    """One of the four nets, by what it looks at."""

    VISUAL = "visual"
    AUDIO = "audio"
    FLOW = "flow"
    FACES = "faces"


@dataclass(frozen=True, slots=True)
class Crop:
    """Which part of the larger pictures a net sees.

    Args:
        top: place of the crop between the upper (0) and the lower edge (1).
        left: place of the crop between the left (0) and the right edge (1).
        mirror: whether left and right are exchanged; sound is never mirrored.
    """

    top: float = 0.5
    left: float = 0.5
    mirror: bool = False


CENTER = Crop()
"""What is seen in use."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """What the streams look at in one clip or photo; None where there is nothing.

    Args:
        visual: keyframes, uint8 (keyframes, resize, resize, 3), RGB.
        audio: mel bands over time, uint8 (resize, resize), low bands first; 255 is the loudest,
            0 what is 80 dB or more below it.
        flow: motion, uint8 (flow_frames - 1, resize, resize, 2), x and y; 128 is none, 0 and 255
            stand for 20 pixels of `resize` to either side.
        faces: faces, uint8 (faces, resize, resize, 3), RGB.
        sound: what `audio` is a picture of, float32 (n,); not kept by `pack`.
    """

    visual: Image | None = None
    audio: Image | None = None
    flow: Image | None = None
    faces: Image | None = None
    sound: NDArray[np.float32] | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What is there."""
        return tuple(s for s in Stream if getattr(self, s.value) is not None)


@dataclass(frozen=True, slots=True)
class StreamPreparation:
    """How a clip becomes the streams' inputs; in a model's card as ``preparation``.

    Args:
        streams: those that the model has.
        keyframes: pictures of the visual stream.
        faces: pictures of the face stream.
        flow_frames: evenly spaced frames; the motion between neighbors is looked at.
        resize: side to which pictures are scaled, in pixels.
        side: side of what a net sees of them.
        rate: sampling rate of the sound, Hz.
        mels: bands of the spectrogram.
        window: samples of its Fourier transform.
        hop: samples from one of its frames to the next.
        detector: name of the face detector.
        min_confidence: faces of a lower score are left out, in [0, 1].
        widths: of a trained model, how many features each of `streams` gives.

    Raises:
        ValueError: if a value makes no sense.
    """

    streams: tuple[Stream, ...] = tuple(Stream)
    keyframes: int = 16
    faces: int = 16
    flow_frames: int = 8
    resize: int = 256
    side: int = 224
    rate: int = 16_000
    mels: int = 128
    window: int = 1024
    hop: int = 512
    detector: str = "compact"
    min_confidence: float = 0.8
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", tuple(Stream(s) for s in self.streams))
        if not self.streams or len(set(self.streams)) != len(self.streams):
            raise ValueError(f"need streams, each once, got {[s.value for s in self.streams]}")
        if min(self.keyframes, self.faces, self.flow_frames - 1) < 1:
            raise ValueError(f"need keyframes, faces >= 1 and flow_frames >= 2, got {self}")
        if not 16 <= self.side <= self.resize:
            raise ValueError(f"need 16 <= side <= resize, got {self.side} and {self.resize}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must lie in [0, 1], got {self.min_confidence}")
        if self.widths and len(self.widths) != len(self.streams):
            raise ValueError(f"need a width for each of {len(self.streams)} streams, got {self}")
        self.mel  # noqa: B018 - its own checks

    @property
    def mel(self) -> MelConfig:
        """The spectrogram."""
        return MelConfig(self.window, self.hop, self.mels, 20.0, min(8000.0, self.rate / 2))

    def shape(self, stream: Stream, side: int) -> tuple[int, ...]:
        """Return the shape of a stream's pictures at a side."""
        return {
            Stream.VISUAL: (self.keyframes, side, side, 3),
            Stream.AUDIO: (side, side),
            Stream.FLOW: (self.flow_frames - 1, side, side, 2),
            Stream.FACES: (self.faces, side, side, 3),
        }[stream]

    def input_shape(self, stream: Stream) -> tuple[int, ...]:
        """Return the shape of what a net takes of one clip: (channels, [time,] side, side)."""
        if stream is Stream.AUDIO:
            return 3, self.side, self.side
        time, _, _, channels = self.shape(stream, self.side)
        return channels, time, self.side, self.side

    def pack(self, clip: Clip) -> NDArray[np.uint8]:
        """Write a clip as one vector, uint8 (n,): which streams are there, then all of them."""
        return self._packed({s: getattr(clip, s.value) for s in Stream}, self.resize)

    def unpack(self, vector: NDArray[np.uint8]) -> Clip:
        """Read what `pack` wrote.

        Raises:
            InputError: if it was written with other sizes.
        """
        visual, audio, flow, faces = self._unpacked(vector, self.resize).values()
        return Clip(visual, audio, flow, faces)

    def see(self, clip: Clip | NDArray[np.uint8], stream: Stream, crop: Crop) -> Image | None:
        """Cut what a net sees out of a clip, or of what `pack` made of it; None: it is missing."""
        if isinstance(clip, Clip):
            pictures = getattr(clip, stream.value)
        else:
            pictures = self._unpacked(clip, self.resize)[stream]
        return None if pictures is None else _cut(pictures, stream, crop, self.side)

    def row(self, clip: Clip | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut out what all nets see in use, uint8 (n,): which streams are there, then all."""
        return self._packed({s: self.see(clip, s, CENTER) for s in Stream}, self.side)

    def here(self, rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.bool_]:
        """Return which of the model's streams rows have: bool (rows, streams)."""
        order = [list(Stream).index(s) for s in self.streams]
        return np.stack([row[: len(Stream)] for row in rows])[:, order] > 0

    def collate(self, stream: Stream, rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Make a net's input of rows; see `batch`."""
        return self.batch(stream, [self._unpacked(row, self.side)[stream] for row in rows])

    def batch(self, stream: Stream, seen: Sequence[Image | None]) -> NDArray[np.float32]:
        """Make a net's input of what `see` cut out; what is missing becomes 0.

        Returns:
            float32 (clips, channels, [time,] side, side), of about mean 0 and deviation 1.
        """
        nothing = np.zeros(self.shape(stream, self.side), np.uint8)
        pictures = np.stack([nothing if x is None else x for x in seen])
        values: NDArray[Any] = pictures.astype(np.float32)
        if stream is Stream.AUDIO:
            values = np.repeat((values[:, None] / 255 - 0.5) / 0.25, 3, axis=1)
        elif stream is Stream.FLOW:
            values = np.moveaxis((values - 128) / 32, -1, 1)
        else:
            values = np.moveaxis((values / 255 - _MEAN) / _STD, -1, 1)
        values[[i for i, x in enumerate(seen) if x is None]] = 0
        return np.ascontiguousarray(values, np.float32)

    def _sizes(self, side: int) -> list[int]:
        return [int(np.prod(self.shape(s, side))) for s in Stream]

    def _packed(self, parts: Mapping[Stream, Image | None], side: int) -> NDArray[np.uint8]:
        out = np.zeros(len(Stream) + sum(self._sizes(side)), np.uint8)
        start = len(Stream)
        for i, (stream, size) in enumerate(zip(Stream, self._sizes(side), strict=True)):
            pictures = parts[stream]
            if pictures is not None:
                if pictures.shape != self.shape(stream, side):
                    raise InputError(
                        f"{stream.value}: got {pictures.shape}, expected {self.shape(stream, side)}"
                    )
                out[i], out[start : start + size] = 1, pictures.reshape(-1)
            start += size
        return out

    def _unpacked(self, vector: NDArray[np.uint8], side: int) -> dict[Stream, Image | None]:
        sizes = self._sizes(side)
        if vector.ndim != 1 or len(vector) != len(Stream) + sum(sizes):
            raise InputError(
                f"got a clip of {vector.size} bytes, expected {len(Stream) + sum(sizes)}: it was "
                "prepared with other sizes"
            )
        parts = np.split(vector[len(Stream) :], np.cumsum(sizes)[:-1])
        return {
            stream: part.reshape(self.shape(stream, side)) if vector[i] else None
            for i, (stream, part) in enumerate(zip(Stream, parts, strict=True))
        }


def make_clip(
    config: StreamPreparation,
    keyframes: Sequence[Image],
    faces: Sequence[tuple[Image, Detection]],
    frames: Sequence[Image] = (),
    sound: NDArray[np.float32] | None = None,
) -> Clip:
    """Prepare what the streams look at.

    Args:
        config: how.
        keyframes: pictures, RGB uint8, in the order of time; more than `config.keyframes` are
            thinned out evenly, fewer are repeated.
        faces: faces found in the keyframes, each with its picture, in the order of time.
        frames: frames of the stretch in the order of time, for the motion; one is no motion.
        sound: mono float32 at `config.rate`; None: there is none.
    """
    audio = None if sound is None else _audio(sound, config)
    return Clip(
        visual=_visual(keyframes, config),
        audio=audio,
        flow=_flow(frames, config),
        faces=_faces(faces, config),
        sound=None if audio is None else sound,
    )


def find_faces(pictures: Sequence[Image], detector: Detector) -> list[tuple[Image, Detection]]:
    """Find the faces of pictures, each with its picture, in the order of the pictures."""
    return [(picture, found) for picture in pictures for found in detector.detect(picture)]


def even(frames: Sequence[Image], count: int) -> list[int]:
    """Choose `count` frames, evenly spaced; all of them, if they are not more."""
    if len(frames) <= count:
        return list(range(len(frames)))
    return [int((k + 0.5) * len(frames) / count) for k in range(count)]


def read_clip(
    path: Path,
    config: StreamPreparation,
    detector: Detector,
    select: Select = even,
    boxes: Sequence[Detection] | None = None,
    span: tuple[float | None, float | None] = (None, None),
) -> Clip:
    """Read a photo, a film or a sound and prepare what the streams look at.

    Args:
        path: the medium.
        config: how it is prepared.
        detector: finds the faces, unless `boxes` says where they are.
        select: chooses the keyframes of a film.
        boxes: the faces of a photo, if they are known.
        span: from and to which second; None: from the start, to the end.

    Raises:
        InputError: if it cannot be read, is too long, or there is nothing to see or hear in it.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        picture = read_image(path, max_side=None if boxes else 2 * READ_SIDE).pixels
        found = find_faces([picture], detector) if boxes is None else [(picture, b) for b in boxes]
        return make_clip(config, [picture], found)
    frames = read_frames(path, span)
    chosen = [frames[i] for i in select(frames, config.keyframes)] if frames else []
    sound = _read_sound(path, config.rate, span)
    clip = make_clip(config, chosen, find_faces(chosen, detector), frames, sound)
    if not clip.streams:
        raise InputError(f"{path} holds nothing to see or hear; give a photo or a film")
    return clip


def read_frames(path: Path, span: tuple[float | None, float | None] = (None, None)) -> list[Image]:
    """Read the frames of a clip, `FPS` a second; none if it has no pictures.

    Raises:
        InputError: if it cannot be read, or is longer than `LONGEST`.
    """
    start, end = span[0] or 0.0, np.inf if span[1] is None else span[1]
    source = FileSource(path, fps=FPS, max_side=READ_SIDE, tracks={Track.VIDEO, Track.AUDIO})
    try:
        if Track.VIDEO not in source.info.tracks:
            return []
        length = min(end, (source.info.duration_ns or 0) / 1e9) - start
        if length > LONGEST:
            raise InputError(
                f"{path} lasts {length:.0f} s; clips of at most {LONGEST:.0f} s are learned from: "
                "cut it into scenes"
            )
        out = []
        for item in source.packets():
            if isinstance(item, Frame) and start <= item.at.start < end:
                out.append(item.image)
        return out
    finally:
        source.close()


def _read_sound(
    path: Path, rate: int, span: tuple[float | None, float | None]
) -> NDArray[np.float32] | None:
    """Read the sound; None if there is none."""
    source = FileSource(path, fps=FPS)
    audible = Track.AUDIO in source.info.tracks
    source.close()
    if not audible:
        return None
    sound = read_audio(path, rate)
    end = len(sound) if span[1] is None else round(span[1] * rate)
    return sound[round((span[0] or 0.0) * rate) : end]


def _visual(keyframes: Sequence[Image], config: StreamPreparation) -> Image | None:
    if not keyframes:
        return None
    chosen = [keyframes[i] for i in _filled(len(keyframes), config.keyframes)]
    return np.stack([_scaled(picture, config.resize) for picture in chosen])


def _audio(sound: NDArray[np.float32], config: StreamPreparation) -> Image | None:
    if len(sound) < config.window or np.abs(sound).max(initial=0) < _SILENT:
        return None
    decibels = log_mel(sound, config.rate, config.mel) * (10 / np.log(10))
    level = np.clip((decibels - decibels.max()) / _DECIBELS + 1, 0, 1) * 255
    size = (config.resize, config.resize)
    return np.asarray(np.rint(cv2.resize(level.astype(np.float32), size)), np.uint8)


def _flow(frames: Sequence[Image], config: StreamPreparation) -> Image | None:
    if len(frames) < 2:
        return None
    side = max(config.resize, _FLOW_SIDE)
    chosen = [frames[i] for i in _filled(len(frames), config.flow_frames)]
    gray = [cv2.cvtColor(_scaled(frame, side), cv2.COLOR_RGB2GRAY) for frame in chosen]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    out = []
    for before, after in zip(gray, gray[1:]):  # noqa: B905, RUF007 - the second is shorter
        motion: Any = search.calc(before, after, None)  # type: ignore[call-overload]
        motion = cv2.resize(motion, (config.resize,) * 2)
        levels = 128 + motion * (config.resize / side) * (127 / _FLOW_RANGE)
        out.append(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    return np.stack(out)


def _faces(faces: Sequence[tuple[Image, Detection]], config: StreamPreparation) -> Image | None:
    sure = [i for i, (_, found) in enumerate(faces) if found.score >= config.min_confidence]
    best = sorted(sure, key=lambda i: -faces[i][1].score)[: config.faces]
    if not best:
        return None
    order = [sorted(best)[i] for i in _filled(len(best), config.faces)]
    cut = {i: crop_face(*faces[i], side=config.resize, finest=2) for i in best}
    return np.stack([cut[i] for i in order])


def _filled(n: int, count: int) -> list[int]:
    """Return `count` evenly spaced indices below `n`, ascending; some repeat if n is smaller."""
    return [int((k + 0.5) * n / count) for k in range(count)]


def _scaled(picture: Image, side: int) -> Image:
    """Scale a picture to a square; like the nets' published preparation it may be stretched."""
    shrink = min(picture.shape[:2]) > side
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)


def _cut(pictures: Image, stream: Stream, crop: Crop, side: int) -> Image:
    """Cut the same part out of all pictures of a stream."""
    first = 0 if stream is Stream.AUDIO else 1
    room = pictures.shape[first] - side
    top, left = round(crop.top * room), round(crop.left * room)
    if stream is Stream.AUDIO:
        return pictures[top : top + side, left : left + side]
    seen = pictures[:, top : top + side, left : left + side]
    if not crop.mirror:
        return seen
    seen = seen[:, :, ::-1]
    if stream is Stream.FLOW:  # what went to the left goes to the right
        seen = np.stack([np.minimum(256 - seen[..., 0].astype(int), 255), seen[..., 1]], axis=-1)
    return seen.astype(np.uint8)
