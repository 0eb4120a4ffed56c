"""Several subtitle tracks in one film, muxed here."""

import re
from pathlib import Path

import av
import numpy as np
import pytest

from emofuse.core.media import Diagnostic, Utterance
from emofuse.errors import InputError
from emofuse.sources.file import FileSource

SPANISH = "No sé qué decirte, estoy muy triste."
ENGLISH = "I do not know what to tell you."


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of sound with a Spanish and an English subtitle track."""
    folder = tmp_path_factory.mktemp("film")
    for name, text in (("es", SPANISH), ("en", ENGLISH)):
        (folder / f"{name}.srt").write_text(f"1\n00:00:00,000 --> 00:00:00,900\n{text}\n")
    path = folder / "film.mkv"
    with (
        av.open(str(path), "w") as out,
        av.open(str(folder / "es.srt")) as spanish,
        av.open(str(folder / "en.srt")) as english,
    ):
        sound = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        texts = [(c, out.add_stream_from_template(c.streams[0])) for c in (spanish, english)]
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
        frame.rate, frame.pts = 16000, 0
        out.mux(sound.encode(frame))
        for container, stream in texts:
            for packet in container.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return path


def read(source: FileSource) -> tuple[list[str], list[Diagnostic]]:
    items = list(source.packets())
    source.close()
    said = [item.text for item in items if isinstance(item, Utterance)]
    return said, [n for n in items if isinstance(n, Diagnostic) and n.code == "subtitle-tracks"]


def english(text: str) -> bool:
    return re.search(r"\bwhat\b", text) is not None


def test_the_track_that_the_model_reads_is_taken(film: Path) -> None:
    said, (note,) = read(FileSource(film, readable=english))
    assert said == [ENGLISH]
    assert "subtitles of track 2 are read; left out: track 1" in note.message


def test_a_track_can_be_chosen(film: Path) -> None:
    assert read(FileSource(film, readable=english, subtitle_track=1)) == ([SPANISH], [])
    with pytest.raises(InputError, match=r"no subtitle track 3: film\.mkv has 2"):
        FileSource(film, subtitle_track=3)


def test_where_the_model_reads_none_the_first_is_taken(film: Path) -> None:
    said, (note,) = read(FileSource(film, readable=lambda text: False))
    assert said == [SPANISH]
    assert "track 1 are read" in note.message
