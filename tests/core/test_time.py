from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.time import NS, Span, clock, ns_to_samples, samples_to_ns

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])


@given(index=st.integers(0, 10**10), rate=RATES)
def test_samples_survive_the_way_through_time_and_back(index: int, rate: int) -> None:
    assert ns_to_samples(samples_to_ns(index, rate), rate) == index


@given(a=st.integers(0, 10**12), b=st.integers(0, 10**12), c=st.integers(0, 10**12))
def test_overlap_is_what_clipping_leaves(a: int, b: int, c: int) -> None:
    one, two = Span(min(a, b), max(a, b)), Span(min(b, c), max(b, c))
    clipped = one.clip(two)
    assert one.overlap_ns(two) == two.overlap_ns(one) == (clipped.duration_ns if clipped else 0)


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (2, 1)])
def test_a_span_does_not_run_backwards(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="0 <= start <= end"):
        Span(start, end)


def test_spans_are_ordered_by_start_then_end() -> None:
    spans = [Span(1, 5), Span(0, 9), Span(1, 2)]
    assert sorted(spans) == [Span(0, 9), Span(1, 2), Span(1, 5)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (12.34, "0:12.3"), (59.96, "1:00.0"), (3_725.5, "1:02:05.5")],
)
def test_clock_writes_times_for_people(seconds: float, text: str) -> None:
    assert clock(round(seconds * NS)) == text
