"""Timelines for Praat: a tier for each person's result, modalities and words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core.time import NS
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .runs import Tier, tiers_of
from .whole import WholeTimeline


class TextGridExporter(WholeTimeline):
    """Writes a timeline with `write_textgrid`."""

    name = "textgrid"
    suffix = ".TextGrid"
    content_type = "text/praat-textgrid"
    summary = "tiers for Praat"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_textgrid(timeline, self.path, overwrite=self.overwrite)


def write_textgrid(timeline: Timeline, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a TextGrid in Praat's long form; empty intervals fill the gaps, as Praat wants.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    tiers = tuple(tiers_of(timeline))
    ends = [tier.intervals[-1][0].end_ns for tier in tiers if tier.intervals]
    end_ns = max([timeline.duration_ns, *ends, 1])
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.writelines(f"{line}\n" for line in _lines(tiers, end_ns))


def _lines(tiers: tuple[Tier, ...], end_ns: int) -> Iterator[str]:
    edges = "xmin = 0", f"xmax = {end_ns / NS!r}"
    yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "", *edges)
    yield f"tiers? {'<exists>' if tiers else '<absent>'}"
    if not tiers:
        return
    yield from (f"size = {len(tiers)}", "item []:")
    for n, tier in enumerate(tiers, start=1):
        intervals = tuple(_filled(tier, end_ns))
        yield f"    item [{n}]:"
        yield '        class = "IntervalTier"'
        yield f"        name = {_quoted(tier.name)}"
        yield from (f"        {edge}" for edge in edges)
        yield f"        intervals: size = {len(intervals)}"
        for k, (start, end, label) in enumerate(intervals, start=1):
            yield f"        intervals [{k}]:"
            yield f"            xmin = {start / NS!r}"
            yield f"            xmax = {end / NS!r}"
            yield f"            text = {_quoted(label)}"


def _filled(tier: Tier, end_ns: int) -> Iterator[tuple[int, int, str]]:
    at = 0
    for span, label in tier.intervals:
        if span.start_ns > at:
            yield at, span.start_ns, ""
        yield span.start_ns, span.end_ns, label
        at = span.end_ns
    if at < end_ns:
        yield at, end_ns, ""


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
