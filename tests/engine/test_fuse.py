"""The pipeline's last stage but smoothing: slots become fused estimates, embeddings end."""

from __future__ import annotations

import numpy as np

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import Sample, Watermark
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.engine.pipeline import Fuse
from emofuse.engine.windows import Recognise
from emofuse.models.registry import load

SPAN = Span(0, NS)


class Counting:
    """Fuses by giving the face's estimate back; says how many slots it has seen."""

    taxonomy: Taxonomy = CANONICAL
    needs_embeddings = True

    def __init__(self) -> None:
        self.seen = 0

    def fuse(self, slot: Slot) -> Estimate | None:
        self.seen += 1
        return slot.evidence.get(Modality.FACE)

    def reset(self) -> None:
        self.seen = 0


def face() -> Estimate:
    scores = Probabilities(CANONICAL, np.full(8, 1 / 8))
    embedding = np.ones(4, np.float32)
    return Estimate(SPEAKER, SPAN, scores, Modality.FACE, 1.0, "m", embedding=embedding)


def test_the_fuser_sees_embeddings_and_nobody_after_it() -> None:
    seen: list[Slot] = []

    class Spy(Counting):
        def fuse(self, slot: Slot) -> Estimate | None:
            seen.append(slot)
            return None

    stage = Fuse(Spy())
    (passed,) = stage.feed(face())
    assert isinstance(passed, Estimate)
    assert passed.embedding is None
    assert list(stage.feed(Slot(SPEAKER, SPAN, {Modality.FACE: face()}))) == []
    assert seen[0].evidence[Modality.FACE].embedding is not None


def test_progress_passes_and_slots_without_a_result_vanish() -> None:
    stage = Fuse(Counting())
    progress = Watermark(Modality.FUSED, NS)
    assert list(stage.feed(progress)) == [progress]
    assert list(stage.feed(Slot(SPEAKER, SPAN, {}))) == []


def test_resetting_the_stage_resets_the_fuser() -> None:
    fuser = Counting()
    stage = Fuse(fuser)
    list(stage.feed(Slot(SPEAKER, SPAN, {})))
    stage.reset()
    assert fuser.seen == 0


def test_estimates_carry_embeddings_only_if_asked() -> None:
    recogniser = load("face-v4")
    sample = Sample(SPEAKER, SPAN, np.zeros((48, 48, 3), np.uint8), 1.0)
    for wanted in (False, True):
        stage = Recognise(recogniser, Modality.FACE, batch=1, embeddings=wanted)
        (estimate,) = stage.feed(sample)
        assert isinstance(estimate, Estimate)
        assert (estimate.embedding is not None) == wanted
