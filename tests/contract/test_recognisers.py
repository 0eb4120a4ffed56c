"""What every recogniser must do. A model is in the suite by having an embedded card."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.core.estimates import Modality
from emofuse.core.protocols import Recogniser
from emofuse.group.mood import WIDTH
from emofuse.models.registry import RECOGNISERS, load
from emofuse.models.store import Store

STORE = Store(offline=True)
EMBEDDED = [c.id for c in STORE.cards() if not c.downloads and c.recogniser in RECOGNISERS]
TOLERANCE = 2e-3
"""Batches of other sizes may take other kernels, and int8 models round anew."""


@pytest.fixture(params=EMBEDDED, scope="module")
def recogniser(request: pytest.FixtureRequest) -> Recogniser:
    return load(request.param, STORE)


def samples(recogniser: Recogniser) -> list:
    """Raw samples of the recogniser's modality: what `Sample.data` holds, easy and odd ones."""
    rng = np.random.default_rng(0)
    modality = STORE.card(recogniser.model_id).modality
    if modality is Modality.FACE:
        return [rng.integers(0, 256, (s, s, 3), dtype=np.uint8) for s in (96, 96, 48)] + [
            np.zeros((96, 96, 3), np.uint8),
            np.full((96, 96, 3), 255, np.uint8),
        ]
    if modality is Modality.SPEECH:
        noise = [rng.normal(0, 0.1, n).astype(np.float32) for n in (48_000, 16_000, 4_000, 100)]
        return [*noise, np.zeros(16_000, np.float32)]
    if modality is Modality.FUSED:  # rows of a group: the scene's own, and one a face
        groups = [rng.random((1 + n, WIDTH)).astype(np.float32) for n in (0, 1, 2, 7, 40)]
        for rows in groups:
            rows[:, 0] = 1
        return groups
    return ["I am so happy today!", "ok", "¿Qué? 你好 🙂", "word " * 400, "."]


def test_every_modality_has_an_embedded_model() -> None:
    modalities = {STORE.card(i).modality for i in EMBEDDED}
    assert modalities == {Modality.FACE, Modality.SPEECH, Modality.TEXT, Modality.FUSED}


def test_it_is_a_recogniser(recogniser: Recogniser) -> None:
    assert isinstance(recogniser, Recogniser)
    assert recogniser.taxonomy == STORE.card(recogniser.model_id).taxonomy


def test_preparing_is_pure(recogniser: Recogniser) -> None:
    for sample in samples(recogniser):
        before = sample if isinstance(sample, str) else sample.copy()
        first, second = recogniser.prepare(sample), recogniser.prepare(sample)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(before, sample)
        assert np.isfinite(first).all()


def test_each_sample_gets_probabilities_in_order(recogniser: Recogniser) -> None:
    rows = [recogniser.prepare(s) for s in samples(recogniser)]
    together = recogniser.infer(rows)
    assert len(together) == len(rows)
    for row, answer in zip(rows, together, strict=True):
        (alone,) = recogniser.infer([row])
        said, again = answer.probabilities, alone.probabilities
        assert said.taxonomy == recogniser.taxonomy
        np.testing.assert_allclose(said.values, again.values, atol=TOLERANCE)


def test_embeddings_are_as_wide_as_declared(recogniser: Recogniser) -> None:
    assert recogniser.embedding == STORE.card(recogniser.model_id).embedding
    for answer in recogniser.infer([recogniser.prepare(s) for s in samples(recogniser)[:2]]):
        if recogniser.embedding is None:
            assert answer.embedding is None
        else:
            assert answer.embedding is not None
            assert answer.embedding.shape == (recogniser.embedding,)
            assert answer.embedding.dtype == np.float32
            assert answer.embedding.base is None, "a view keeps the whole batch alive"
            assert np.isfinite(answer.embedding).all()


def test_nothing_in_nothing_out(recogniser: Recogniser) -> None:
    assert list(recogniser.infer([])) == []


def test_evidence_moves_the_answer(recogniser: Recogniser) -> None:
    first, second, *_ = samples(recogniser)
    one, other = recogniser.infer([recogniser.prepare(first), recogniser.prepare(second)])
    assert np.abs(one.probabilities.values - other.probabilities.values).max() > 1e-4
