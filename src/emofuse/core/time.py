"""Time: integer nanoseconds relative to the start of the stream.

Integers, because a timeline must not depend on how a stream was cut: sums of
floats do, sums of integers do not.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
"""Nanoseconds in a second."""


def to_ns(seconds: float) -> int:
    """Convert seconds to the nearest integer nanosecond.

    Example:
        >>> to_ns(0.5)
        500000000
    """
    return round(seconds * NS)


def samples_to_ns(index: int, rate: int) -> int:
    """Return the time of sample `index` (≥ 0) at `rate` Hz, rounded down, in nanoseconds.

    Example:
        >>> samples_to_ns(16_000, 16_000)
        1000000000
    """
    return index * NS // rate


def ns_to_samples(time_ns: int, rate: int) -> int:
    """Return the first sample index at or after `time_ns` at `rate` Hz.

    The inverse of `samples_to_ns`: ``ns_to_samples(samples_to_ns(i, r), r) == i``.

    Example:
        >>> ns_to_samples(NS // 2, 16_000)
        8000
    """
    return -(-time_ns * rate // NS)


def clock(time_ns: int) -> str:
    """Write a time as ``m:ss.s`` or ``h:mm:ss.s``, for people.

    Example:
        >>> clock(to_ns(83.25))
        '1:23.2'
    """
    tenths = round(time_ns / NS * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of time ``[start_ns, end_ns)``, in nanoseconds of the stream.

    Ordered by start, then end (after `pyannote.core.Segment`).

    Raises:
        ValueError: if it starts before 0 or ends before it starts.

    Example:
        >>> span = Span.of_seconds(1, 2.5)
        >>> span.duration
        1.5
        >>> span.overlap_ns(Span.of_seconds(2, 9)) / NS
        0.5
    """

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ns <= self.end_ns:
            raise ValueError(
                f"a span needs 0 <= start <= end, got [{self.start_ns}, {self.end_ns}) ns"
            )

    @classmethod
    def of_seconds(cls, start: float, end: float) -> Span:
        """Build a span from seconds."""
        return cls(to_ns(start), to_ns(end))

    @property
    def start(self) -> float:
        """Start in seconds."""
        return self.start_ns / NS

    @property
    def end(self) -> float:
        """End in seconds."""
        return self.end_ns / NS

    @property
    def duration_ns(self) -> int:
        """Length in nanoseconds."""
        return self.end_ns - self.start_ns

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.duration_ns / NS

    def overlap_ns(self, other: Span) -> int:
        """Nanoseconds that both spans cover; 0 if they only touch."""
        return max(0, min(self.end_ns, other.end_ns) - max(self.start_ns, other.start_ns))

    def clip(self, other: Span) -> Span | None:
        """Return the part of this span inside `other`, or None if nothing of it is.

        Example:
            >>> str(Span.of_seconds(0, 2).clip(Span.of_seconds(1, 3)))
            '0:01.0–0:02.0'
        """
        start, end = max(self.start_ns, other.start_ns), min(self.end_ns, other.end_ns)
        return Span(start, end) if start < end else None

    def __str__(self) -> str:
        return f"{clock(self.start_ns)}–{clock(self.end_ns)}"
