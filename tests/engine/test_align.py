from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emofuse.core.details import FaceDetails
from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Watermark
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.engine.align import Aligner, pool

A, B = Subject(SubjectKind.FACE, 1), Subject(SubjectKind.FACE, 2)
FACE, SPEECH, WORDS = Modality.FACE, Modality.SPEECH, Modality.TEXT


def estimate(
    modality: Modality, start: float, end: float, hot: int = 0, subject: Subject = A, q: float = 1.0
) -> Estimate:
    p = np.full(8, 0.02)
    p[hot] = 0.86
    return Estimate(
        subject,
        Span.of_seconds(start, end),
        Probabilities(CANONICAL, p),
        modality,
        q,
        modality.value,
    )


def progress(modality: Modality, seconds: float) -> Watermark:
    return Watermark(modality, round(seconds * NS))


def run(aligner: Aligner, *items: Estimate | Watermark) -> list:
    out = [x for item in items for x in aligner.feed(item)]
    return out + list(aligner.flush())


def slots(items: list) -> list[tuple[str, float, float, list[str]]]:
    return [
        (str(s.subject), s.span.start, s.span.end, sorted(m.value for m in s.evidence))
        for s in items
        if isinstance(s, Slot)
    ]


def test_evidence_is_gathered_by_subject_and_hop() -> None:
    out = run(
        Aligner(NS, [FACE, SPEECH]),
        estimate(FACE, 0.0, 0.5),
        estimate(FACE, 0.5, 1.0),
        estimate(FACE, 0.0, 1.0, subject=B),
        estimate(SPEECH, 0.0, 2.0, subject=SPEAKER),
        progress(FACE, 2),
        progress(SPEECH, 2),
    )
    assert slots(out) == [
        ("face-1", 0, 1, ["face"]),
        ("face-2", 0, 1, ["face"]),
        ("speaker-1", 0, 1, ["speech"]),
        ("speaker-1", 1, 2, ["speech"]),
    ]


def test_a_slot_waits_for_every_modality_and_no_longer() -> None:
    aligner = Aligner(NS, [FACE, SPEECH])
    assert list(aligner.feed(estimate(FACE, 0, 1))) == []
    assert list(aligner.feed(progress(FACE, 5))) == []
    assert list(aligner.feed(progress(SPEECH, 0.9))) == []
    assert slots(list(aligner.feed(progress(SPEECH, 1.0)))) == [("face-1", 0, 1, ["face"])]


def test_an_empty_stretch_makes_progress_and_no_slots() -> None:
    aligner = Aligner(NS // 2, [FACE])
    out = [x for t in range(1, 30) for x in aligner.feed(progress(FACE, t / 8))]
    assert [p.upto_ns for p in out] == [k * NS // 2 for k in range(1, 8)]


def test_fine_estimates_come_out_pooled_and_coarse_ones_as_they_are() -> None:
    speech = estimate(SPEECH, 0, 3, subject=SPEAKER)
    out = run(
        Aligner(NS, [FACE, SPEECH]),
        *(estimate(FACE, k / 4, (k + 1) / 4, hot=k % 2) for k in range(4)),
        speech,
        progress(FACE, 3),
        progress(SPEECH, 3),
    )
    estimates = [x for x in out if isinstance(x, Estimate)]
    assert speech in estimates
    (face,) = [e for e in estimates if e.modality is FACE]
    assert face.span == Span(0, NS)
    assert face.probabilities.values[:2] == pytest.approx([0.44, 0.44])
    assert [s[3] for s in slots(out)] == [["face"], ["speech"], ["speech"], ["speech"]]


def test_the_last_slot_ends_with_the_stream() -> None:
    out = run(Aligner(NS, [FACE]), estimate(FACE, 0, 1.4), progress(FACE, 1.4))
    assert [s[1:3] for s in slots(out)] == [(0, 1), (1, 1.4)]


def test_pooling_trusts_good_evidence_more() -> None:
    span = Span(0, NS)
    sharp, blurred = estimate(FACE, 0, 0.5, hot=1, q=0.9), estimate(FACE, 0.5, 1, hot=2, q=0.1)
    pooled = pool([sharp, blurred], span)
    assert pooled.label == "happy"
    assert pooled.quality == pytest.approx(0.5)
    assert pooled.probabilities.values == pytest.approx(
        0.9 * sharp.probabilities.values + 0.1 * blurred.probabilities.values, abs=1e-6
    )


def test_pooling_worthless_evidence_still_says_what_it_saw() -> None:
    pooled = pool([estimate(FACE, 0, 1, hot=1, q=0), estimate(FACE, 0, 1, hot=1, q=0)], Span(0, NS))
    assert (pooled.label, pooled.quality) == ("happy", 0)


def test_embeddings_are_pooled_as_the_scores_are() -> None:
    sharp = replace(estimate(FACE, 0, 1, q=1.0), embedding=np.array([1, 0], np.float32))
    blurred = replace(estimate(FACE, 0, 1, q=0.25), embedding=np.array([0, 1], np.float32))
    pooled = pool([sharp, blurred], Span(0, NS)).embedding
    assert pooled is not None
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, [0.8, 0.2], atol=1e-6)
    assert pool([sharp, estimate(FACE, 0, 1)], Span(0, NS)).embedding is None


def test_pooling_keeps_the_mean_motion_of_the_mouth_and_the_box_of_the_best_view() -> None:
    views = [
        replace(
            estimate(FACE, 0.0, 0.5, q=0.9), details=FaceDetails(side=1)
        ),  # the first: no motion yet
        replace(estimate(FACE, 0.5, 0.75, q=0.5), details=FaceDetails(side=2, mouth=0.1)),
        replace(estimate(FACE, 0.75, 1.0, q=0.5), details=FaceDetails(side=3, mouth=0.3)),
    ]
    details = pool(views, Span(0, NS)).details
    assert details == FaceDetails(side=1, mouth=pytest.approx(0.2))
