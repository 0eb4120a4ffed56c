"""GoEmotions' recipe and maps, on tables made here and on the corpus where it is present."""

from __future__ import annotations

from pathlib import Path

import pytest

from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import load_map, soft_target
from emofuse.corpora.manifest import Split
from emofuse.corpora.recipes.goemotions import Grain, load
from emofuse.errors import InputError


def write(root: Path, grain: Grain, lines: dict[str, str]) -> Path:
    folder = root / grain.value
    folder.mkdir(parents=True)
    name = {Grain.FINE: "goemotions", Grain.EKMAN: "goemotions_ekman"}[grain]
    labels = load_map(name).source.labels
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    for split in ("train", "dev", "test"):
        (folder / f"{split}.tsv").write_text(lines.get(split, ""), encoding="utf-8")
    return root


def test_tables_become_entries(tmp_path: Path) -> None:
    lines = {"train": "I love it 😍\t3\ta1\nHm…\u2028 what?\t4,6\ta2\n", "test": "ugh\t1\tb1\n"}
    manifest = load(write(tmp_path, Grain.EKMAN, lines))
    first, second, third = manifest
    assert (first.id, first.text, dict(first.labels)) == ("a1", "I love it 😍", {"joy": 1.0})
    assert set(second.labels) == {"neutral", "surprise"}
    assert second.text == "Hm…\u2028 what?"
    assert [e.split for e in manifest] == [Split.TRAIN, Split.TRAIN, Split.TEST]
    target = soft_target(second.labels, load_map("goemotions_ekman"))
    assert target[CANONICAL.index("neutral")] == target[CANONICAL.index("surprise")] == 0.5
    assert third.split is Split.TEST


@pytest.mark.parametrize(
    "line", ["only text\n", "text\t99\tid\n", "text\tjoy\tid\n", "a\tb\t1\tc\n"]
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    root = write(tmp_path, Grain.EKMAN, {"dev": "fine\t3\tx\n" + line})
    with pytest.raises(InputError, match=r"dev\.tsv, line 2"):
        load(root)


def test_other_labels_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, Grain.EKMAN, {})
    (root / "ekman" / "labels.txt").write_text("joy\nsorrow\n", encoding="utf-8")
    with pytest.raises(InputError, match="lists joy, sorrow"):
        load(root)


def test_a_missing_corpus_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="original/ and ekman/"):
        load(tmp_path / "nowhere")


def test_contempt_is_unknown_and_not_absent() -> None:
    for name in ("goemotions", "goemotions_ekman"):
        covered = load_map(name).covered
        assert [label for label, c in zip(CANONICAL.labels, covered, strict=True) if not c] == [
            "contempt"
        ]


def test_our_map_of_the_fine_labels_is_the_authors_grouping(shared: Path) -> None:
    """The corpus comes in both labellings; folding one must give the other, everywhere."""
    fine, coarse = (load(shared / "goemotions", grain) for grain in (Grain.FINE, Grain.EKMAN))
    assert len(fine) == 43_410 + 5_426 + 5_427
    to_fine, to_coarse = load_map("goemotions").weights, load_map("goemotions_ekman").weights
    for a, b in zip(fine, coarse, strict=True):
        assert (a.id, a.text, a.split) == (b.id, b.text, b.split)
        folded = {target for label in a.labels for target in to_fine[label]}
        assert folded == {target for label in b.labels for target in to_coarse[label]}, a.id
