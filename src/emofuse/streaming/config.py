"""What can be set about a live session."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

from ..analyzer import AnalyzerConfig
from ..core.media import AudioInfo, MediaInfo, MediaKind, VideoInfo
from ..face.config import Between


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """How much a session keeps waiting, and for how long it waits.

    Args:
        frames: frames that may wait for the face; more, and the oldest is dropped.
        sound_seconds: sound that may wait for each who listens; more, and the
            oldest is dropped.
        patience_seconds: a track that has brought nothing for so long counts as silent
            (muted, unplugged) up to then; what it still brings from before is
            dropped. None: it is waited for.
        overdue_seconds: a modality whose results are this far behind the clock is
            not waited for in the fused timeline. None: it is.
        face_seconds: how long a face seen last counts in what is said `NOW`.
        voice_seconds: the same of voice and words, from when they were known.
        smoothing_seconds: half-life of the past in what is said `NOW`.
        unread: events kept for who does not fetch them; more, and the oldest go.

    Raises:
        ValueError: if a number is out of range.
    """

    frames: int = 1
    sound_seconds: float = 5.0
    patience_seconds: float | None = 1.0
    overdue_seconds: float | None = 20.0
    face_seconds: float = 0.5
    voice_seconds: float = 3.0
    smoothing_seconds: float = 0.3
    unread: int = 4096

    def __post_init__(self) -> None:
        given = (self.frames, self.sound_seconds, self.unread, self.face_seconds)
        waits = [w for w in (self.patience_seconds, self.overdue_seconds) if w is not None]
        if not all(n > 0 for n in (*given, *waits)):
            raise ValueError(f"room and patience must be > 0, got {self}")
        if not (self.voice_seconds >= 0 and self.smoothing_seconds >= 0):
            raise ValueError(f"memory and smoothing must be >= 0, got {self}")


def live_config(config: AnalyzerConfig | None = None) -> AnalyzerConfig:
    """Return settings that answer at once; whatever `config` sets otherwise than by default stays.

    The quick detector that finds landmarks looks at every third frame, where frames
    are slow at each, and optical flow carries its finds along; a still face keeps its
    number however slowly and unevenly frames come; nothing waits for a batch to fill;
    the voice model hears nothing of the future; speech is recognised in short pieces.

    Settings from a file are put on top of these with `read_config(path, base=live_config())`.

    Example:
        >>> live_config().fps, live_config(AnalyzerConfig(fps=12.0)).fps
        (25.0, 12.0)
    """
    own = AnalyzerConfig()
    face = replace(own.face, detect_every=3, between=Between.FLOW, hold_seconds=2.0)
    live = replace(
        own,
        fps=25.0,
        max_side=640,
        max_wait_seconds=0.0,
        lookahead_seconds=0.0,
        face=face,
        transcribe=replace(own.transcribe, longest_seconds=6.0),
    )
    return _changed(live, own, config or own)


T = TypeVar("T")


def _changed(live: T, plain: T, given: T) -> T:
    """Put on top of `live` whatever is given otherwise than in `plain`, section by section."""
    changes = {}
    for f in fields(plain):  # type: ignore[arg-type]
        now, before, wanted = (getattr(c, f.name) for c in (live, plain, given))
        if wanted == before:
            continue
        both = is_dataclass(wanted) and type(wanted) is type(before)
        changes[f.name] = _changed(now, before, wanted) if both else wanted
    return replace(live, **changes)  # type: ignore[type-var]


def live_info(
    name: str = "live",
    *,
    video: bool = True,
    audio: bool = True,
    size: tuple[int, int] = (640, 480),
    fps: float = 25.0,
    rate: int = 16_000,
) -> MediaInfo:
    """Describe a live medium.

    Args:
        name: what it is called in results.
        video: whether frames will come.
        audio: whether sound will come.
        size: width and height of the frames; they may turn out otherwise.
        fps: frames per second.
        rate: sampling rate of the sound in Hz.
    """
    return MediaInfo(
        name,
        MediaKind.VIDEO if video else MediaKind.AUDIO,
        video=VideoInfo(*size, fps, "raw") if video else None,
        audio=AudioInfo(rate, 1, "pcm") if audio else None,
    )
