"""What every sink promises: see `emofuse.core.protocols.Sink`."""

import numpy as np
import pytest

from emofuse.core.media import Frame
from emofuse.core.protocols import Sink
from emofuse.core.time import NS, Span
from emofuse.sinks.tables import CsvSink
from emofuse.sinks.thumbnails import ThumbnailSink

from .synthetic import timeline

SINKS = {
    "csv": lambda folder: CsvSink(folder / "timeline.csv"),
    "thumbnails": lambda folder: ThumbnailSink(),
}


@pytest.mark.parametrize("name", SINKS)
def test_sinks_take_frames_and_estimates_in_any_order_and_close_twice(name, tmp_path):
    image = np.zeros((9, 16, 3), np.uint8)
    with SINKS[name](tmp_path) as sink:
        assert isinstance(sink, Sink)
        for i, estimate in enumerate(timeline(5)):
            sink.write(Frame(image, Span(i * NS, i * NS + 1)))
            sink.write(estimate)
    sink.close()
    sink.close()


@pytest.mark.parametrize("name", SINKS)
def test_sinks_may_stay_empty(name, tmp_path):
    with SINKS[name](tmp_path):
        pass
