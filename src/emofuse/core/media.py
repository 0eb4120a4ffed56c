"""What a source delivers and what a recogniser looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .details import Details
from .estimates import Modality, Subject
from .modality import Track as Track
from .time import NS, Span, samples_to_ns


class MediaKind(str, Enum):
    """What a medium is, as a whole."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    TEXT = "text"


class Channels(str, Enum):
    """What becomes of the channels of a sound."""

    MIX = "mix"
    """They are mixed to one: whoever speaks is one voice."""
    SPEAKERS = "speakers"
    """Each is a speaker of its own, as in recorded calls."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture: RGB uint8, height × width × 3, shown for the time `at`.

    `at` starts at the presentation time; its end is when the next sampled frame
    is due (one sampling period later), so that consecutive frames tile time.

    Raises:
        ValueError: if the image has another shape or type.
    """

    image: NDArray[np.uint8]
    at: Span

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                "a frame needs an RGB uint8 image of shape (H, W, 3), got "
                f"{self.image.dtype} {self.image.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive mono samples: float32 in about [-1, 1], shape (n,), at `rate` Hz.

    `first` is the index of the first sample counted from the start of the
    stream, so the time of every sample is exact however the audio was cut. `channel`
    counts from 0; it differs only where channels are not mixed (`Channels.SPEAKERS`).

    Raises:
        ValueError: if the samples have another shape or type, or `first` < 0.

    Example:
        >>> chunk = AudioChunk(np.zeros(8_000, np.float32), 16_000, first=16_000)
        >>> chunk.span.start, chunk.span.end
        (1.0, 1.5)
    """

    samples: NDArray[np.float32]
    rate: int
    first: int
    channel: int = 0

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            raise ValueError(
                "an audio chunk needs float32 samples of shape (n,), got "
                f"{self.samples.dtype} {self.samples.shape}"
            )
        if self.rate <= 0 or self.first < 0:
            raise ValueError(f"need rate > 0 and first >= 0, got {self.rate} and {self.first}")

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.first + len(self.samples)

    @property
    def span(self) -> Span:
        """The time covered."""
        return Span(samples_to_ns(self.first, self.rate), samples_to_ns(self.end, self.rate))


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word with its time and, if known, the recogniser's confidence in [0, 1]."""

    text: str
    span: Span
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody said, about a sentence long.

    `confidence` in [0, 1] says how sure its text is: 1 for a given transcript,
    the speech recogniser's own figure otherwise. `speaker` is the name that a
    transcript gives, if any. `language` is the ISO 639-1 code of a language that the
    text model does not read; None if it reads it or nobody told.

    Example:
        >>> Utterance("Well.", Span(0, NS)).confidence
        1.0
    """

    text: str
    span: Span
    words: tuple[Word, ...] = ()
    confidence: float = 1.0
    speaker: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("an utterance needs text, got an empty one")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must lie in [0, 1], got {self.confidence}")


@dataclass(frozen=True, slots=True)
class Watermark:
    """A promise: nothing more will come from `track` that starts before `upto_ns`.

    Every source and stage emits it even when it finds nothing: without it an
    empty stretch (no face for 3 s) would hold everybody else up.

    Example:
        >>> Watermark(Track.VIDEO, 500_000_000).track.value
        'video'
    """

    track: Track | Modality
    upto_ns: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something the user should know about a result, e.g. that a file broke off.

    Args:
        code: a stable machine-readable word, e.g. ``"truncated"``.
        message: one sentence for people.
        at_ns: where in the medium, if it has a place.
    """

    code: str
    message: str
    at_ns: int | None = None


Packet = Frame | AudioChunk | Utterance | Watermark | Diagnostic
"""What a source yields."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Size in pixels as shown (after rotation), nominal frames per second, and codec."""

    width: int
    height: int
    fps: float | None
    codec: str
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Sampling rate in Hz, number of channels, codec, and when the sound starts."""

    rate: int
    channels: int
    codec: str
    start_ns: int = 0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What is known about a medium before it is read.

    `duration_ns` is what the container declares, and None if it declares nothing
    (a live stream); the timeline knows how long it really was.
    """

    name: str
    kind: MediaKind
    duration_ns: int | None = None
    video: VideoInfo | None = None
    audio: AudioInfo | None = None
    text: str | None = None
    """Where words come from: a transcript's file name or ``"subtitles"``; None if from nowhere."""
    path: str | None = None

    @property
    def tracks(self) -> frozenset[Track]:
        """The tracks that will deliver packets."""
        present = {Track.VIDEO: self.video, Track.AUDIO: self.audio, Track.TEXT: self.text}
        return frozenset(track for track, info in present.items() if info is not None)

    @property
    def duration(self) -> float | None:
        """Declared length in seconds."""
        return None if self.duration_ns is None else self.duration_ns / NS


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a stream is cut for a model.

    Every `hop_ns` of a voiced region gets one estimate. Its evidence is the
    `window_ns` around it that reach `lookahead_ns` past the hop's end, clipped to
    the region. The lookahead is the latency that the model declares.
    """

    window_ns: int
    hop_ns: int
    lookahead_ns: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.hop_ns <= self.window_ns or self.lookahead_ns < 0:
            raise ValueError(f"need 0 < hop <= window and lookahead >= 0, got {self}")
        if self.hop_ns + self.lookahead_ns > self.window_ns:
            raise ValueError(f"hop and lookahead must fit into the window, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A piece of evidence about one subject, ready for a recogniser's `prepare`.

    Args:
        subject: whom it shows.
        span: the time that the estimate made from it describes. The evidence in
            `data` may reach further (a speech window is longer than its hop).
        data: what `prepare` takes: an aligned face crop (uint8, side × side × 3),
            a waveform (float32, (n,), at the rate in the model's card), or a text.
        quality: how good the evidence is, in [0, 1].
        details: what an estimate made from it keeps of it.
    """

    subject: Subject
    span: Span
    data: Any
    quality: float
    details: Details | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Grade:
    """How good a piece of evidence is.

    Args:
        quality: in [0, 1].
        details: what tells why.
    """

    quality: float
    details: Details | None = None
