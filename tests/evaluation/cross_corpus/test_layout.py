"""Archives are unpacked into the cache; the folder of the corpora stays as it is."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from emofuse.errors import InputError
from emofuse.evaluation.cross_corpus.layout import unpacked


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two archives, one a folder down, and a table."""
    root, made = tmp_path / "root", tmp_path / "made"
    (root / "more").mkdir(parents=True)
    for name, at in (("ck48", root / "more"), ("ravdess", root), ("others", root)):
        (made / name).mkdir(parents=True)
        (made / name / "a.txt").write_text(name)
        with tarfile.open(at / f"{name}.tar", "w") as archive:
            archive.add(made / name, name)
    (root / "ravdess.csv").write_text("clip\n")
    return root


def test_what_is_wanted_is_unpacked_and_the_rest_linked(root: Path, tmp_path: Path) -> None:
    before = sorted(root.rglob("*"))
    home = unpacked(root, tmp_path / "cache")
    assert (home / "ck48" / "a.txt").read_text() == "ck48"
    assert (home / "ravdess" / "a.txt").read_text() == "ravdess"
    assert (home / "ravdess.csv").read_text() == "clip\n"
    assert not (home / "others").exists()
    assert sorted(root.rglob("*")) == before


def test_an_archive_is_unpacked_once_and_again_when_it_changed(root: Path, tmp_path: Path) -> None:
    home = unpacked(root, tmp_path / "cache")
    (home / "ck48" / "a.txt").write_text("ours")
    assert unpacked(root, tmp_path / "cache") == home
    assert (home / "ck48" / "a.txt").read_text() == "ours"
    with tarfile.open(root / "more" / "ck48.tar", "a") as archive:
        archive.add(root / "ravdess.csv", "ck48/b.txt")
    unpacked(root, tmp_path / "cache")
    assert (home / "ck48" / "b.txt").is_file()


def test_a_folder_without_archives_is_used_as_it_is(root: Path, tmp_path: Path) -> None:
    for name in ("ravdess.tar", "more/ck48.tar"):
        (root / name).unlink()
    assert unpacked(root, tmp_path / "cache") == root
    assert not (tmp_path / "cache").exists()


def test_what_is_unpacked_already_is_not_unpacked(root: Path, tmp_path: Path) -> None:
    (root / "ravdess").mkdir()
    (root / "more" / "ck48").mkdir()
    assert unpacked(root, tmp_path / "cache") == root


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        unpacked(tmp_path / "nowhere", tmp_path)
