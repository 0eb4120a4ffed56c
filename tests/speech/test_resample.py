"""Resampling keeps count of time, and does not care how a stream is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.media import AudioChunk, Track, Watermark
from emofuse.core.time import NS, samples_to_ns
from emofuse.errors import InputError
from emofuse.speech.resample import Resample

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
TOLERANCE = 1e-6
"""On samples of up to 1: the filter may add in another order when its input is cut otherwise."""


def chirp(rate: int, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * (200 * t + 500 * t**2)).astype(np.float32)


def through(stage: Resample, items: list) -> list:
    stage.reset()
    out = [x for item in items for x in stage.feed(item)]
    return out + list(stage.flush())


def joined(items: list) -> tuple[int, np.ndarray]:
    """First index and all samples of contiguous chunks."""
    chunks = [x for x in items if isinstance(x, AudioChunk)]
    for before, after in pairwise(chunks):
        assert before.end == after.first
    return chunks[0].first, np.concatenate([c.samples for c in chunks])


def cut(x: np.ndarray, rate: int, first: int, borders: list[float]) -> list:
    """Chunks between the borders (fractions), with the progress that follows from each."""
    at = sorted({0, len(x), *(int(b * len(x)) for b in borders)})
    items: list = []
    for a, b in pairwise(at):
        items.append(AudioChunk(x[a:b], rate, first + a))
        items.append(Watermark(Track.AUDIO, samples_to_ns(first + b, rate)))
    return items


@settings(deadline=None, max_examples=60)
@given(
    rate=st.sampled_from(RATES),
    first=st.integers(0, 100_000),
    borders=st.lists(st.floats(0, 1), max_size=12),
)
def test_any_chunking_gives_the_same_sound(rate: int, first: int, borders: list[float]) -> None:
    x = chirp(rate, 0.4)
    stage = Resample()
    start, whole = joined(through(stage, [AudioChunk(x, rate, first)]))
    again, pieces = joined(through(stage, cut(x, rate, first, borders)))
    assert start == again
    np.testing.assert_allclose(pieces, whole, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("first", [0, 1, 12_345])
def test_every_sample_keeps_its_time(rate: int, first: int) -> None:
    """The chirp that comes out is the chirp of the output's own sample times."""
    out_first, out = joined(through(Resample(), [AudioChunk(chirp(rate), rate, first)]))
    assert 0 <= out_first / 16_000 - first / rate < 1 / 16_000
    assert abs(len(out) - 16_000) <= 1
    t = (out_first + np.arange(len(out))) / 16_000 - first / rate
    expected = np.sin(2 * np.pi * (200 * t + 500 * t**2))
    inner = slice(800, -800)  # the filter rings at the sound's sharp ends
    np.testing.assert_allclose(out[inner], expected[inner], atol=2e-3)


def test_own_rate_passes_untouched() -> None:
    x = chirp(16_000)
    first, out = joined(through(Resample(), [AudioChunk(x, 16_000, 77)]))
    assert first == 77
    np.testing.assert_array_equal(out, x)


def test_a_gap_stays_a_gap() -> None:
    x = chirp(48_000, 0.5)
    items = [AudioChunk(x, 48_000, 0), AudioChunk(x, 48_000, 96_000)]
    chunks = [c for c in through(Resample(), items) if isinstance(c, AudioChunk)]
    indices = np.concatenate([np.arange(c.first, c.end) for c in chunks])
    np.testing.assert_array_equal(indices, [*range(8000), *range(32_000, 40_000)])


def test_what_overlaps_is_dropped() -> None:
    x = chirp(48_000)
    items = [AudioChunk(x[:30_000], 48_000, 0), AudioChunk(x[20_000:], 48_000, 20_000)]
    _, whole = joined(through(Resample(), [AudioChunk(x, 48_000, 0)]))
    _, out = joined(through(Resample(), items))
    np.testing.assert_allclose(out, whole, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("rate", RATES)
def test_progress_is_monotone_true_and_near(rate: int) -> None:
    x = chirp(rate, 2.0)
    stage = Resample()
    promised = 0
    for item in cut(x, rate, 0, list(np.linspace(0, 1, 41))):
        for out in stage.feed(item):
            if isinstance(out, Watermark):
                assert out.track is Track.AUDIO
                assert promised <= out.upto_ns <= item.upto_ns
                assert item.upto_ns - out.upto_ns < 0.15 * NS
                promised = out.upto_ns
            else:
                assert out.span.start_ns >= promised
    last = list(stage.flush())
    assert all(c.span.start_ns >= promised for c in last if isinstance(c, AudioChunk))
    assert last[-1] == Watermark(Track.AUDIO, 2 * NS)


def test_progress_beyond_the_sound_ends_it() -> None:
    """When a source promises silence, nothing is held back any more."""
    stage = Resample()
    out = [*stage.feed(AudioChunk(chirp(48_000), 48_000, 0))]
    out += stage.feed(Watermark(Track.AUDIO, 3 * NS))
    assert joined(out)[1].size == 16_000
    assert out[-1] == Watermark(Track.AUDIO, 3 * NS)


def test_a_change_of_rate_is_refused() -> None:
    stage = Resample()
    list(stage.feed(AudioChunk(chirp(48_000), 48_000, 0)))
    with pytest.raises(InputError, match="48000 to 44100"):
        list(stage.feed(AudioChunk(chirp(44_100), 44_100, 48_000)))
