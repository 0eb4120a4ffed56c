from pathlib import Path

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.corpora import labels
from emofuse.corpora.manifest import Entry
from emofuse.errors import InputError


def test_canonical_file_is_the_canonical_taxonomy() -> None:
    assert labels.taxonomy("canonical") == CANONICAL


@pytest.mark.parametrize("name", labels.names())
def test_every_label_goes_somewhere_or_says_why_not(name: str) -> None:
    native, to = labels.taxonomy(name), labels.load_map(name)
    assert to.source == native
    assert to.target == CANONICAL
    assert set(to.weights) | set(to.dropped) == set(native.labels)
    assert all(len(reason) > 5 for reason in to.dropped.values())


def test_fer2013_lacks_contempt_and_ferplus_has_it() -> None:
    contempt = CANONICAL.index("contempt")
    assert not labels.load_map("fer2013").covered[contempt]
    assert labels.load_map("ferplus").covered.all()


def test_votes_become_a_distribution_without_the_dropped_ones() -> None:
    target = labels.soft_target(
        {"happiness": 3, "neutral": 1, "unknown": 6}, labels.load_map("ferplus")
    )
    assert target[CANONICAL.index("happy")] == pytest.approx(0.75)
    assert target[CANONICAL.index("neutral")] == pytest.approx(0.25)
    assert target.sum() == pytest.approx(1)


def test_no_usable_vote_gives_nothing() -> None:
    assert not labels.soft_target({"NF": 10}, labels.load_map("ferplus")).any()
    assert not labels.soft_target({}, labels.load_map("ferplus")).any()


def test_targets_stack_in_order() -> None:
    entries = [Entry("a", labels={"sad": 1}), Entry("b", labels={"fear": 1})]
    targets = labels.soft_targets(entries, labels.load_map("fer2013"))
    assert targets.argmax(axis=1).tolist() == [CANONICAL.index("sad"), CANONICAL.index("fear")]
    assert labels.soft_targets([], labels.load_map("fer2013")).shape == (0, 8)
    assert targets.dtype == np.float32


def test_unknown_taxonomy_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no taxonomy 'fer'.*fer2013"):
        labels.taxonomy("fer")


# Labels of one's own


def test_a_kept_taxonomy_has_its_own_map() -> None:
    assert labels.map_of(labels.taxonomy("ferplus")) is labels.load_map("ferplus")


def test_common_names_find_their_place() -> None:
    to = labels.map_of(Taxonomy("mine", ("Joy", " anger", "fearful", "surprise")))
    assert {k: dict(v) for k, v in to.weights.items()} == {
        "Joy": {"happy": 1.0},
        " anger": {"angry": 1.0},
        "fearful": {"fear": 1.0},
        "surprise": {"surprise": 1.0},
    }


def test_a_label_without_a_place_is_named_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"no place .* for 'boredom', 'awe' of 'mine'.*--map"):
        labels.map_of(Taxonomy("mine", ("joy", "boredom", "awe")))


def test_a_taxonomy_that_only_shares_the_name_of_a_kept_one_is_another() -> None:
    with pytest.raises(InputError, match="'rage' of 'fer2013'"):
        labels.map_of(Taxonomy("fer2013", ("happy", "rage")))


def test_a_file_says_where_labels_go(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        '[map]\nawe = { surprise = 0.5, happy = 0.5 }\njoy = "surprise"\nother = "sad"\n'
        '[drop]\nboredom = "it is none of them"\n'
    )
    to = labels.map_of(Taxonomy("mine", ("joy", "boredom", "awe", "anger")), path)
    assert dict(to.weights["awe"]) == {"surprise": 0.5, "happy": 0.5}
    assert dict(to.weights["joy"]) == {"surprise": 1.0}
    assert dict(to.weights["anger"]) == {"angry": 1.0}
    assert dict(to.dropped) == {"boredom": "it is none of them"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[map\n", "cannot read the label map"),
        ("map = 3\n", "map and drop are tables"),
        ('[map]\njoy = "glad"\n', "no label 'glad'"),
        ("[map]\njoy = { happy = 0.5 }\n", "sum to 1"),
        ('[map]\njoy = "happy"\n[drop]\njoy = "no"\n', "each of its labels once"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refused:
        labels.map_of(Taxonomy("mine", ("joy",)), path)
    assert str(path) in str(refused.value)


def test_answers_fold_into_valence() -> None:
    to = labels.to_valence()
    assert to.source == CANONICAL
    assert to.target == labels.taxonomy("valence")
    assert set(to.dropped) == {"surprise"}
    assert to.covered.all()
