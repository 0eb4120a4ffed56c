"""What a file is, is told by its content."""

import doctest
import io
import zipfile
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from emofuse.core.media import MediaKind
from emofuse.io import media_types
from emofuse.io import text as text_files
from emofuse.io.media_types import HEAD, by_content, by_suffix


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


@pytest.mark.parametrize(
    ("name", "kind", "suffix", "mime"),
    [
        ("portrait.jpg", MediaKind.IMAGE, ".jpg", "image/jpeg"),
        ("talking.mp4", MediaKind.VIDEO, ".mp4", "video/mp4"),
        ("speech.ogg", MediaKind.AUDIO, ".ogg", "audio/ogg"),
        ("talking.srt", MediaKind.TEXT, ".srt", "text/plain; charset=utf-8"),
    ],
)
def test_the_clips(media: Path, name: str, kind: MediaKind, suffix: str, mime: str) -> None:
    found = by_content(head_of(media / name))
    assert (found.kind, found.suffix, found.mime) == (kind, suffix, mime)


@pytest.mark.parametrize("form", ["png", "webp", "bmp", "tiff", "jpeg"])
def test_pictures(form: str) -> None:
    data = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), (200, 100, 50)).save(data, form)
    found = by_content(data.getvalue()[:HEAD])
    assert found.kind is MediaKind.IMAGE
    assert found.mime == f"image/{form}"


CODECS = {"wav": "pcm_s16le", "aiff": "pcm_s16be", "flac": "flac", "mp3": "mp3", "ogg": "libopus"}
SOUNDS = ["wav", "flac", "mp3", "ogg", "aiff", "adts", "ipod"]
MOVIES = ["mp4", "mov", "matroska", "webm", "avi", "mpegts", "flv"]


@pytest.mark.parametrize("form", SOUNDS)
def test_sounds(tmp_path: Path, form: str) -> None:
    codecs = {
        "wav": "pcm_s16le",
        "aiff": "pcm_s16be",
        "flac": "flac",
        "mp3": "mp3",
        "ogg": "libopus",
    }
    path = tmp_path / "sound"
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codecs.get(form, "aac"), rate=48000, layout="mono")
        silence = np.zeros((1, 9600), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, "s16", "mono")
        frame.rate = 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    assert by_content(head_of(path)).kind is MediaKind.AUDIO


@pytest.mark.parametrize("form", MOVIES)
def test_movies(tmp_path: Path, form: str) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(form, "libx264")
    path = tmp_path / "movie"
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            grey = np.full((48, 64, 3), 128, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    assert by_content(head_of(path)).kind is MediaKind.VIDEO


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("What a day.", ".txt"),
        ("ein schöner Tag " * 400, ".txt"),  # the cut goes through an umlaut now and then
        ("ö" * HEAD, ".txt"),
        ("x" + "ö" * HEAD, ".txt"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi", ".vtt"),
        ("\ufeff1\n00:00:01,000 --> 00:00:02,000\nHi\n", ".srt"),
    ],
)
def test_texts(text: str, suffix: str) -> None:
    found = by_content(text.encode()[:HEAD])
    assert (found.kind, found.suffix) == (MediaKind.TEXT, suffix)


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a", "b")
    return data.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"   \n ",
        b"\x7fELF\x02\x01\x01\x00" + bytes(64),
        b"%PDF-1.7\nsome text",
        b"#EXTM3U\nhttp://example.org/a.mp4",  # a playlist is nobody's words
        zipped(),
        bytes(range(256)) * 4,
        b"\x1f\x8b\x08\0\0\0\0\0",
    ],
)
def test_everything_else_is_unknown(head: bytes) -> None:
    assert by_content(head) is None


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n<HTML lang=en><head>"])
def test_an_error_page_is_no_text(page: bytes) -> None:
    assert by_content(page + b"<title>403 Forbidden</title>") is None


def test_suffixes_say_the_same_as_contents(media: Path) -> None:
    for name in ("portrait.jpg", "talking.mp4", "speech.ogg", "talking.srt"):
        assert by_suffix(name.upper()) == by_content(head_of(media / name))


def test_the_examples_hold() -> None:
    assert doctest.testmod(media_types).failed == 0
    assert doctest.testmod(text_files).failed == 0
