"""Tables of faces, and which photo is for what."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emofuse.corpora.manifest import Split
from emofuse.errors import InputError
from emofuse.face.detect import Detection
from emofuse.training.detector.photos import (
    COLUMNS,
    Photo,
    label,
    near_duplicates,
    read_photos,
    split_of,
)


class Oracle:
    """Knows where the one bright square of a picture is."""

    name = "yunet"

    def detect(self, image: np.ndarray) -> list[Detection]:
        rows, columns = np.nonzero(image[..., 0] > 200)
        if not len(rows):
            return []
        x, y = float(columns.min()), float(rows.min())
        w, h = float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1
        points = np.array([[x, y]] * 5, np.float32)
        return [Detection((x, y, w, h), 0.9, points)]


def square() -> np.ndarray:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:30, 20:35] = 255
    return picture


def test_what_a_teacher_labels_can_be_read_back(tmp_path: Path) -> None:
    """In pixels of the stored picture, although small ones are enlarged for the teacher."""
    pictures = {"a.png": square(), "b.png": np.zeros((20, 20, 3), np.uint8)}
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture)
    assert label(pictures.items(), Oracle(), tmp_path / "faces.csv") == 1
    a, b = read_photos(tmp_path / "faces.csv", tmp_path)
    assert (a.name, b.name) == ("a.png", "b.png")
    assert a.faces[0, :4] == pytest.approx((20, 10, 15, 20), abs=1.0)
    assert a.faces[0, 4:6] == pytest.approx((20, 10), abs=1.0)
    assert a.faces[0, 14] == pytest.approx(0.9)
    assert b.faces.shape == (0, 15)
    assert [p.name for p in read_photos(tmp_path / "faces.csv", tmp_path, "b.png".__eq__)] == [
        "b.png"
    ]


def test_a_photo_never_changes_sides() -> None:
    parts = [split_of(f"photo{i}.jpg") for i in range(2000)]
    assert parts == [split_of(f"photo{i}.jpg") for i in range(2000)]
    assert 0.08 < parts.count(Split.TEST) / 2000 < 0.16
    assert 0.03 < parts.count(Split.VALIDATION) / 2000 < 0.07


def test_near_duplicates_are_noticed(media: Path) -> None:
    portrait, none = cv2.imread(str(media / "portrait.jpg")), np.zeros((0, 15), np.float32)
    original = Photo("a", portrait, none)
    smaller = Photo("b", cv2.resize(portrait, (120, 120)), none)
    other = Photo("c", np.ascontiguousarray(portrait[::-1]), none)
    assert near_duplicates([smaller, other], [original]) == {"b"}
    assert near_duplicates([], [original]) == set()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv"):
        read_photos(tmp_path / "absent.csv", tmp_path)
    (tmp_path / "short.csv").write_text("image,width\n")
    with pytest.raises(InputError, match="lacks the columns"):
        read_photos(tmp_path / "short.csv", tmp_path)
    (tmp_path / "table.csv").write_text(",".join(COLUMNS) + "\nx.jpg,9,9" + "," * 15 + "\n")
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"x\.jpg"):
        read_photos(tmp_path / "table.csv", tmp_path)
