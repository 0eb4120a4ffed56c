"""A picture that is shown while a sound lasts keeps the laws of sources."""

from pathlib import Path

import pytest
from tests.sources.source_laws import check_laws, read

from emofuse.core.media import AudioChunk, Frame, MediaKind, Track
from emofuse.core.protocols import Source
from emofuse.core.time import NS, Span
from emofuse.server.jobs.tasks import ImageWithAudio
from emofuse.sources.file import FileSource, open_source


@pytest.fixture
def still(media: Path) -> ImageWithAudio:
    sound = FileSource(media / "speech.ogg", tracks={Track.AUDIO})
    assert sound.info.duration_ns is not None
    picture = open_source(media / "portrait.jpg")
    return ImageWithAudio(picture, sound, Span(0, sound.info.duration_ns))


def test_it_keeps_the_laws(still: ImageWithAudio) -> None:
    assert isinstance(still, Source)
    assert still.info.kind is MediaKind.IMAGE
    assert still.info.tracks == {Track.VIDEO, Track.AUDIO}
    packets = read(still)
    check_laws(packets, still.info)
    (frame,) = [p for p in packets if isinstance(p, Frame)]
    assert frame.at.end_ns == still.info.duration_ns
    heard = sum(p.span.duration_ns for p in packets if isinstance(p, AudioChunk))
    assert heard == pytest.approx(7.37 * NS, rel=0.01)


def test_it_can_be_left_in_the_middle(still: ImageWithAudio) -> None:
    next(iter(still.packets()))
    still.close()
    still.close()
