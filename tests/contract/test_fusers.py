"""What every fuser must do. A new strategy is in the suite by being in `Strategy`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Scores, Subject, SubjectKind
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.protocols import Fuser, Slot
from emofuse.core.time import NS, Span
from emofuse.fusion.rules import POOLS, FusionConfig, make_fuser

SEVEN = Taxonomy("seven", CANONICAL.labels[:7])
FACE = Subject(SubjectKind.FACE, 3)
PARTS = (Modality.FACE, Modality.SPEECH, Modality.WORDS)
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(PARTS, n)]


@pytest.fixture(params=list(POOLS), ids=lambda s: s.value)
def fuser(request: pytest.FixtureRequest) -> Fuser:
    return make_fuser(FusionConfig(request.param))


def slot(modalities: tuple[Modality, ...], seed: int = 0) -> Slot:
    rng = np.random.default_rng(seed)
    evidence = {}
    for modality in modalities:
        taxonomy = CANONICAL if modality is Modality.FACE else SEVEN
        evidence[modality] = Estimate(
            subject=FACE if modality is Modality.FACE else SPEAKER,
            span=Span(0, NS),
            scores=Scores(taxonomy, rng.dirichlet(np.ones(len(taxonomy)))),
            modality=modality,
            quality=float(rng.uniform(0.2, 1)),
            model_id=f"{modality.value}-model",
        )
    return Slot(FACE, Span(0, NS // 2), evidence)


def test_it_is_a_fuser(fuser: Fuser) -> None:
    assert isinstance(fuser, Fuser)


@pytest.mark.parametrize("present", SUBSETS, ids=lambda s: "+".join(m.value for m in s))
def test_any_modality_may_be_missing(fuser: Fuser, present: tuple[Modality, ...]) -> None:
    given = slot(present)
    fused = fuser.fuse(given)
    assert fused is not None
    assert (fused.subject, fused.span, fused.modality) == (FACE, given.span, Modality.FUSED)
    assert fused.scores.taxonomy == fuser.taxonomy
    assert fused.blend is not None
    assert set(fused.blend.shares) == set(fused.blend.scores) == set(present)
    assert sum(fused.blend.shares.values()) == pytest.approx(1)
    low, high = (f(e.quality for e in given.evidence.values()) for f in (min, max))
    assert low - 1e-6 <= fused.quality <= high + 1e-6


def test_no_evidence_no_estimate(fuser: Fuser) -> None:
    assert fuser.fuse(Slot(FACE, Span(0, NS), {})) is None


def test_the_order_of_the_modalities_does_not_matter(fuser: Fuser) -> None:
    given = slot(PARTS, seed=1)
    turned = Slot(given.subject, given.span, dict(reversed(list(given.evidence.items()))))
    one, other = fuser.fuse(given), fuser.fuse(turned)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.scores.probabilities, other.scores.probabilities)


def test_fusing_has_no_memory(fuser: Fuser) -> None:
    first = fuser.fuse(slot(PARTS, seed=2))
    fuser.fuse(slot(PARTS, seed=3))
    again = fuser.fuse(slot(PARTS, seed=2))
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.scores.probabilities, again.scores.probabilities)


def test_who_all_agree_with_is_the_result(fuser: Fuser) -> None:
    agreed = slot(PARTS)
    for modality, e in agreed.evidence.items():
        p = np.full(len(e.scores.taxonomy), 0.05)
        p[3] = 1 - 0.05 * (len(p) - 1)
        sure = Estimate(e.subject, e.span, Scores(e.scores.taxonomy, p), modality, 1.0, e.model_id)
        agreed.evidence[modality] = sure  # type: ignore[index]
    fused = fuser.fuse(agreed)
    assert fused is not None
    assert fused.label == CANONICAL.labels[3]
    assert fused.blend is not None
    assert fused.blend.disagreement < 0.01
