"""Fusing parts that belong together: what is counted, and what the default must not lose."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.core.estimates import Modality
from emofuse.core.labels import CANONICAL
from emofuse.evaluation.cross_corpus.paired import (
    FusedRow,
    PairedSet,
    Part,
    measure_all,
    measure_subset,
)

FACE, SPEECH, TEXT = Modality.FACE, Modality.SPEECH, Modality.TEXT
LABELS = CANONICAL.labels[:7]
PRIOR = np.full(7, 1 / 7)


def says(*labels: str, sure: float = 0.6) -> Part:
    """Say one label of each clip."""
    p = np.full((len(labels), 7), (1 - sure) / 6)
    p[np.arange(len(labels)), [LABELS.index(x) for x in labels]] = sure
    return Part(p, PRIOR)


def clips(actual: tuple[str, ...], **parts: Part) -> PairedSet:
    return PairedSet(
        "made",
        "made",
        "",
        LABELS,
        {Modality(name): part for name, part in parts.items()},
        np.array([LABELS.index(x) for x in actual]),
        tuple(str(i) for i in range(len(actual))),
    )


def both(row: PairedSet) -> FusedRow:
    return measure_subset(row, tuple(row.parts), 50)


def test_counts_are_those_of_hand() -> None:
    made = clips(
        ("happy", "happy", "happy", "sad"),
        face=says("happy", "happy", "angry", "fear", sure=0.9),
        speech=says("happy", "sad", "happy", "angry", sure=0.4),
    )
    found = both(made)
    # The surer face wins: right twice; of the two clips of which one part is right, once.
    assert found.measured.metrics["accuracy"].value == 0.5
    assert (found.one_right, found.one_right_of) == (0.5, 2)
    assert found.wrong_marked_of == 1
    assert found.gain is not None
    assert found.gain[0] == 0  # the face alone is right twice, too


def test_a_contradiction_of_sure_parts_is_marked() -> None:
    found = both(clips(("sad",), face=says("happy", sure=0.9), speech=says("sad", sure=0.9)))
    assert found.marked == 1


def test_neutral_words_take_nothing_from_a_face() -> None:
    rng = np.random.default_rng(0)
    actual = tuple(LABELS[i] for i in rng.integers(0, 7, 60))
    face = says(*(a if rng.random() < 0.7 else "sad" for a in actual))
    made = clips(actual, face=face, text=says(*["neutral"] * 60, sure=0.94))
    found = both(made)
    assert found.gain == (0.0, 0.0, 0.0)


def test_a_part_without_evidence_is_absent() -> None:
    heard = says("sad", "sad", sure=0.9)
    made = clips(
        ("happy", "sad"),
        face=says("happy", "happy", sure=0.5),
        speech=Part(heard.p, PRIOR, np.array([0.0, 1.0])),
    )
    found = both(made)
    assert found.measured.metrics["accuracy"].value == 1.0
    alone = measure_subset(made, (SPEECH,), 50)
    assert alone.measured.metrics["accuracy"].value == 0.5


@pytest.mark.parametrize("n", [2, 3])
def test_every_subset_is_measured(n: int) -> None:
    parts = {m.value: says("happy", "sad") for m in (FACE, SPEECH, TEXT)[:n]}
    found = measure_all(clips(("happy", "sad"), **parts), 50)
    assert len({row.subset for row in found}) == 2**n - 1
    assert [row.gain is None for row in found] == [len(row.subset) == 1 for row in found]
