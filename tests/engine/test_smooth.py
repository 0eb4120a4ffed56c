from __future__ import annotations

import numpy as np
import pytest

from emofuse.core.estimates import Estimate, Modality, Scores, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.time import NS, Span
from emofuse.engine.smooth import ExponentialSmoother

A, B = Subject(SubjectKind.FACE, 1), Subject(SubjectKind.FACE, 2)


def fused(second: float, hot: int, subject: Subject = A, modality: Modality = Modality.FUSED):
    span = Span.of_seconds(second, second + 1)
    return Estimate(subject, span, Scores(CANONICAL, np.eye(8)[hot]), modality, 1.0, "m")


def run(*items: Estimate, half_life: float = 1.0) -> list[Estimate]:
    stage = ExponentialSmoother(round(half_life * NS))
    return [out for item in items for out in stage.feed(item)]


def test_the_past_weighs_half_after_its_half_life() -> None:
    out = run(fused(0, 0), fused(1, 1), fused(2, 1))
    assert [e.scores["happy"] for e in out] == pytest.approx([0, 0.5, 0.75])


def test_subjects_do_not_mix_and_single_modalities_pass() -> None:
    face = fused(1, 3, modality=Modality.FACE)
    out = run(fused(0, 0, A), fused(0, 1, B), face, fused(1, 1, B))
    assert [e.confidence for e in out] == [1, 1, 1, 1]
    assert out[2] is face


def test_a_long_gap_is_forgotten_and_a_short_one_bridged() -> None:
    assert run(fused(0, 0), fused(3, 1))[1].scores["happy"] == 1
    assert 0.5 < run(fused(0, 0), fused(1.5, 1))[1].scores["happy"] < 1


def test_no_half_life_no_smoothing() -> None:
    assert [e.confidence for e in run(fused(0, 0), fused(1, 1), half_life=0)] == [1, 1]
