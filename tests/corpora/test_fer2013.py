import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.corpora.labels import taxonomy
from emofuse.corpora.manifest import Split
from emofuse.corpora.recipes import fer2013, recipe
from emofuse.errors import InputError

VOTES = taxonomy("ferplus").labels


def write_corpus(root: Path, rows: list[dict[str, str]]) -> None:
    columns = ["path", "split", "label", *VOTES, "duplicate_of_train", "blank"]
    with (root / "fer2013_labels.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    for i, row in enumerate(rows):
        path = root / "fer2013" / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 48), 20 * i, np.uint8)).save(path, quality=95)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    zero = dict.fromkeys(VOTES, "0")
    write_corpus(
        tmp_path,
        [
            {"path": "train/sad/1.jpg", "split": "train", "label": "sad", "blank": "0"}
            | zero
            | {"sadness": "7", "neutral": "3"},
            {
                "path": "test/fear/2.jpg",
                "split": "test",
                "label": "fear",
                "blank": "1",
                "duplicate_of_train": "train/sad/1.jpg",
            },
        ],
    )
    return tmp_path


def test_both_labellings_list_the_same_faces(root: Path) -> None:
    labelled, voted = fer2013.load(root), fer2013.load_votes(root)
    assert (
        [e.id for e in labelled] == [e.id for e in voted] == ["train/sad/1.jpg", "test/fear/2.jpg"]
    )
    assert [dict(e.labels) for e in labelled] == [{"sad": 1}, {"fear": 1}]
    assert [dict(e.labels) for e in voted] == [{"sadness": 7, "neutral": 3}, {}]


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ({"happiness": 6, "neutral": 4}, {"happiness": 1.0}),
        ({"happiness": 5, "neutral": 5}, {}),  # a half is no majority
        ({"happiness": 5, "neutral": 3, "fear": 1, "sadness": 1}, {"happiness": 1.0}),  # of eight
        ({"happiness": 4, "neutral": 3, "surprise": 3}, {}),
        ({"unknown": 6, "fear": 4}, {}),
        ({"NF": 10}, {}),
        ({"contempt": 1}, {}),
        ({}, {}),
    ],
)
def test_the_majority_is_counted_as_by_its_authors(
    votes: dict[str, float], label: dict[str, float]
) -> None:
    assert fer2013.agreed(votes) == label


def test_faces_without_a_majority_are_left_out(root: Path) -> None:
    (entry,) = recipe("fer2013").load(root, "ferplus-majority")
    assert (entry.id, dict(entry.labels)) == ("train/sad/1.jpg", {"sadness": 1.0})


def test_split_and_flags(root: Path) -> None:
    first, second = fer2013.load(root)
    assert (first.split, first.flags) == (Split.TRAIN, frozenset())
    assert (second.split, second.flags) == (Split.TEST, {fer2013.BLANK, fer2013.DUPLICATE})


def test_images_are_read_in_order(root: Path) -> None:
    images = fer2013.read_images(fer2013.load(root))
    assert images.shape == (2, 48, 48)
    assert images.dtype == np.uint8
    assert [round(float(i.mean())) for i in images] == [0, 20]


def test_missing_corpus_and_broken_image(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the table fer2013_labels.csv"):
        fer2013.load(tmp_path / "nowhere")
    (root / "fer2013/train/sad/1.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1\.jpg is not an image"):
        fer2013.read_images(fer2013.load(root))


def test_the_real_table(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "fer2013").mkdir()
    (tmp_path / "fer2013_labels.csv").symlink_to(shared / "fer2013_labels.csv")
    manifest = fer2013.load(tmp_path)
    sizes = {split: len(manifest.of(split)) for split in Split}
    assert sizes == {Split.TRAIN: 28709, Split.VALIDATION: 3589, Split.TEST: 3589}
    assert len(manifest) - len(manifest.without(fer2013.BLANK)) == 13
    assert len(manifest) - len(manifest.without(fer2013.DUPLICATE)) == 595
    assert sum(not e.labels for e in fer2013.load_votes(tmp_path)) == 176
