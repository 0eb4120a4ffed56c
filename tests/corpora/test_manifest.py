import pytest

from emofuse.core.labels import Taxonomy
from emofuse.corpora.manifest import Entry, Manifest, Split

MOODS = Taxonomy("moods", ("good", "bad"))


def test_parts_keep_the_order() -> None:
    entries = (
        Entry("1", labels={"good": 1}),
        Entry("2", split=Split.TEST, flags=frozenset({"blank"})),
        Entry("3", split=Split.TEST),
    )
    manifest = Manifest("c", MOODS, entries)
    assert [e.id for e in manifest.of(Split.TEST)] == ["2", "3"]
    assert [e.id for e in manifest.without("blank", "other")] == ["1", "3"]
    assert len(manifest.where(lambda e: "good" in e.labels)) == 1
    assert manifest.of(Split.TRAIN).taxonomy is MOODS


def test_equal_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        Manifest("c", MOODS, (Entry("1"), Entry("1")))


def test_foreign_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'1' has labels \['ugly'\]"):
        Manifest("c", MOODS, (Entry("1", labels={"ugly": 1}),))


def test_weights_are_positive() -> None:
    with pytest.raises(ValueError, match="> 0"):
        Entry("1", labels={"good": 0})
