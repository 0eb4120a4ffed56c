"""Abstaining marks, explains, and never changes a score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.estimates import (
    SPEAKER,
    Estimate,
    FusionDetails,
    Modality,
    Probabilities,
    RejectionReason,
)
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Watermark
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.errors import InputError
from emofuse.fusion.config import FusionConfig
from emofuse.fusion.factory import make_fuser
from emofuse.fusion.rejection import Rejection, RejectionConfig, rejection_reason

FACE, SPEECH, WORDS = Modality.FACE, Modality.SPEECH, Modality.TEXT
CONFIG = RejectionConfig()


def fused(
    confidence: float = 0.2,
    parts: tuple[Modality, ...] = (FACE,),
    disagreement: float = 0.0,
    quality: float = 1.0,
    **measured: float,
) -> Estimate:
    p = np.full(len(CANONICAL), (1 - confidence) / (len(CANONICAL) - 1))
    p[1] = confidence
    scores = Probabilities(CANONICAL, p)
    details = {m: m.spec.details.of_mapping(measured) for m in parts}
    blend = FusionDetails(
        {m: 1 / len(parts) for m in parts}, disagreement, dict.fromkeys(parts, scores), details
    )
    return Estimate(SPEAKER, Span(0, NS), scores, Modality.FUSED, quality, "pool", fusion=blend)


def pooled(**said: tuple[str, float]) -> Estimate:
    """What the default pool makes of what each modality says, e.g. ``face=("happy", 0.9)``."""
    evidence = {}
    for name, (label, p) in said.items():
        values = np.full(len(CANONICAL), (1 - p) / (len(CANONICAL) - 1))
        values[CANONICAL.index(label)] = p
        modality, scores = Modality(name), Probabilities(CANONICAL, values)
        evidence[modality] = Estimate(SPEAKER, Span(0, NS), scores, modality, 1.0, name)
    result = make_fuser(FusionConfig()).fuse(Slot(SPEAKER, Span(0, NS), evidence))
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"face": ("happy", 0.95), "speech": ("fear", 0.9)}, RejectionReason.CONTRADICTION),
        ({"face": ("sad", 0.5), "speech": ("fear", 0.5)}, RejectionReason.CONTRADICTION),
        ({"face": ("happy", 0.95), "speech": ("happy", 0.6)}, None),
        ({"face": ("happy", 0.95), "text": ("neutral", 0.95)}, None),
        ({"face": ("happy", 0.95), "speech": ("sad", 0.3)}, None),
    ],
)
def test_sure_modalities_that_contradict_each_other_make_it_uncertain(
    said: dict[str, tuple[str, float]], reason: RejectionReason | None
) -> None:
    """However sure the result is; faint dissent and neutral words are none."""
    result = pooled(**said)
    assert rejection_reason(result, CONFIG, {Modality(m) for m in said}) is reason


def test_a_result_that_lags_behind_its_only_part_is_no_contradiction() -> None:
    result = pooled(face=("happy", 0.95))
    lagging = replace(result, probabilities=pooled(face=("sad", 0.6)).probabilities)
    assert rejection_reason(lagging, CONFIG, {FACE}) is None


def test_a_contradiction_names_both_sides() -> None:
    result = pooled(face=("happy", 0.95), speech=("fear", 0.9))
    (marked,) = Rejection(CONFIG).feed(result)
    assert marked.doubt == "The modalities contradict each other: face happy, voice fear."
    assert result.doubt is None


def test_a_broad_smile_is_not_talked_away_by_plain_words() -> None:
    result = pooled(face=("happy", 0.9), speech=("fear", 0.45), text=("neutral", 0.93))
    assert result.label == "happy"
    assert result.fusion is not None
    assert result.fusion.modality_weights[WORDS] < 0.01


def test_a_plainly_angry_voice_is_not_outvoted_by_calm_face_and_words() -> None:
    """An actress's voice, .98 angry, was once fused to "neutral .82"."""
    result = pooled(face=("neutral", 0.7), speech=("angry", 0.98), text=("neutral", 0.92))
    (marked,) = Rejection(CONFIG).feed(result)
    assert result.label == "angry" or marked.uncertain is not None


@pytest.mark.parametrize(
    ("estimate", "expected", "reason"),
    [
        (fused(0.9), {FACE}, None),
        (fused(0.9, quality=0.01), {FACE}, RejectionReason.LOW_CONFIDENCE),
        (fused(side=12.0, sharpness=1.0), {FACE}, RejectionReason.FACE_TOO_SMALL),
        (fused(side=80.0, sharpness=0.1), {FACE}, RejectionReason.FACE_BLURRED),
        (fused(parts=(SPEECH,), voiced=0.2, snr=20.0), {SPEECH}, RejectionReason.TOO_SHORT),
        (fused(parts=(SPEECH,), voiced=2.0, snr=-2.0), {SPEECH}, RejectionReason.TOO_NOISY),
        (fused(parts=(SPEECH,)), {FACE, SPEECH}, RejectionReason.NO_FACE),
        (fused(parts=(SPEECH,)), {SPEECH}, RejectionReason.LOW_CONFIDENCE),
        (fused(parts=(FACE,)), {FACE, SPEECH}, RejectionReason.NO_SPEECH),
        (fused(parts=(FACE, SPEECH)), {FACE, SPEECH}, RejectionReason.LOW_CONFIDENCE),
    ],
)
def test_the_reason_is_the_cause(
    estimate: Estimate, expected: set[Modality], reason: RejectionReason | None
) -> None:
    assert rejection_reason(estimate, CONFIG, expected) is reason


def test_a_small_face_does_not_matter_where_the_result_is_sure() -> None:
    assert rejection_reason(fused(0.9, side=12.0), CONFIG, {FACE}) is None


def test_the_face_is_not_blamed_where_it_had_no_say() -> None:
    estimate = fused(parts=(SPEECH,), side=12.0, snr=20.0, voiced=2.0)
    assert rejection_reason(estimate, CONFIG, {SPEECH}) is RejectionReason.LOW_CONFIDENCE


@given(
    st.floats(0.13, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.sampled_from([(FACE,), (SPEECH,), (FACE, SPEECH, WORDS)]),
)
def test_abstaining_never_changes_anything_else(
    confidence: float, quality: float, disagreement: float, parts: tuple[Modality, ...]
) -> None:
    before = fused(confidence, parts, disagreement, quality)
    (after,) = Rejection(CONFIG, (FACE, SPEECH)).feed(before)
    assert isinstance(after, Estimate)
    for name in set(Estimate.__slots__) - {"uncertain"}:
        assert getattr(after, name) is getattr(before, name)
    enough = before.confidence >= CONFIG.confidence and quality >= CONFIG.quality
    assert (after.uncertain is None) == enough


def test_only_fused_estimates_abstain() -> None:
    stage = Rejection(CONFIG)
    single = replace(fused(), modality=FACE, fusion=None)
    assert list(stage.feed(single)) == [single]
    progress = Watermark(Modality.FUSED, 5)
    assert list(stage.feed(progress)) == [progress]
    assert list(stage.flush()) == []


def test_it_can_be_switched_off() -> None:
    off = RejectionConfig(confidence=0, quality=0)
    assert rejection_reason(fused(0.13, quality=0.0, side=1.0), off, {FACE, SPEECH}) is None


def test_every_reason_has_a_name_and_a_sentence() -> None:
    assert {r.value for r in RejectionReason} == {
        *("no-face", "face-too-small", "face-blurred", "no-speech"),
        *("too-short", "too-noisy", "other-language", "contradiction", "low-confidence"),
        "few-faces-read",
    }
    assert all(r.sentence.endswith(".") for r in RejectionReason)
    assert len({r.sentence for r in RejectionReason}) == len(RejectionReason)


def test_shares_out_of_range() -> None:
    with pytest.raises(InputError, match=r"rejection\.confidence"):
        RejectionConfig(confidence=1.5)
