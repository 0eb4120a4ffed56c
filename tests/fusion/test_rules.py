from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.protocols import Slot
from emofuse.core.time import Span
from emofuse.errors import InputError, ModelError
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser
from emofuse.fusion.pools import disagreement
from emofuse.fusion.rules import POOLS

SEVEN = Taxonomy("seven", CANONICAL.labels[:7])
FACE, SPEECH, WORDS = Modality.FACE, Modality.SPEECH, Modality.TEXT
SPAN = Span(0, 1)
KNOWS = {FACE: CANONICAL, SPEECH: SEVEN, WORDS: SEVEN}


def sharp(label: str, p: float, taxonomy: Taxonomy) -> np.ndarray:
    rest = (1 - p) / (len(taxonomy) - 1)
    return np.array([p if x == label else rest for x in taxonomy.labels])


def say(modality: Modality, label: str, p: float = 0.7, quality: float = 1.0) -> Estimate:
    taxonomy = KNOWS[modality]
    scores = Probabilities(taxonomy, sharp(label, p, taxonomy))
    return Estimate(SPEAKER, SPAN, scores, modality, quality, f"model-{modality.value}")


def fuse(strategy: Strategy, *parts: Estimate, priors=None, **weights: float) -> Estimate:
    config = FusionConfig(strategy, {Modality(m): w for m, w in weights.items()})
    fused = make_fuser(config, priors).fuse(Slot(SPEAKER, SPAN, {e.modality: e for e in parts}))
    assert fused is not None
    return fused


@pytest.mark.parametrize("strategy", POOLS)
@pytest.mark.parametrize("modality", [FACE, SPEECH, WORDS])
def test_alone_a_modality_has_the_say(strategy: Strategy, modality: Modality) -> None:
    alone = say(modality, "angry")
    prior = sharp("neutral", 0.4, KNOWS[modality])
    fused = fuse(strategy, alone, priors={alone.model_id: tuple(prior)})
    n = len(KNOWS[modality])
    assert fused.probabilities.values[:n] == pytest.approx(alone.probabilities.values, abs=1e-5)
    assert fused.fusion is not None
    assert dict(fused.fusion.modality_weights) == {modality: 1.0}
    assert fused.fusion.disagreement == 0


def test_fixed_weights_are_renormalised_over_who_is_there() -> None:
    fused = fuse(Strategy.WEIGHTED, say(FACE, "happy"), say(SPEECH, "sad"))
    assert dict(fused.fusion.modality_weights) == pytest.approx({FACE: 0.6, SPEECH: 0.4})
    assert fused.label == "happy"
    assert fuse(Strategy.WEIGHTED, say(FACE, "happy"), say(SPEECH, "sad"), face=0.2).label == "sad"


def test_confidence_shifts_the_weight() -> None:
    unsure, sure = say(FACE, "happy", p=0.3), say(SPEECH, "sad", p=0.95)
    shares = fuse(Strategy.CONFIDENCE, unsure, sure).fusion.modality_weights
    assert shares[SPEECH] > 0.6


def test_quality_shifts_the_weight() -> None:
    face = say(FACE, "happy")
    for strategy in (Strategy.CONFIDENCE, Strategy.LOGPOOL):
        clear, misheard = (fuse(strategy, face, say(WORDS, "sad", quality=q)) for q in (1, 0.2))
        assert misheard.fusion.modality_weights[WORDS] < clear.fusion.modality_weights[WORDS] / 1.5
        clear, noisy = (fuse(strategy, face, say(SPEECH, "sad", quality=q)) for q in (1, 0.2))
        assert noisy.fusion.modality_weights[SPEECH] < clear.fusion.modality_weights[SPEECH]


def test_independent_agreement_strengthens_the_log_pool_but_not_the_linear() -> None:
    parts = say(FACE, "angry"), say(SPEECH, "angry"), say(WORDS, "angry")
    assert fuse(Strategy.LOGPOOL, *parts).confidence > 0.9
    assert fuse(Strategy.WEIGHTED, *parts).confidence == pytest.approx(0.7, abs=0.02)


def test_a_score_equal_to_its_prior_is_no_evidence() -> None:
    prior = tuple(sharp("neutral", 0.5, SEVEN))
    words = say(WORDS, "neutral", p=0.5)
    face = say(FACE, "sad", p=0.6)
    with_words = fuse(Strategy.LOGPOOL, face, words, priors={words.model_id: prior}, text=1)
    without_prior = fuse(Strategy.LOGPOOL, face, words, text=1)
    assert with_words.label == "sad"
    assert with_words.probabilities["sad"] > without_prior.probabilities["sad"]


def test_poor_evidence_is_flattened_and_counts_less() -> None:
    clear = fuse(Strategy.LOGPOOL, say(FACE, "happy"), say(SPEECH, "sad"))
    noisy = fuse(Strategy.LOGPOOL, say(FACE, "happy"), say(SPEECH, "sad", quality=0.2))
    assert noisy.fusion.modality_weights[SPEECH] < clear.fusion.modality_weights[SPEECH]
    assert noisy.label == "happy"
    assert noisy.quality < clear.quality


def test_one_sure_but_wrong_modality_has_no_veto() -> None:
    wrong = say(WORDS, "sad", p=1.0, quality=0.3)
    assert fuse(Strategy.LOGPOOL, say(FACE, "happy", p=0.9), wrong).label == "happy"


def test_a_label_that_only_the_face_knows_is_the_faces_to_judge() -> None:
    for strategy in POOLS:
        fused = fuse(strategy, say(FACE, "contempt", p=0.8), say(SPEECH, "neutral", p=0.3))
        assert fused.label == "contempt"
    assert fuse(Strategy.LOGPOOL, say(SPEECH, "sad")).probabilities["contempt"] == 0


def test_a_worthless_face_changes_nothing() -> None:
    voice = say(SPEECH, "sad")
    both = fuse(Strategy.LOGPOOL, say(FACE, "happy", quality=0.0), voice)
    alone = fuse(Strategy.LOGPOOL, voice)
    assert both.probabilities.values == pytest.approx(alone.probabilities.values, abs=1e-5)


def test_nothing_in_nothing_out() -> None:
    fuser = make_fuser(FusionConfig())
    assert fuser.fuse(Slot(SPEAKER, SPAN, {})) is None
    off = make_fuser(FusionConfig(weights={SPEECH: 0.0}))
    assert off.fuse(Slot(SPEAKER, SPAN, {SPEECH: say(SPEECH, "sad")})) is None


def test_foreign_labels_are_refused() -> None:
    foreign = Probabilities(Taxonomy("feelings", ("glad", "grumpy")), np.array([0.5, 0.5]))
    slot = Slot(SPEAKER, SPAN, {FACE: Estimate(SPEAKER, SPAN, foreign, FACE, 1, "m")})
    with pytest.raises(ModelError, match="glad"):
        make_fuser(FusionConfig()).fuse(slot)


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_senseless_weights_are_refused(weight: float) -> None:
    with pytest.raises(InputError, match="weights"):
        FusionConfig(weights={FACE: weight})


probabilities = st.lists(st.floats(0, 1), min_size=7, max_size=7).filter(lambda p: sum(p) > 0.1)


@given(
    strategy=st.sampled_from(list(POOLS)),
    rows=st.lists(probabilities, min_size=1, max_size=3),
    qualities=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_any_evidence_fuses_to_probabilities(
    strategy: Strategy, rows: list[list[float]], qualities: list[float]
) -> None:
    parts = [
        Estimate(SPEAKER, SPAN, Probabilities(SEVEN, np.array(p) / sum(p)), modality, q, "m")
        for modality, p, q in zip((FACE, SPEECH, WORDS), rows, qualities, strict=False)
    ]
    fused = fuse(
        strategy, *parts
    )  # Probabilities and FusionDetails check sums and ranges themselves
    assert set(fused.fusion.modality_weights) == {e.modality for e in parts}
    assert 0 <= fused.fusion.disagreement <= 1


def test_disagreement_runs_from_none_to_all() -> None:
    half = np.array([0.5, 0.5])
    assert disagreement(np.eye(2), half) == pytest.approx(1)
    assert disagreement(np.eye(2)[[0, 0]], half) == pytest.approx(0)
    assert 0 < disagreement(np.array([[0.8, 0.2], [0.3, 0.7]]), half) < 1
    with_unknown = np.array([[0.5, 0.5, np.nan], [0.2, 0.2, 0.6]])
    assert disagreement(with_unknown, half) == pytest.approx(0)
