"""Voice activity: where it is found, and that nothing depends on how a stream is cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.estimates import Modality
from emofuse.core.media import AudioChunk, Track, Watermark
from emofuse.core.time import NS, samples_to_ns
from emofuse.sources.audio import read_audio
from emofuse.speech.vad import RATE, VadConfig, VoiceActivityDetector

Regions = list[tuple[int, np.ndarray]]

LAG_NS = round(0.3 * NS)
"""Progress in silence is nearer to the sound than this."""


@pytest.fixture(scope="module")
def speech(media: Path) -> np.ndarray:
    """Synthesised speech at 16 kHz that starts at once."""
    x = read_audio(media / "speech.ogg")
    return x[np.argmax(np.abs(x) > 0.02) :]


@pytest.fixture(scope="module")
def voice() -> VoiceActivityDetector:
    return VoiceActivityDetector()


def quiet(seconds: float) -> np.ndarray:
    """The hiss of a quiet room: silence, but not digital silence."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)


def whole(x: np.ndarray, first: int = 0) -> list:
    return [AudioChunk(x, RATE, first)]


def cut(x: np.ndarray, borders: list[float]) -> list:
    """Chunks between the borders (fractions), with the progress that follows from some."""
    items: list = []
    for a, b in pairwise(sorted({0, len(x), *(int(f * len(x)) for f in borders)})):
        items.append(AudioChunk(x[a:b], RATE, a))
        if (a + b) % 2:
            items.append(Watermark(Track.AUDIO, samples_to_ns(b, RATE)))
    return items


def through(stage: VoiceActivityDetector, items: list) -> list:
    stage.reset()
    out = [x for item in items for x in stage.feed(item)]
    return out + list(stage.flush())


def regions(items: list) -> Regions:
    """Contiguous chunks put together: (first sample, samples) of each region."""
    found: Regions = []
    for x in items:
        if not isinstance(x, AudioChunk):
            continue
        if found and found[-1][0] + len(found[-1][1]) == x.first:
            found[-1] = (found[-1][0], np.concatenate((found[-1][1], x.samples)))
        else:
            found.append((x.first, x.samples))
    return found


def assert_equal(one: Regions, other: Regions) -> None:
    assert [first for first, _ in one] == [first for first, _ in other]
    for (_, a), (_, b) in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_speech_is_found_and_silence_left_out(
    voice: VoiceActivityDetector, speech: np.ndarray
) -> None:
    start = speech[: int(1.5 * RATE)]
    x = np.concatenate((quiet(1.0), start, quiet(1.5), start))
    (first, one), (again, other) = regions(through(voice, whole(x)))
    assert 0.7 * RATE < first < 1.5 * RATE
    assert abs((again - first) - 3.0 * RATE) < 0.1 * RATE
    for at, samples in ((first, one), (again, other)):
        np.testing.assert_array_equal(samples, x[at : at + len(samples)])
        assert 0.5 * RATE < len(samples) < 1.9 * RATE


@pytest.mark.parametrize(
    "x",
    [
        quiet(3.0),
        np.zeros(3 * RATE, np.float32),
        0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype(np.float32),
        np.zeros(0, np.float32),
    ],
    ids=["room", "digital silence", "tone", "nothing"],
)
def test_no_speech_no_regions(voice: VoiceActivityDetector, x: np.ndarray) -> None:
    assert regions(through(voice, whole(x))) == []


@pytest.mark.parametrize("faint_db", [-26, -40])
def test_loudness_does_not_decide_what_is_speech(
    voice: VoiceActivityDetector, speech: np.ndarray, faint_db: int
) -> None:
    """Faint speech is heard as far as loud speech is, and however the stream is cut."""
    x = np.concatenate((np.zeros(RATE, np.float32), speech[: 3 * RATE]))
    faint = (x * 10 ** (faint_db / 20)).astype(np.float32)
    loud, heard = (regions(through(voice, whole(y))) for y in (x, faint))
    seconds = [sum(len(samples) for _, samples in found) / RATE for found in (loud, heard)]
    assert seconds[1] > 0.9 * seconds[0]
    assert_equal(regions(through(voice, cut(faint, [0.1, 0.111, 0.5, 0.87]))), heard)
    for first, samples in heard:  # raised for the detector alone
        np.testing.assert_array_equal(samples, faint[first : first + len(samples)])


@pytest.mark.parametrize("level_db", [-70, -50, -30])
def test_noise_is_no_speech_at_any_level(voice: VoiceActivityDetector, level_db: int) -> None:
    t = np.arange(4 * RATE) / RATE
    white = np.random.default_rng(1).normal(0, 1, len(t))
    hum = np.sin(2 * np.pi * 50 * t) + 0.3 * np.sin(2 * np.pi * 150 * t) + 0.01 * white
    for x in (white, np.cumsum(white) / 200, hum):
        scaled = (x / np.sqrt(np.mean(x**2)) * 10 ** (level_db / 20)).astype(np.float32)
        assert regions(through(voice, whole(scaled))) == []


@pytest.fixture(scope="module")
def passage(voice: VoiceActivityDetector, speech: np.ndarray) -> tuple[np.ndarray, Regions]:
    """Speech, a pause and speech that the end cuts off, with its regions as a whole."""
    x = np.concatenate((speech[: int(0.9 * RATE)], quiet(0.6), speech[: int(0.9 * RATE)]))
    found = regions(through(voice, whole(x)))
    assert len(found) == 2
    return x, found


@settings(deadline=None, max_examples=25)
@given(borders=st.lists(st.floats(0, 1), max_size=30))
def test_any_chunking_gives_the_same_regions(
    voice: VoiceActivityDetector, passage: tuple[np.ndarray, Regions], borders: list[float]
) -> None:
    """To the sample and to the bit."""
    x, expected = passage
    assert_equal(regions(through(voice, cut(x, borders))), expected)


@settings(deadline=None, max_examples=15)
@given(size=st.integers(40, 6000))
def test_progress_keeps_its_laws(
    voice: VoiceActivityDetector, passage: tuple[np.ndarray, Regions], size: int
) -> None:
    x, expected = passage
    voiced = [(first, first + len(samples)) for first, samples in expected]
    voice.reset()
    promised, sent, ended = 0, 0, 0
    for a in range(0, len(x), size):
        chunk = AudioChunk(x[a : a + size], RATE, a)
        items = list(voice.feed(chunk))
        items += voice.feed(Watermark(Track.AUDIO, chunk.span.end_ns))
        for item in items:
            if isinstance(item, AudioChunk):
                assert item.span.start_ns >= promised
                sent = item.end
                ended += sent in [last for _, last in voiced]
            else:
                assert item.track is Modality.SPEECH
                assert promised < item.upto_ns <= chunk.span.end_ns
                promised = item.upto_ns
                if any(first < sent < last for first, last in voiced):
                    assert promised <= samples_to_ns(sent, RATE)
        if all(not first <= chunk.end <= last + 0.31 * RATE for first, last in voiced):
            assert chunk.span.end_ns - promised < LAG_NS
    for item in voice.flush():
        assert item.span.start_ns >= promised if isinstance(item, AudioChunk) else True


def test_progress_passes_a_region_that_is_over(
    voice: VoiceActivityDetector, speech: np.ndarray
) -> None:
    """That is how those downstream learn that nothing more of it will come."""
    voice.reset()
    out = list(voice.feed(AudioChunk(speech[:RATE], RATE, 0)))
    out += voice.feed(Watermark(Track.AUDIO, 3 * NS))
    *_, last = (x for x in out if isinstance(x, AudioChunk))
    assert last.end <= 1.15 * RATE
    assert isinstance(out[-1], Watermark)
    assert out[-1].upto_ns > last.span.end_ns
    assert 3 * NS - out[-1].upto_ns < LAG_NS


def test_a_gap_is_silence(voice: VoiceActivityDetector, speech: np.ndarray) -> None:
    """Missing samples end a region, as long as zeros of the same length would."""
    head, second = speech[:RATE], 100 * RATE
    with_gap = [AudioChunk(head, RATE, 0), AudioChunk(head, RATE, second)]
    zeros = np.zeros(second - RATE, np.float32)
    assert_equal(
        regions(through(voice, with_gap)),
        regions(through(voice, whole(np.concatenate((head, zeros, head))))),
    )


def test_flush_yields_the_region_that_the_end_cuts_off(
    voice: VoiceActivityDetector, speech: np.ndarray
) -> None:
    x = speech[: int(0.7 * RATE) + 123]
    items = through(voice, whole(x))
    ((first, samples),) = regions(items)
    assert first + len(samples) <= len(x)
    assert items[-1] == Watermark(Modality.SPEECH, samples_to_ns(len(x), RATE))


def test_reset_forgets(voice: VoiceActivityDetector, passage: tuple[np.ndarray, Regions]) -> None:
    x, expected = passage
    voice.reset()
    list(voice.feed(AudioChunk(x[: RATE // 2], RATE, 0)))
    assert_equal(regions(through(voice, whole(x))), expected)


def test_two_streams_do_not_disturb_each_other(passage: tuple[np.ndarray, Regions]) -> None:
    x, expected = passage
    one, other = VoiceActivityDetector(), VoiceActivityDetector()
    out: list = []
    for a in range(0, len(x), 4000):
        out += one.feed(AudioChunk(x[a : a + 4000], RATE, a))
        list(other.feed(AudioChunk(x[::-1][a : a + 4000].copy(), RATE, a)))
    assert_equal(regions([*out, *one.flush()]), expected)


def test_what_makes_no_sense_is_refused(voice: VoiceActivityDetector) -> None:
    voice.reset()
    with pytest.raises(ValueError, match="resample"):
        list(voice.feed(AudioChunk(np.zeros(10, np.float32), 8_000, 0)))
    list(voice.feed(AudioChunk(np.zeros(10, np.float32), RATE, 0)))
    with pytest.raises(ValueError, match="goes back"):
        list(voice.feed(AudioChunk(np.zeros(10, np.float32), RATE, 5)))
    with pytest.raises(ValueError, match="off <= on"):
        VadConfig(on=0.3, off=0.6)
    with pytest.raises(ValueError, match="padding"):
        VadConfig(padding=0.2)
