from __future__ import annotations

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL, LabelMap, Taxonomy

FINE = Taxonomy("fine", ("calm", "joy", "pride", "noise"))
COARSE = Taxonomy("coarse", ("neutral", "happy", "angry"))


def test_a_map_sends_labels_to_targets_weights_or_nowhere() -> None:
    fine_to_coarse = LabelMap(
        FINE,
        COARSE,
        {
            "calm": {"neutral": 1.0},
            "joy": {"happy": 1.0},
            "pride": {"happy": 0.75, "neutral": 0.25},
        },
        {"noise": "not an emotion"},
    )
    np.testing.assert_allclose(
        fine_to_coarse.matrix, [[1, 0, 0], [0, 1, 0], [0.25, 0.75, 0], [0, 0, 0]]
    )
    assert fine_to_coarse.covered.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("weights", "dropped"),
    [
        ({"calm": {"neutral": 1.0}, "joy": {"happy": 1.0}}, {"noise": "x"}),  # pride forgotten
        (
            {"calm": {"neutral": 1.0}, "joy": {"happy": 1.0}, "pride": {"happy": 1.0}},
            {"noise": "x", "joy": "twice"},
        ),
        (
            {"calm": {"neutral": 0.5}, "joy": {"happy": 1.0}, "pride": {"happy": 1.0}},
            {"noise": "x"},
        ),
    ],
    ids=["forgotten", "twice", "weights"],
)
def test_a_map_accounts_for_every_label_once(weights: dict, dropped: dict) -> None:
    with pytest.raises(ValueError, match=r"each of its labels once|sum to 1"):
        LabelMap(FINE, COARSE, weights, dropped)


def test_a_map_knows_its_target() -> None:
    with pytest.raises(KeyError, match="no label 'glad'"):
        LabelMap(Taxonomy("one", ("joy",)), COARSE, {"joy": {"glad": 1.0}}, {})


def test_the_digest_follows_labels_and_order_not_the_name() -> None:
    same = Taxonomy("other name", CANONICAL.labels)
    assert same.digest == CANONICAL.digest
    assert Taxonomy("canonical", CANONICAL.labels[::-1]).digest != CANONICAL.digest
    assert Taxonomy("canonical", CANONICAL.labels, multi_label=True).digest != CANONICAL.digest


@pytest.mark.parametrize("labels", [(), ("a", "a")])
def test_a_taxonomy_needs_distinct_labels(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="distinct"):
        Taxonomy("bad", labels)
