"""What a live session says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..core.estimates import Estimate
from ..core.identity import Heard, Identified
from ..core.media import Diagnostic, Watermark


class MeasurementKind(str, Enum):
    """What a measurement is good for."""

    FRAME = "frame"
    """A face in one frame, raw, as soon as the model has answered."""
    NOW = "now"
    """What face, voice and words say together at this moment, for a display: the latest
    evidence of each, fused and smoothed. It may be revised."""
    TIMELINE = "timeline"
    """An estimate that stays: what the same media as a file would give too."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """An estimate that came live.

    Args:
        kind: what it is good for.
        estimate: the estimate; its span counts from the session's start.
        latency_ns: from the push of the last packet that it tells about until now.
    """

    kind: MeasurementKind
    estimate: Estimate
    latency_ns: int


Event = Measurement | Watermark | Diagnostic | Identified | Heard
"""What a session says.

`Watermark(Modality.FACE, …)` follows the `FRAME` measurements of every frame, also of
one without a face or one that came too late; voice and words likewise.
`Watermark(Modality.FUSED, …)`: the timeline is complete so far. `Identified` says whose
face a track or whose a voice is, as soon as that can be told, and again if it turns out otherwise;
`Heard` which voice was heard when.
"""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something took lately: median and 95th percentile in ms, and how often it was."""

    p50: float
    p95: float
    count: int


@dataclass(frozen=True, slots=True)
class Counters:
    """How a session is doing.

    Args:
        latency: modality → from the push of the last packet that a result tells
            about to the result. Face: frames; speech and words: from the end of
            the stretch that they tell about; fused: from the slot's end.
        work: branch → one step of its stages.
        waiting: branch → packets in front of it.
        dropped_frames: frames that a newer one replaced.
        dropped_sound_seconds: sound that was too much.
        late: packets that came after their track had counted as silent.
        unread: events that nobody fetched in time.
    """

    latency: Mapping[str, Delay]
    work: Mapping[str, Delay]
    waiting: Mapping[str, int]
    dropped_frames: int
    dropped_sound_seconds: float
    late: int
    unread: int


def delay(times_ns: Iterable[int]) -> Delay:
    """Summarise durations in nanoseconds, at least one."""
    ms = np.array(list(times_ns)) / 1e6
    p50, p95 = np.percentile(ms, [50, 95])
    return Delay(round(float(p50), 1), round(float(p95), 1), len(ms))
