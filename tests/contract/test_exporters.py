"""What every exporter must do: take frames, estimates and a timeline, finish, be closed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Frame, MediaInfo, MediaKind
from emofuse.core.protocols import Exporter
from emofuse.core.time import NS, Span
from emofuse.core.timeline import Provenance, Timeline
from emofuse.errors import InputError
from emofuse.export import exporters, result_name
from emofuse.export.csv import CsvTable
from emofuse.export.thumbnails import Thumbnails

EXPORTERS: dict[str, Callable[[Path], Exporter]] = {
    **{
        name: lambda folder, kind=kind: kind(folder / result_name(kind))
        for name, kind in exporters().items()
    },
    "table": lambda folder: CsvTable(folder / "rows.csv", file="clip.mp4"),
    "thumbnails": lambda folder: Thumbnails(limit=4, side=32),
}


@pytest.fixture(params=list(EXPORTERS))
def exporter(request: pytest.FixtureRequest, tmp_path: Path) -> Exporter:
    return EXPORTERS[request.param](tmp_path)


MEDIA = Path(__file__).parents[1] / "media"


def items() -> list[Frame | Estimate | Timeline]:
    out: list[Frame | Estimate | Timeline] = []
    subject = Subject(SubjectKind.FACE)
    for k in range(20):
        span = Span(k * NS, (k + 1) * NS)
        out.append(Frame(np.full((36, 64, 3), k, np.uint8), span))
        scores = Probabilities(CANONICAL, np.eye(8)[k % 8])
        out.append(Estimate(subject, span, scores, Modality.FACE, 0.5, "model"))
        out.append(Estimate(subject, span, scores, Modality.FUSED, 0.5, "logpool"))
        out.append(Estimate(SPEAKER, span, scores, Modality.SPEECH, 0.5, "model"))
    estimates = tuple(item for item in out if isinstance(item, Estimate))
    clip = str(MEDIA / "speech.ogg")  # what draws into the medium needs one
    media = MediaInfo("clip.mp4", MediaKind.AUDIO, path=clip)
    out.append(Timeline(media, estimates, Provenance("0", {}), duration_ns=20 * NS))
    return out


def test_it_is_an_exporter_and_takes_everything(exporter: Exporter) -> None:
    assert isinstance(exporter, Exporter)
    for item in items():
        exporter.write(item)
    exporter.close()
    exporter.close()


@pytest.mark.parametrize("name", list(exporters()))
def test_a_format_leaves_its_file_only_when_it_is_closed(name: str, tmp_path: Path) -> None:
    kind = exporters()[name]
    path = tmp_path / result_name(kind)
    exporter = kind(path)
    for item in items():
        exporter.write(item)
    assert not path.exists()
    exporter.close()
    assert path.stat().st_size > 100
    assert kind.name == name
    assert kind.content_type
    assert kind.summary
    with pytest.raises(InputError, match="exists already"):
        kind(path)
    kind(path, overwrite=True)


def test_no_two_formats_have_the_same_file() -> None:
    names = [result_name(kind) for kind in exporters().values()]
    assert len(set(names)) == len(names)


def test_it_may_be_closed_unused(exporter: Exporter) -> None:
    exporter.close()
    exporter.close()


def test_it_leaves_what_it_is_given_unchanged(exporter: Exporter) -> None:
    frame = items()[0]
    assert isinstance(frame, Frame)
    before = frame.image.copy()
    exporter.write(frame)
    exporter.close()
    np.testing.assert_array_equal(frame.image, before)
