"""Agreement of hand and machine."""

from __future__ import annotations

import numpy as np
import pytest
from tests.export.synthetic import face, timeline

from emofuse.annotations import Annotations, apply
from emofuse.annotations.agreement import Pair, agreement, pairs_of
from emofuse.annotations.edits import Confirm, SetLabel
from emofuse.core.estimates import Modality

LABELS = ("neutral", "happy", "sad")


def pairs(n: int, clusters: int, right: float, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        hand = str(rng.choice(LABELS))
        machine = hand if rng.random() < right else str(rng.choice(LABELS))
        out.append(Pair(("file", f"face-{i % clusters}"), hand, machine, True))
    return out


def test_kappa_is_that_of_the_reference() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    given = pairs(400, 8, 0.6)
    found = agreement(given)
    hand, machine = [p.hand for p in given], [p.machine for p in given]
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(hand, machine))
    for row in found.labels:
        one, other = ([label == row.label for label in some] for some in (hand, machine))
        assert row.kappa == pytest.approx(metrics.cohen_kappa_score(one, other))
        assert (row.hand, row.machine) == (sum(one), sum(other))
    assert found.same == sum(a == b for a, b in zip(hand, machine, strict=True))


def test_the_interval_holds_the_truth_and_narrows() -> None:
    few, many = (agreement(pairs(n, n // 10, 0.6)).interval for n in (100, 2000))
    assert few is not None
    assert many is not None
    assert few[0] < 0.6 < few[1]
    assert many[1] - many[0] < few[1] - few[0]
    assert agreement(pairs(100, 10, 0.6)) == agreement(pairs(100, 10, 0.6))


def test_it_says_when_there_is_too_little() -> None:
    wrong = agreement([Pair(("a", "face-1"), "happy", "sad", True)] * 4)
    assert wrong.interval is None
    assert wrong.kappa == pytest.approx(0)
    told = " ".join(wrong.warnings)
    for part in ("Only what was wrong", "4 slots are few", "1 person", "one label only"):
        assert part in told
    assert agreement(pairs(500, 10, 0.6)).warnings == ()
    assert agreement([Pair(("a", "b"), "sad", "sad", True)] * 9).kappa is None


def test_what_hands_label_and_confirm_is_compared() -> None:
    found = timeline(24)
    lane = found.of(Modality.FUSED, face(1))
    other = "sad" if lane[0].label != "sad" else "fear"
    edits = [
        Confirm(subject="face-1", start=0, end=4),
        SetLabel(subject="face-1", start=0, end=1, label=other),
    ]
    compared = list(pairs_of(apply(found, Annotations.of(found).with_edits(edits))))
    assert len(compared) == 8
    assert [p.hand == p.machine for p in compared] == [False] * 2 + [True] * 6
