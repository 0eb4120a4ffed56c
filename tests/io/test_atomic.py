import doctest
from pathlib import Path

import pytest

from emofuse.io import atomic, download
from emofuse.io.atomic import atomic_path, write_atomic


@pytest.mark.parametrize("module", [atomic, download])
def test_the_examples_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_there_is_replaced_at_once(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path, durable=durable) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    write_atomic(path, "größer", durable=durable)
    assert path.read_bytes() == "größer".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_the_old_and_nothing_else(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as part:
            if folder:
                part.mkdir()
                part = part / "inside"
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "made" / "folder") as part:
        part.mkdir()
        (part / "x").write_text("1")
        assert not (tmp_path / "made" / "folder").exists()
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["folder"]
    assert (tmp_path / "made" / "folder" / "x").read_text() == "1"


def test_what_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_atomic(tmp_path / "file" / "x", b"")
