"""What every source promises; used by the tests of each of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from emofuse.core.media import (
    AudioChunk,
    Diagnostic,
    Frame,
    MediaInfo,
    Packet,
    Track,
    Utterance,
    Watermark,
)
from emofuse.core.time import NS

TRACK_OF = {Frame: Track.VIDEO, AudioChunk: Track.AUDIO, Utterance: Track.TEXT}


def read(source: Any) -> list[Packet]:
    """Read a source to its end and close it, twice."""
    try:
        return list(source.packets())
    finally:
        source.close()
        source.close()


def of(packets: Iterable[Packet], kind: type) -> list[Any]:
    """The packets of one kind."""
    return [packet for packet in packets if isinstance(packet, kind)]


def notes(packets: Iterable[Packet]) -> dict[str, Diagnostic]:
    """The notes by code."""
    return {note.code: note for note in of(packets, Diagnostic)}


def span_of(item: Frame | AudioChunk | Utterance) -> tuple[int, int]:
    """Start and end of an item in nanoseconds."""
    span = item.at if isinstance(item, Frame) else item.span
    return span.start_ns, span.end_ns


def end_of(packets: Iterable[Packet]) -> float:
    """Where the last progress points, in seconds."""
    return of(packets, Watermark)[-1].upto_ns / NS


def check_laws(packets: list[Packet], info: MediaInfo) -> None:
    """Order within tracks, promises kept, frames tile, progress to one common end."""
    promised = dict.fromkeys(info.tracks, 0)
    last_start = dict.fromkeys(info.tracks, 0)
    for packet in packets:
        if isinstance(packet, Diagnostic):
            continue
        if isinstance(packet, Watermark):
            assert packet.upto_ns >= promised[packet.track], "progress went backwards"
            promised[packet.track] = packet.upto_ns
            continue
        track = TRACK_OF[type(packet)]
        start, end = span_of(packet)
        assert start >= last_start[track], f"{track} went backwards"
        assert start >= promised[track], f"{track} broke its promise"
        assert end > start, f"empty item in {track}"
        last_start[track] = start
    frames = of(packets, Frame)
    for one, two in pairwise(frames):
        assert one.at.end_ns <= two.at.start_ns, "frames overlap"
    for one, two in pairwise(of(packets, AudioChunk)):
        assert one.end <= two.first, "sound overlaps"
        assert one.rate == two.rate
    ends = set(promised.values())
    assert len(ends) == 1, "tracks end at different times"
    timed = [p for p in packets if isinstance(p, Frame | AudioChunk)]
    assert max((span_of(p)[1] for p in timed), default=0) <= ends.pop()


def check_steady(packets: list[Packet], info: MediaInfo, step: float = 0.5) -> None:
    """No track's progress lags more than the allowed patience, or takes long steps at first."""
    upto = dict.fromkeys(info.tracks, 0)
    for packet in packets:
        if isinstance(packet, Watermark):
            if packet.track is not Track.TEXT and packet.upto_ns < end_of(packets) * NS:
                assert packet.upto_ns - upto[packet.track] <= step * NS
            upto[packet.track] = packet.upto_ns
