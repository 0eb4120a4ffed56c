import io

import numpy as np
import pytest
from PIL import Image

from emofuse.core.media import Frame
from emofuse.core.time import NS, Span
from emofuse.export.thumbnails import Thumbnails


def frame(i: int, size: tuple[int, int] = (90, 160)) -> Frame:
    image = np.full((*size, 3), i % 256, np.uint8)
    return Frame(image, Span(i * NS // 8, (i + 1) * NS // 8))


@pytest.mark.parametrize("limit", [2, 7, 60])
@pytest.mark.parametrize("count", [0, 1, 60, 61, 500, 3001])
def test_few_and_evenly_spread_whatever_the_length(limit, count):
    sink = Thumbnails(limit, side=16)
    for i in range(count):
        sink.write(frame(i, (9, 16)))
    kept = [round(t.at.start_ns * 8 / NS) for t in sink.thumbnails]
    assert min(count, (limit + 1) // 2) <= len(kept) <= limit
    steps = set(np.diff(kept))
    assert len(steps) <= 1
    if kept:
        assert kept[0] == 0
        assert count - kept[-1] <= (steps.pop() if steps else count)


def test_thumbnails_are_small_jpegs_of_the_right_shape_and_time():
    sink = Thumbnails(side=64)
    sink.write(frame(200, (720, 1280)))
    (thumbnail,) = sink.thumbnails
    picture = Image.open(io.BytesIO(thumbnail.jpeg))
    assert (picture.format, picture.size) == ("JPEG", (64, 36))
    assert abs(int(np.asarray(picture).mean()) - 200) <= 2
    assert thumbnail.at == frame(200).at


def test_small_and_thin_pictures_keep_their_pixels():
    sink = Thumbnails(side=64)
    sink.write(frame(0, (1, 3)))
    assert Image.open(io.BytesIO(sink.thumbnails[0].jpeg)).size == (3, 1)
    sink.write(frame(0, (2, 900)))
    assert Image.open(io.BytesIO(sink.thumbnails[1].jpeg)).size == (64, 1)


def test_a_limit_of_one_is_refused():
    with pytest.raises(ValueError, match="limit"):
        Thumbnails(1)
