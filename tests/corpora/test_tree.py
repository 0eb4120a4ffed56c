from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpora.made import text

from emofuse.corpora import tree
from emofuse.corpora.manifest import Split
from emofuse.corpora.recipe import named_split, speaker_folds
from emofuse.errors import InputError


def test_media_are_found_in_any_case_and_depth_without_clutter(tmp_path: Path) -> None:
    for name in ("b/c/d.WAV", "a.flac", "b/.hidden.wav", "__MACOSX/a.wav", "._a.wav", "a.txt"):
        text(tmp_path / name, "x")
    found = tree.media(tmp_path, tree.AUDIO)
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["a.flac", "b/c/d.WAV"]


def test_a_link_that_leads_back_up_does_not_run_in_circles(tmp_path: Path) -> None:
    text(tmp_path / "a" / "x.wav", "x")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(tree.media(tmp_path, tree.AUDIO)) == 1


def test_a_linked_folder_is_looked_into(tmp_path: Path) -> None:
    text(tmp_path / "disk" / "x.wav", "x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "data").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert tree.media(tmp_path / "root", tree.AUDIO) == [tmp_path / "root" / "data" / "x.wav"]


def test_the_least_deep_file_is_found_first(tmp_path: Path) -> None:
    text(tmp_path / "a" / "labels.csv", "deep")
    text(tmp_path / "z" / "LABELS.csv", "deep")
    assert tree.find(tmp_path, "labels.csv") == tmp_path / "a" / "labels.csv"
    text(tmp_path / "Labels.CSV", "x")
    assert tree.find(tmp_path, "labels.csv") == tmp_path / "Labels.CSV"
    assert tree.find(tmp_path, "none.csv") is None


def test_tables_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffname, age \r\n"a, \u2028b",7\r\n\r\nc,8\r\n'.encode())
    assert tree.read_table(path, "age") == [
        {"name": "a, \u2028b", "age": "7"},
        {"name": "c", "age": "8"},
    ]


def test_tables_that_lack_something_are_refused(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "name,age\na\n")
    with pytest.raises(InputError, match=r"lacks the columns sex; it has name, age"):
        tree.read_table(path, "name", "sex")
    with pytest.raises(InputError, match="line 2: 1 cells, expected 2"):
        tree.read_table(path)
    with pytest.raises(InputError, match="cannot read the table"):
        tree.read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot read"):
        tree.read_lines(tmp_path / "none.txt")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        tree.media(tmp_path / "none", tree.AUDIO)
    with pytest.raises(InputError, match="there is no folder"):
        tree.find(tmp_path / "none", "x")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/happy/1.jpg", Split.TRAIN),
        ("Corpus_Val/happy/1.jpg", Split.VALIDATION),
        ("dev_splits_complete/1.mp4", Split.VALIDATION),
        ("train/test_set/1.jpg", Split.TEST),
        ("constraints/1.jpg", None),
        ("happy/train.jpg", None),
    ],
)
def test_folders_name_the_split(path: str, split: Split | None) -> None:
    assert named_split(Path("/train") / path, Path("/train")) is split


def test_speakers_are_dealt_out_by_name() -> None:
    assert speaker_folds(["c", "a", "b", "a"], 2) == {"a": 0, "b": 1, "c": 0}
