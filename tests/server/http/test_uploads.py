"""What is kept of an upload: its content's type, and a name that is never a path."""

import pytest

from emofuse.server.http.errors import ApiError
from emofuse.server.http.uploads import _check_text, _parse_json, content_type, display_name


def test_what_cannot_be_analyzed_is_refused_by_name() -> None:
    with pytest.raises(ApiError) as error:
        content_type(b"\x7fELF\x02\x01\x01", "clip.mp4")
    assert error.value.code == "unsupported-media"
    assert "clip.mp4" in error.value.message


def test_a_text_under_another_name_is_no_transcript() -> None:
    found = content_type(b"# How to install\n\nRead on.\n")
    for name in ("README.md", "table.csv", "clip.mp4"):
        with pytest.raises(ApiError, match="holds text under a name"):
            _check_text(found, name)
    for name in ("said.txt", "said.SRT", "upload"):
        _check_text(found, name)


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


@pytest.mark.parametrize(
    "start",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'>",
        "<?xml version='1.0'?><playlist/>",
        "<!DOCTYPE html><p>",
        "<asx version='3'>",
        "%!PS-Adobe-3.0 EPSF-3.0\n",
        "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "[playlist]\nFile1=/etc/passwd\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_drawings_and_playlists_are_no_words(start: str, encoding: str) -> None:
    with pytest.raises(ApiError) as error:
        content_type(f"\n {start}".encode(encoding) + b"", "said.txt")
    assert error.value.code == "unsupported-media"


def test_an_eps_with_a_preview_is_no_text() -> None:
    with pytest.raises(ApiError):
        content_type(b"\xc5\xd0\xd3\xc6" + b"x" * 100)


def test_large_json_of_many_values_is_not_parsed() -> None:
    with pytest.raises(ValueError, match="too many values"):
        _parse_json(b"[" + b"1," * 3_000_000 + b"1]")
    prose = ("Well, so, yes. " * 70_000).encode()
    assert len(_parse_json(b'{"text": "' + prose + b'"}')["text"]) == len(prose)
    picture = b"data:image/png;base64," + b"A" * 5_000_000
    assert _parse_json(b'{"img": "' + picture + b'", "actions": ["emotion"]}')["img"]
