"""What every sink must do: take frames and estimates, finish, be closed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.estimates import Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Frame
from emofuse.core.protocols import Sink
from emofuse.core.time import NS, Span
from emofuse.export.tables import CsvSink
from emofuse.export.thumbnails import ThumbnailSink

SINKS: dict[str, Callable[[Path], Sink]] = {
    "csv": lambda folder: CsvSink(folder / "rows.csv", file="clip.mp4"),
    "thumbnails": lambda folder: ThumbnailSink(limit=4, side=32),
}


@pytest.fixture(params=list(SINKS))
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return SINKS[request.param](tmp_path)


def items() -> list[Frame | Estimate]:
    out: list[Frame | Estimate] = []
    subject = Subject(SubjectKind.FACE)
    for k in range(20):
        span = Span(k * NS, (k + 1) * NS)
        out.append(Frame(np.full((36, 64, 3), k, np.uint8), span))
        scores = Probabilities(CANONICAL, np.eye(8)[k % 8])
        out.append(Estimate(subject, span, scores, Modality.FACE, 0.5, "model"))
    return out


def test_it_is_a_sink_and_takes_everything(sink: Sink) -> None:
    assert isinstance(sink, Sink)
    for item in items():
        sink.write(item)
    sink.close()
    sink.close()


def test_it_may_be_closed_unused(sink: Sink) -> None:
    sink.close()
    sink.close()


def test_it_leaves_what_it_is_given_unchanged(sink: Sink) -> None:
    frame = items()[0]
    assert isinstance(frame, Frame)
    before = frame.image.copy()
    sink.write(frame)
    sink.close()
    np.testing.assert_array_equal(frame.image, before)
