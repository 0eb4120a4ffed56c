"""What a file is, is told by its content."""

import io
import zipfile
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from emofuse.core.media import MediaKind
from emofuse.server.http.errors import ApiError
from emofuse.server.http.media_types import HEAD, content_type, display_name


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
    found = content_type(head_of(media / name))
    assert (found.kind, found.suffix, found.mime) == (kind, suffix, mime)


@pytest.mark.parametrize("form", ["png", "webp", "bmp", "tiff", "jpeg"])
def test_pictures(form: str) -> None:
    data = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), (200, 100, 50)).save(data, form)
    found = content_type(data.getvalue()[:HEAD])
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
    assert content_type(head_of(path)).kind is MediaKind.AUDIO


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
    assert content_type(head_of(path)).kind is MediaKind.VIDEO


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("What a day.", ".txt"),
        ("ein schöner Tag " * 400, ".txt"),  # the cut goes through an umlaut now and then
        ("ö" * HEAD, ".txt"),
        ("x" + "ö" * HEAD, ".txt"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi", ".vtt"),
        ("\ufeff1\n00:00:01,000 --> 00:00:02,000\nHi\n", ".srt"),
        ("#EXTM3U\nhttp://example.org/a.mp4", ".txt"),  # a playlist is words to us
    ],
)
def test_texts(text: str, suffix: str) -> None:
    found = content_type(text.encode()[:HEAD])
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
        zipped(),
        b"\0\0\0\x1cftypheic" + bytes(32),
        bytes(range(256)) * 4,
        b"\x1f\x8b\x08\0\0\0\0\0",
    ],
)
def test_everything_else_is_refused(head: bytes) -> None:
    with pytest.raises(ApiError) as error:
        content_type(head, "clip.mp4")
    assert error.value.code == "unsupported-media"
    assert "clip.mp4" in error.value.message


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4"),
        ("a\0b\nc\x1b[31m.mp4", "abc[31m.mp4"),
        ("..", "upload"),
        ("", "upload"),
        (None, "upload"),
        ("häppy 😀.mp4", "häppy 😀.mp4"),
    ],
)
def test_names_are_never_paths(given: str | None, shown: str) -> None:
    assert display_name(given) == shown


def test_long_names_keep_their_ending() -> None:
    name = display_name("x" * 5000 + ".mp4")
    assert len(name) == 120
    assert name.endswith("x.mp4")
