import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
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
