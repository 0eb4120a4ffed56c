"""Text on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sources.derive import MEDIA
from tests.sources.source_laws import check_laws, end_of, of, read

from emofuse.core.media import MediaKind, Track, Utterance
from emofuse.core.time import Span
from emofuse.errors import InputError
from emofuse.sources.file import open_source

SRT = MEDIA / "talking.srt"


def test_utterances_in_order() -> None:
    given = [Utterance("two", Span.of_seconds(3, 4)), Utterance("one", Span.of_seconds(0, 5))]
    source = open_source(SRT, utterances=given)
    packets = read(source)
    check_laws(packets, source.info)
    assert [u.text for u in of(packets, Utterance)] == ["one", "two"]
    assert end_of(packets) == 5
    assert source.info.kind is MediaKind.TEXT
    assert source.info.tracks == {Track.TEXT}
    assert source.info.duration == 5


def test_nothing_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" ")
    packets = read(open_source(tmp_path / "a.txt", utterances=[]))
    assert end_of(packets) == 0


def test_text_must_have_been_read() -> None:
    with pytest.raises(InputError, match="read_transcript"):
        open_source(SRT)


def test_missing_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        open_source(tmp_path / "a.txt", utterances=[])
