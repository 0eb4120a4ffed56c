"""What every fuser must do. A new strategy is in the suite by being in `Strategy`.

The pools are in it as they come and with learned weights; the nets are trained here, on
what models that do not exist would have said.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.protocols import Fuser, Slot
from emofuse.core.time import NS, Span
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser
from emofuse.fusion.rules import POOLS

SEVEN = Taxonomy("seven", CANONICAL.labels[:7])
FACE = Subject(SubjectKind.FACE, 3)
PARTS = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(PARTS, n)]


KINDS = [
    *(s.value for s in POOLS),
    *(pytest.param(f"trained {s.value}", marks=pytest.mark.slow) for s in Strategy),
]
MEMORY = ("trained hybrid", "trained transformer")


@pytest.fixture(params=KINDS)
def fuser(request: pytest.FixtureRequest) -> Fuser:
    *trained, strategy = request.param.split()
    if not trained:
        return make_fuser(FusionConfig(Strategy(strategy)))
    pytest.importorskip("torch")
    pytest.importorskip("pyarrow")
    from tests.training import fused

    return fused.fuser(Strategy(strategy))


def slot(
    modalities: tuple[Modality, ...], seed: int = 0, at: int = 0, subject: Subject = FACE
) -> Slot:
    rng = np.random.default_rng(seed)
    evidence = {}
    for modality in modalities:
        taxonomy = CANONICAL if modality is Modality.FACE else SEVEN
        evidence[modality] = Estimate(
            subject=FACE if modality is Modality.FACE else SPEAKER,
            span=Span(0, NS),
            probabilities=Probabilities(taxonomy, rng.dirichlet(np.ones(len(taxonomy)))),
            modality=modality,
            quality=float(rng.uniform(0.2, 1)),
            model_id=f"{modality.value}-model",
            embedding=rng.normal(size=3).astype(np.float32) if modality is PARTS[0] else None,
        )
    return Slot(subject, Span(at * NS // 2, (at + 1) * NS // 2), evidence)


def test_it_is_a_fuser(fuser: Fuser) -> None:
    assert isinstance(fuser, Fuser)


@pytest.mark.parametrize("present", SUBSETS, ids=lambda s: "+".join(m.value for m in s))
def test_any_modality_may_be_missing(fuser: Fuser, present: tuple[Modality, ...]) -> None:
    given = slot(present)
    fused = fuser.fuse(given)
    assert fused is not None
    assert (fused.subject, fused.span, fused.modality) == (FACE, given.span, Modality.FUSED)
    assert fused.probabilities.taxonomy == fuser.taxonomy
    assert fused.fusion is not None
    assert set(fused.fusion.modality_weights) == set(fused.fusion.probabilities) == set(present)
    assert sum(fused.fusion.modality_weights.values()) == pytest.approx(1)
    low, high = (f(e.quality for e in given.evidence.values()) for f in (min, max))
    assert low - 1e-6 <= fused.quality <= high + 1e-6


def test_no_evidence_no_estimate(fuser: Fuser) -> None:
    assert fuser.fuse(Slot(FACE, Span(0, NS), {})) is None


def test_the_order_of_the_modalities_does_not_matter(fuser: Fuser) -> None:
    given = slot(PARTS, seed=1)
    turned = Slot(given.subject, given.span, dict(reversed(list(given.evidence.items()))))
    one = fuser.fuse(given)
    fuser.reset()
    other = fuser.fuse(turned)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.probabilities.values, other.probabilities.values)


def said(fuser: Fuser, given: Slot) -> np.ndarray:
    fused = fuser.fuse(given)
    assert fused is not None
    return fused.probabilities.values


def test_after_a_reset_nothing_is_remembered(fuser: Fuser, request: pytest.FixtureRequest) -> None:
    first = said(fuser, slot(PARTS, seed=2))
    later = said(fuser, slot(PARTS, seed=3, at=1))
    fuser.reset()
    np.testing.assert_array_equal(first, said(fuser, slot(PARTS, seed=2)))
    fuser.reset()
    alone = said(fuser, slot(PARTS, seed=3, at=1))
    remembers = request.node.callspec.params["fuser"] in MEMORY
    assert np.array_equal(later, alone) != remembers


def test_after_a_gap_and_of_others_nothing_is_remembered(fuser: Fuser) -> None:
    fresh = said(fuser, slot(PARTS, seed=3, at=40))
    fuser.reset()
    said(fuser, slot(PARTS, seed=2))
    np.testing.assert_array_equal(fresh, said(fuser, slot(PARTS, seed=3, at=40)))
    fuser.reset()
    said(fuser, slot(PARTS, seed=2, at=39, subject=SPEAKER))
    np.testing.assert_array_equal(fresh, said(fuser, slot(PARTS, seed=3, at=40)))


def test_who_all_agree_with_is_the_result(fuser: Fuser) -> None:
    agreed = slot(PARTS)
    for modality, e in agreed.evidence.items():
        p = np.full(len(e.probabilities.taxonomy), 0.05)
        p[3] = 1 - 0.05 * (len(p) - 1)
        sure = replace(e, probabilities=Probabilities(e.probabilities.taxonomy, p), quality=1.0)
        agreed.evidence[modality] = sure  # type: ignore[index]
    fused = fuser.fuse(agreed)
    assert fused is not None
    assert fused.label == CANONICAL.labels[3]
    assert fused.fusion is not None
    assert fused.fusion.disagreement < 0.01


@pytest.mark.parametrize("modality", PARTS, ids=lambda m: m.value)
def test_a_pool_leaves_who_is_alone_as_it_is(
    fuser: Fuser, request: pytest.FixtureRequest, modality: Modality
) -> None:
    if request.node.callspec.params["fuser"].split()[-1] not in {s.value for s in POOLS}:
        pytest.skip("a net may correct even one that is alone")
    given = slot((modality,))
    e = replace(given.evidence[modality], quality=1.0)
    own = e.probabilities.values
    got = said(fuser, replace(given, evidence={modality: e}))[: len(own)]
    np.testing.assert_allclose(got, own, atol=1e-3)
