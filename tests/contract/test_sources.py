"""What every source must do: order, promises, tiling frames, one common end, a calm close."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sources.source_laws import check_laws, read

from emofuse.core.media import AudioChunk, Frame, Track, Utterance
from emofuse.core.protocols import Source
from emofuse.sources.file import open_source
from emofuse.sources.paced import Paced
from emofuse.sources.prefetch import Prefetch
from emofuse.text.transcripts import read_transcript

ITEM = {Track.VIDEO: Frame, Track.AUDIO: AudioChunk, Track.TEXT: Utterance}


def with_transcript(folder: Path) -> Source:
    utterances = read_transcript(folder / "talking.srt")
    return open_source(folder / "speech.ogg", utterances=utterances, transcript="talking.srt")


def text(folder: Path) -> Source:
    path = folder / "talking.srt"
    return open_source(path, utterances=read_transcript(path))


SOURCES: dict[str, Callable[[Path], Source]] = {
    "video": lambda folder: open_source(folder / "talking.mp4"),
    "sound": lambda folder: open_source(folder / "speech.ogg"),
    "sound with transcript": with_transcript,
    "picture": lambda folder: open_source(folder / "portrait.jpg"),
    "text": text,
    "played picture": lambda folder: Paced(lambda: open_source(folder / "portrait.jpg")),
    "prefetched video": lambda folder: Prefetch(open_source(folder / "talking.mp4")),
}


@pytest.fixture(params=list(SOURCES))
def source(request: pytest.FixtureRequest, media: Path) -> Source:
    return SOURCES[request.param](media)


def test_it_is_a_source(source: Source) -> None:
    assert isinstance(source, Source)
    source.close()


def test_it_delivers_what_it_announces_and_keeps_the_laws(source: Source) -> None:
    info = source.info
    assert info.tracks
    packets = read(source)
    for track in info.tracks:
        assert any(isinstance(p, ITEM[track]) for p in packets), f"nothing came from {track}"
    check_laws(packets, info)


def test_it_can_be_left_in_the_middle(source: Source) -> None:
    packets = iter(source.packets())
    next(packets)
    source.close()
    source.close()
