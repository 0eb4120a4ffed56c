"""What is kept of an upload: its content's type, and a name that is never a path."""

import pytest

from emofuse.server.http.errors import ApiError
from emofuse.server.http.uploads import _check_text, content_type, display_name


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
