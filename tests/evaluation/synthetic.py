"""Synthetic predictions of a model that is calibrated, or overconfident."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emofuse.core.estimates import Modality
from emofuse.core.labels import Taxonomy
from emofuse.evaluation.predict.cached import CachedPredictions

LABELS = ("neutral", "happy", "sad", "angry")


def joined(*parts: CachedPredictions) -> CachedPredictions:
    """Concatenate predictions of one model, with distinct ids."""
    first = parts[0]
    texts = {
        name: tuple(x for part in parts for x in getattr(part, name))
        for name in ("speakers", "splits", "labels")
    }
    arrays = ("folds", "quality", "probabilities", "logits", "embeddings")
    return replace(
        first,
        ids=tuple(f"{n}-{x}" for n, part in enumerate(parts) for x in part.ids),
        **texts,
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


def made(
    modality: Modality,
    n: int = 400,
    seed: int = 0,
    corpus: str = "made",
    too_sure: float = 1.0,
    noise: float = 1.0,
    quality: float = 1.0,
    labels: tuple[str, ...] = LABELS,
    split: str = "test",
) -> CachedPredictions:
    """Make calibrated predictions, whose logits `too_sure` then multiplies.

    Each sample has a true posterior of its own, from which its label is drawn.
    """
    rng = np.random.default_rng([seed, *modality.value.encode()])
    logits = rng.normal(0, 2.0 / noise, (n, len(labels)))
    posterior = softmax(logits).astype(np.float64)
    actual = [rng.choice(len(labels), p=p / p.sum()) for p in posterior]
    claimed = (too_sure * logits).astype(np.float32)
    return CachedPredictions(
        corpus=corpus,
        modality=modality,
        model_id=f"{modality.value}-made",
        sha256="ab" * 32,
        taxonomy=Taxonomy("made", labels),
        ids=tuple(f"{modality.value}-{i}" for i in range(n)),
        speakers=tuple(f"s{i % 12}" for i in range(n)),
        splits=(split,) * n,
        labels=tuple(labels[i] for i in actual),
        folds=np.arange(n) % 5,
        quality=np.full(n, quality, np.float32),
        probabilities=softmax(claimed),
        logits=claimed,
        embeddings=rng.normal(size=(n, 3)).astype(np.float32),
    )
