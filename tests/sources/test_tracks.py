"""The small parts of the readers."""

from __future__ import annotations

import av
import numpy as np
import pytest
from tests.sources.derive import TALKING

from emofuse.core.time import NS
from emofuse.sources.tracks import Clock, declared_end_ns, downmix, plain_text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("0,0,Default,,0,0,0,,Hello, you", "Hello, you"),
        (r"1,0,Default,Ann,0,0,0,,{\an8}{\i1}Two\Nlines{\i0}", "Two lines"),
        (r"2,0,Default,,0,0,0,,hard\hspace", "hard space"),
        ("3,0,Default,,0,0,0,,<v Bob>Hi <i>there</i>", "Hi there"),
        (r"4,0,Default,,0,0,0,,{\p1}", ""),
        ("no fields at all", "no fields at all"),
    ],
)
def test_plain_text(event: str, text: str) -> None:
    assert plain_text(event) == text


def test_clock() -> None:
    with av.open(str(TALKING)) as container:
        stream = container.streams.video[0]
        second = round(1 / stream.time_base)
        clock = Clock(origin_ns=NS // 2)
        assert clock.time(second, stream) == NS // 2
        assert clock.time(0, stream) == 0
        assert clock.time(None, stream) is None
        assert declared_end_ns(stream, 0) == 5 * NS
        assert declared_end_ns(stream, NS) == 4 * NS


def test_downmix_never_clips() -> None:
    loud = np.ones((6, 4), np.float32)
    for channels in (1, 2, 3, 6):
        names = ["FL", "FR", "FC", "LFE", "BL", "BR"][:channels]
        mono = downmix(loud[:channels], names)
        assert mono.dtype == np.float32
        assert np.allclose(mono, 1)
    assert np.allclose(downmix(loud[:3], []), 1)  # a layout without names


def test_stereo_is_averaged() -> None:
    assert np.allclose(downmix(np.array([[1.0], [0.0]], np.float32), ["FL", "FR"]), 0.5)
