"""How finds are counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emofuse.face.detect import Detection
from emofuse.training.detector.detection_metrics import MetricState, compare, from_rows


def face(x: float, side: float = 50.0, score: float = 0.9) -> Detection:
    return Detection((x, 0.0, side, side), score, np.full((5, 2), x, np.float32))


def test_each_reference_is_found_once() -> None:
    tally = compare([face(2), face(-3, score=0.8)], [face(0)])
    assert (tally.faces, tally.hits, tally.wrong) == (1, 1, 1)
    assert tally.offset == pytest.approx(2 * math.sqrt(2) / 50)


def test_what_is_missed_and_what_is_made_up() -> None:
    tally = compare([face(500)], [face(0), face(200)])
    assert (tally.faces, tally.hits, tally.wrong) == (2, 0, 1)
    assert tally.recall == 0
    assert tally.precision == 0


def test_unsure_and_small_references_count_neither_way() -> None:
    reference = [face(0, score=0.6), face(200, side=30)]
    tally = compare([face(1), face(201, side=30), face(400, side=30)], reference)
    assert (tally.faces, tally.hits, tally.wrong) == (0, 0, 0)


def test_a_find_a_little_too_small_still_hits() -> None:
    assert compare([face(0, side=39)], [face(0, side=41)]).hits == 1


def test_tallies_add_up() -> None:
    total = compare([face(0)], [face(0)]) + compare([face(0)], [face(200)]) + MetricState()
    assert (total.recall, total.precision, total.pictures) == (0.5, 0.5, 2)
    assert math.isnan(MetricState().recall)
    assert math.isnan(MetricState().precision)


def test_rows_of_a_table_are_detections() -> None:
    (d,) = from_rows(np.arange(1, 16, dtype=np.float32)[None])
    assert d.box == (1, 2, 3, 4)
    assert d.score == 15
    assert d.landmarks.tolist()[0] == [5, 6]
