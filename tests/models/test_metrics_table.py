"""Figures one by one become rows that can be compared."""

from __future__ import annotations

import pytest

from emofuse.models import metrics_table as figures
from emofuse.models.card import Metric
from emofuse.models.store import ModelLocation, Store


def metric(name: str, value: float, split: str = "test", protocol: str = "10 faces") -> Metric:
    return Metric("FER+", split, name, value, protocol)


def test_one_row_for_one_set_of_samples() -> None:
    table = figures.rows(
        [
            metric("accuracy", 0.8, protocol="10 faces; one crop"),
            metric("ece", 0.02, protocol="10 faces; one crop; 15 bins"),
            metric("nll", 0.5),
            metric("uar", 0.7, "test, blurred"),
        ]
    )
    assert [(r.name, r.values) for r in table] == [
        ("FER+ test", {"accuracy": 0.8, "ece": 0.02}),
        ("FER+ test, blurred", {"uar": 0.7}),
    ]
    assert table[0].protocol == "10 faces; one crop"
    assert figures.measures(table) == ["accuracy", "uar", "ece"]


@pytest.mark.parametrize(
    ("name", "measure", "row"),
    [
        ("ferplus_majority_accuracy", "accuracy", "FER+ test, majority"),
        ("ferplus_macro_f1", "macro_f1", "FER+ test"),
        ("uar_open", "uar", "FER+ test, open"),
        ("f1_happy", "f1", "FER+ test, happy"),
        ("recall, faces of at least 40 pixels", "recall", "FER+ test, faces of at least 40 pixels"),
    ],
)
def test_a_name_may_say_more_than_a_measure(name: str, measure: str, row: str) -> None:
    (found,) = figures.rows([metric(name, 0.5)])
    assert (found.name, found.values) == (row, {measure: 0.5})


def test_figures_of_other_samples_stay_apart() -> None:
    """One row never mixes an accuracy of all faces with an error of the undisputed ones."""
    table = figures.rows([metric("accuracy", 0.8), metric("ece", 0.1, protocol="8 faces; x")])
    assert [r.values for r in table] == [{"accuracy": 0.8}, {"ece": 0.1}]


def test_what_was_chosen_on_comes_last() -> None:
    table = figures.rows([metric("uar", 0.9, "validation"), metric("uar", 0.8, "test")])
    assert [r.split for r in table] == ["test", "validation"]


def test_every_embedded_model_that_was_measured_has_a_headline() -> None:
    store = Store()
    for card in store.cards():
        if store.location(card) is ModelLocation.EMBEDDED:
            first = figures.rows(card.metrics)[0]
            assert all(0 <= v <= 1 for v in first.values.values()), card.id
