"""What a fuser learns from: validation predictions, split by people and paired by label."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...core.modality import modalities
from ...corpora import recipes
from ...errors import InputError
from ...evaluation.fusion.pairs import Pairs, by_label, shared_labels
from ...evaluation.predict.cached import CORPORA, CachedPredictions, collect, load
from ...evaluation.predict.inference import LogitRecogniser
from ...fusion.learned import Layout
from ...models.card import Card
from ...models.registry import load as load_recogniser
from ...models.store import Store
from .config import FusionTraining
from .moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class FusionData:
    """What is learned from: predictions by modality, and pairs of them.

    Args:
        cards: of the recognisers.
        predictions: what they said.
        layout: of the pairs as a net's inputs.
        learn: pairs to learn from.
        choose: pairs of other people, which choose the epoch and give the figures.
    """

    cards: Mapping[Modality, Card]
    predictions: Mapping[Modality, Sequence[CachedPredictions]]
    layout: Layout
    learn: Moments
    choose: Moments

    @classmethod
    def of(cls, config: FusionTraining, cards: Mapping[Modality, Card], store: Store) -> FusionData:
        """Read, or make, what the recognisers said; split and pair it.

        Raises:
            InputError: if predictions are missing.
        """
        predictions = _predictions(config, cards, store)
        present = tuple(m for m in modalities() if m in cards)
        taken = [cards[m].embedding if config.strategy.learned else None for m in present]
        layout = Layout(present, tuple(width or 0 for width in taken))
        priors = {c.id: c.prior for c in cards.values() if c.prior is not None}
        rng = np.random.default_rng(config.loop.seed)
        learn, choose = {}, {}
        for modality, found in predictions.items():
            kept = [_split(r, config.held_out, rng) for r in found]
            learn[modality] = [a for a, _ in kept]
            choose[modality] = [b for _, b in kept]
        first, second = (
            Moments.joined([_moments(p, layout, priors) for p in _pairings(x, config.loop.seed)])
            for x in (learn, choose)
        )
        return cls(cards, predictions, layout, first, second)

    def fusion(self, config: FusionTraining, **more: Any) -> dict[str, Any]:
        """Return the card's table ``[fusion]``."""
        widths = dict(zip(self.layout.modalities, self.layout.widths, strict=True))
        parts = {
            m.value: {
                "id": card.id,
                "sha256": card.files["weights"].sha256,
                "embedding": widths[m] or None,
            }
            for m, card in self.cards.items()
        }
        return {"strategy": config.strategy.value, **more, "parts": parts}


def _predictions(
    config: FusionTraining, cards: Mapping[Modality, Card], store: Store
) -> dict[Modality, list[CachedPredictions]]:
    """Return the validation predictions of the configured models, making what `data` allows."""
    if config.data is not None:
        loaded = {m: load_recogniser(c.id, store, config.loop.threads) for m, c in cards.items()}
        models = {m: r for m, r in loaded.items() if isinstance(r, LogitRecogniser)}
        everything = list(collect(config.data, models, config.predictions_cache)[0].values())
    else:
        everything = [load(path) for path in sorted(config.predictions_cache.glob("*.parquet"))]
    out: dict[Modality, list[CachedPredictions]] = {}
    for modality, card in cards.items():
        sha256 = card.files["weights"].sha256
        of_model = [r for r in everything if (r.model_id, r.sha256) == (card.id, sha256)]
        kept = [r.of("validation") for r in of_model if not r.condition]
        out[modality] = [r.where(np.array([bool(x) for x in r.labels])) for r in kept if len(r)]
        if not out[modality]:
            corpora = ", ".join(c for c in CORPORA if recipes.recipe(c).modalities[0] is modality)
            there = ", ".join(sorted({r.model_id for r in everything if r.modality is modality}))
            raise InputError(
                f"{config.predictions_cache} has no validation predictions of {card.id!r} "
                f"({sha256[:12]}…); "
                f"those for {modality.value} are of: {there or 'none'}. Give --data, the "
                f"folder of {corpora}, to make them"
            )
    return out


def _split(
    predictions: CachedPredictions, held_out: float, rng: np.random.Generator
) -> tuple[CachedPredictions, CachedPredictions]:
    """Split by people, or by sample where the corpus does not name them."""
    who = [s or i for s, i in zip(predictions.speakers, predictions.ids, strict=True)]
    names = sorted(set(who))
    away = set(rng.permutation(names)[: max(1, round(held_out * len(names)))].tolist())
    out = np.array([w in away for w in who])
    return predictions.where(~out), predictions.where(out)


def _pairings(parts: Mapping[Modality, Sequence[CachedPredictions]], seed: int) -> Iterator[Pairs]:
    """Pair all modalities; then fewer, where these know labels that all together do not."""
    covered: set[str] = set()
    for size in range(len(parts), 1, -1):
        new: set[str] = set()
        for some in itertools.combinations(parts, size):
            for group in itertools.product(*(parts[m] for m in some)):
                labels = shared_labels(*group)
                if labels and set(labels) - covered:
                    yield by_label(*group, labels=labels, seed=seed)
                    new |= set(labels)
        covered |= new


def _moments(pairs: Pairs, layout: Layout, priors: Mapping[str, Sequence[float]]) -> Moments:
    number = np.array([CANONICAL.index(label) for label in pairs.labels])
    made, actual = [], []
    for i in range(len(pairs)):
        evidence = pairs.evidence(i)
        if evidence:
            made.append(layout.moment(evidence, priors))
            actual.append(number[pairs.actual[i]])
    asked = np.zeros((len(made), len(CANONICAL)), np.float32)
    asked[:, number] = 1
    inputs = {name: np.stack([m[name] for m in made]) for name in layout.shapes}
    return Moments(inputs, np.array(actual), asked)
