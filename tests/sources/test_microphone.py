"""Microphones: the counting of samples; and the device itself where there is one."""

from __future__ import annotations

import itertools
import time

import pytest

from emofuse.core.media import AudioChunk
from emofuse.core.time import NS
from emofuse.errors import EmofuseError, InputError, MissingExtra
from emofuse.sources.microphone import Microphone, SampleCounter, list_microphones

RATE = 16_000
BLOCK = 480  # 30 ms


def test_blocks_are_contiguous_however_unevenly_they_come() -> None:
    counter = SampleCounter(RATE, origin_ns=1000)
    jitter_ms = (0, 25, -10, 60, 40, 5)
    came = [1000 + (i + 1) * 30_000_000 + ms * 1_000_000 for i, ms in enumerate(jitter_ms)]
    assert [counter.place(BLOCK, at) for at in came] == [i * BLOCK for i in range(6)]


def test_what_was_lost_is_a_gap() -> None:
    counter = SampleCounter(RATE, origin_ns=0)
    assert counter.place(BLOCK, 30_000_000) == 0
    assert counter.place(BLOCK, NS) == RATE - BLOCK  # 0.94 s are missing
    assert counter.place(BLOCK, NS + 30_000_000) == RATE


def test_it_starts_where_the_clock_says() -> None:
    assert SampleCounter(RATE, origin_ns=5 * NS).place(BLOCK, 7 * NS) == 2 * RATE - BLOCK
    assert SampleCounter(RATE, origin_ns=5 * NS).place(BLOCK, 5 * NS) == 0


def test_an_unknown_microphone_or_a_missing_library_is_an_error_that_helps() -> None:
    with pytest.raises((InputError, MissingExtra), match=r"emofuse devices|install"):
        Microphone("a microphone that nobody has")


def test_a_real_microphone_delivers_sound() -> None:
    try:
        known = list_microphones()
    except EmofuseError as error:
        pytest.skip(f"no microphone: {error}")
    if not known:
        pytest.skip("this machine has no microphone")
    source = Microphone()
    start = time.monotonic()
    heard = []
    for packet in source.packets():
        if isinstance(packet, AudioChunk):
            heard.append(packet)
        if len(heard) == 5 or time.monotonic() - start > 10:
            source.close()
    assert all(a.end == b.first for a, b in itertools.pairwise(heard))
    assert heard
