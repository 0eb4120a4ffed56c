"""Reading ahead changes nothing but the time it takes, and stops when told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from tests.sources.derive import TALKING
from tests.sources.source_laws import check_laws, of, read

from emofuse.core.media import AudioChunk, Frame, MediaInfo, MediaKind, Packet, Track, Watermark
from emofuse.core.time import NS
from emofuse.errors import InputError
from emofuse.sources.file import FileSource
from emofuse.sources.prefetch import CHUNK_NS, Prefetch, joined


def threads() -> int:
    """Threads that read ahead now."""
    return sum(t.name == "emofuse-prefetch" for t in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 7, 1000])
def test_the_same_packets(depth: int) -> None:
    plain = list(joined(read(FileSource(TALKING))))
    source = Prefetch(FileSource(TALKING), depth)
    ahead = read(source)
    check_laws(ahead, source.info)
    assert [type(p) for p in ahead] == [type(p) for p in plain]
    assert of(ahead, Watermark) == of(plain, Watermark)
    for one, two in zip(of(ahead, Frame), of(plain, Frame), strict=True):
        assert one.at == two.at
        assert np.array_equal(one.image, two.image)
    for one, two in zip(of(ahead, AudioChunk), of(plain, AudioChunk), strict=True):
        assert one.first == two.first
        assert np.array_equal(one.samples, two.samples)
    assert threads() == 0


def test_short_pieces_of_sound_are_joined() -> None:
    apart = read(FileSource(TALKING))
    pieces, whole = of(apart, AudioChunk), of(list(joined(apart)), AudioChunk)
    assert len(whole) < len(pieces) / 3
    assert all(len(c.samples) < 2 * CHUNK_NS * c.rate / NS for c in whole)
    assert np.array_equal(*(np.concatenate([c.samples for c in x]) for x in (pieces, whole)))


def test_sound_before_a_gap_or_an_error_is_not_lost() -> None:
    def breaks() -> Iterator[Packet]:
        yield AudioChunk(np.ones(10, np.float32), 1000, 0)
        yield AudioChunk(np.ones(10, np.float32), 1000, 15)
        raise InputError("broken")

    packets = joined(breaks())
    assert [next(packets).first, next(packets).first] == [0, 15]
    with pytest.raises(InputError):
        next(packets)


class Counting:
    """An endless source that counts what was taken from it and can break."""

    info = MediaInfo("endless", MediaKind.AUDIO)

    def __init__(self, breaks_at: int | None = None) -> None:
        self.taken, self.closed, self.breaks_at = 0, 0, breaks_at

    def packets(self) -> Iterator[Packet]:
        while True:
            if self.taken == self.breaks_at:
                raise InputError("the tape is torn; mend it")
            self.taken += 1
            yield Watermark(Track.AUDIO, self.taken)

    def close(self) -> None:
        self.closed += 1


def test_memory_is_bounded() -> None:
    inner = Counting()
    source = Prefetch(inner, depth=5)
    packets = source.packets()
    for _ in range(100):
        next(packets)
    assert inner.taken <= 100 + 5 + 2
    source.close()
    assert inner.closed == 1
    assert threads() == 0


def test_errors_come_where_they_belong() -> None:
    """Everything before the error is delivered, then the error is raised."""
    source = Prefetch(Counting(breaks_at=20), depth=4)
    seen: list[Packet] = []
    with pytest.raises(InputError, match="tape"):
        seen.extend(source.packets())
    assert seen == [Watermark(Track.AUDIO, number) for number in range(1, 21)]
    source.close()
    assert threads() == 0


@pytest.mark.parametrize("count", [0, 1, 50])
def test_stopping_early(count: int) -> None:
    source = Prefetch(FileSource(TALKING), depth=3)
    packets = source.packets()
    for _ in range(count):
        next(packets)
    packets.close()
    assert threads() == 0
    source.close()
    source.close()


def test_closed_before_it_was_read() -> None:
    inner = Counting()
    source = Prefetch(inner)
    source.close()
    assert list(source.packets()) == []
    assert inner.taken == 0


def test_senseless_depth() -> None:
    with pytest.raises(ValueError, match="depth"):
        Prefetch(Counting(), depth=0)
