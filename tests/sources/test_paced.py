"""A file played as if it were a device."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import numpy as np

from emofuse.core.media import AudioChunk, Frame, Track
from emofuse.core.time import NS
from emofuse.sources.file import FileSource
from emofuse.sources.paced import PIECE_NS, Paced


def sound(media: Path, loop: bool = False) -> Paced:
    return Paced(lambda: FileSource(media / "talking.mp4", tracks={Track.AUDIO}), loop)


def test_sound_comes_in_small_pieces_and_never_before_it_was_heard(media: Path) -> None:
    source = sound(media)
    source.origin_ns = time.monotonic_ns()
    pieces = []
    for packet in source.packets():
        if isinstance(packet, AudioChunk):
            assert time.monotonic_ns() - source.origin_ns >= packet.span.end_ns
            assert packet.span.duration_ns <= PIECE_NS
            pieces.append(packet)
            if packet.span.end_ns > NS // 2:
                source.close()
    assert all(a.end == b.first for a, b in itertools.pairwise(pieces))
    assert pieces[-1].span.end_ns < NS  # closed, it ended


def test_what_starts_later_has_later_times_and_the_same_sound(media: Path) -> None:
    source, other = sound(media), sound(media)
    source.origin_ns = time.monotonic_ns() - 3 * NS
    late = next(p for p in source.packets() if isinstance(p, AudioChunk))
    prompt = next(p for p in other.packets() if isinstance(p, AudioChunk))
    assert late.span.start_ns >= 3 * NS
    np.testing.assert_array_equal(late.samples, prompt.samples)


def test_a_loop_goes_on_where_it_ended(media: Path) -> None:
    picture = Paced(lambda: FileSource(media / "talking.mp4", fps=2, tracks={Track.VIDEO}), True)
    picture.origin_ns = time.monotonic_ns()
    picture._wait = lambda packet: 0.0  # type: ignore[method-assign] # as fast as it can be read
    picture._is_late = lambda frame: False  # type: ignore[method-assign]
    frames = []
    for packet in picture.packets():
        if isinstance(packet, Frame):
            frames.append(packet)
        if len(frames) == 25:
            picture.close()
    starts = [f.at.start_ns for f in frames]
    assert starts == sorted(set(starts))
    assert starts[-1] > 10 * NS  # the clip has five seconds


def test_a_picture_that_is_decoded_too_late_is_left_out_but_not_all_of_them(media: Path) -> None:
    source = Paced(lambda: FileSource(media / "talking.mp4", fps=25, tracks={Track.VIDEO}))
    frames = []
    for packet in source.packets():
        if isinstance(packet, Frame):
            frames.append(packet)
            if len(frames) == 1:  # somebody holds it up
                threading.Event().wait(0.6)
            if packet.at.start_ns > NS:
                source.close()
    gaps = np.diff([f.at.start_ns for f in frames]) / NS
    assert gaps.max() > 0.3
    assert len(frames) > 2


def test_it_announces_no_end(media: Path) -> None:
    source = sound(media)
    assert source.info.duration_ns is None
    source.close()
    source.close()
