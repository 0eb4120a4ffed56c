from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.estimates import SPEAKER, Modality
from emofuse.core.media import AudioChunk, Grade, Sample, Watermark, WindowSpec
from emofuse.core.time import NS
from emofuse.engine.windows import Windower

RATE = 1_000
SPEC = WindowSpec(3 * NS, NS, NS)


def voiced(first: int, last: int) -> AudioChunk:
    """Voiced samples whose values are their own stream index."""
    return AudioChunk(np.arange(first, last, dtype=np.float32), RATE, first)


def windower(spec: WindowSpec = SPEC) -> Windower:
    return Windower(spec, SPEAKER, lambda samples, rate: Grade(min(1.0, len(samples) / 3 / rate)))


def cut(regions: list[tuple[int, int]], sizes: list[int], spec: WindowSpec = SPEC) -> list[Sample]:
    """Feed regions in chunks of the given sizes (repeated), with progress after each."""
    stage, out, k = windower(spec), [], 0
    for first, last in regions:
        at = first
        while at < last:
            step = min(sizes[k % len(sizes)], last - at)
            k += 1
            out += stage.feed(voiced(at, at + step))
            at += step
            out += stage.feed(Watermark(Modality.SPEECH, at * NS // RATE))
        out += stage.feed(Watermark(Modality.SPEECH, (last + 1) * NS // RATE))
    out += stage.flush()
    return [x for x in out if isinstance(x, Sample)]


def seconds(samples: list[Sample]) -> np.ndarray:
    """Start and end of each hop, start and end of its evidence."""
    return np.array(
        [(s.span.start, s.span.end, s.data[0] / RATE, (s.data[-1] + 1) / RATE) for s in samples]
    )


def test_each_hop_gets_the_window_around_it() -> None:
    assert seconds(cut([(1_000, 6_000)], [100])) == pytest.approx(
        np.array(
            [
                (1, 2, 1, 3),  # nothing before the region
                (2, 3, 1, 4),
                (3, 4, 2, 5),
                (4, 5, 3, 6),
                (5, 6, 3, 6),  # nothing after it: the window reaches back instead
            ]
        )
    )


def test_a_short_remainder_joins_the_last_hop_and_a_long_one_stands_alone() -> None:
    spans = [(s.span.start, s.span.end) for s in cut([(0, 2_300), (5_000, 6_700)], [70])]
    assert spans == [(0, 1), (1, 2.3), (5, 6), (6, 6.7)]


def test_a_region_shorter_than_a_hop_is_one_window() -> None:
    assert seconds(cut([(500, 800)], [1_000])) == pytest.approx(np.array([(0.5, 0.8, 0.5, 0.8)]))


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9_000), min_size=1, max_size=4),
    gaps=st.lists(st.integers(2, 2_000), min_size=4, max_size=4),
    sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=6),
    lookahead=st.sampled_from([0, NS // 2, NS, 2 * NS]),
)
def test_windows_do_not_depend_on_chunks_and_tile_the_regions(
    lengths: list[int], gaps: list[int], sizes: list[int], lookahead: int
) -> None:
    regions, at = [], 0
    for length, gap in zip(lengths, gaps, strict=False):
        regions.append((at, at + length))
        at += length + gap
    spec = WindowSpec(3 * NS, NS, lookahead)
    whole, pieces = cut(regions, [10**6], spec), cut(regions, sizes, spec)
    np.testing.assert_array_equal(seconds(whole), seconds(pieces))
    assert [s.quality for s in whole] == [s.quality for s in pieces]
    covered = [(round(s.span.start * RATE), round(s.span.end * RATE)) for s in pieces]
    for first, last in regions:
        inside = [c for c in covered if first <= c[0] < last]
        assert inside[0][0] == first
        assert inside[-1][1] == last
        assert all(a[1] == b[0] for a, b in itertools.pairwise(inside))


def test_progress_never_overtakes_a_hop_that_is_still_to_come() -> None:
    stage, upto = windower(), 0
    for at in range(0, 5_000, 250):
        for item in stage.feed(voiced(at, at + 250)):
            assert isinstance(item, Sample)
            assert item.span.start_ns >= upto
        (progress,) = stage.feed(Watermark(Modality.SPEECH, (at + 250) * NS // RATE))
        assert progress.upto_ns >= upto
        upto = progress.upto_ns
    assert all(s.span.start_ns >= upto for s in stage.flush())


@pytest.mark.parametrize("numbers", [(1, 2, 0), (3, 0, 0), (3, 1, 3), (3, 1, -1)])
def test_impossible_windows_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"need|must fit"):
        WindowSpec(*numbers)
