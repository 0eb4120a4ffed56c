"""Timelines as subtitles: who expresses what, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..core.time import Span
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .runs import tiers_of
from .whole import WholeTimeline

_SHOWN = ("fused", "said")


class VttExporter(WholeTimeline):
    """Writes a timeline as WebVTT, with the person as the voice of each cue."""

    name = "vtt"
    suffix = ".vtt"
    content_type = "text/vtt"
    summary = "WebVTT: who expresses what, and what they say"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        with ResultFile(self.path, overwrite=self.overwrite) as f:
            f.write("WEBVTT\n\nNOTE Expressions, not feelings: emofuse judges what is shown.\n")
            for span, person, text in cues_of(timeline):
                name = escape(person, quote=False)
                f.write(f"\n{_times(span, '.')}\n<v {name}>{escape(text, quote=False)}</v>\n")


class SrtExporter(WholeTimeline):
    """Writes a timeline as SubRip, with the person before what they express or say."""

    name = "srt"
    suffix = ".srt"
    content_type = "text/plain; charset=utf-8"
    summary = "SubRip: who expresses what, and what they say"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        with ResultFile(self.path, overwrite=self.overwrite) as f:
            for n, (span, person, text) in enumerate(cues_of(timeline), start=1):
                f.write(f"{n}\n{_times(span, ',')}\n{person}: {text}\n\n")


def cues_of(timeline: Timeline) -> Iterator[tuple[Span, str, str]]:
    """Yield the cues by time: what a person expresses in parentheses, or says."""
    cues = [
        (span, tier.person, f"({text})" if tier.kind == "fused" else " ".join(text.split()))
        for tier in tiers_of(timeline)
        if tier.kind in _SHOWN
        for span, text in tier.intervals
    ]
    yield from sorted(cues)


def _times(span: Span, point: str) -> str:
    return f"{_time(span.start_ns, point)} --> {_time(span.end_ns, point)}"


def _time(time_ns: int, point: str) -> str:
    seconds, ms = divmod(round(time_ns / 1_000_000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"
