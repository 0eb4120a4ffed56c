"""Fusion by rule: any modality may be missing at any moment.

Three classical opinion pools (Genest & Zidek 1986, "Combining probability
distributions"): the linear pool with fixed weights, the linear pool with
weights that follow each modality's confidence, and the log-linear pool. Their
weights are defaults, the user's, or learned (`fusion.fit`) and kept in a card.

A model may not know every label of the fused taxonomy (the voice model has no
*contempt*). What it does not know it has no say in: each label is pooled over
the modalities that know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, FusionDetails, Modality, Probabilities
from ..core.labels import CANONICAL, Taxonomy
from ..core.protocols import Fuser, Slot
from ..errors import ModelError
from .config import FusionConfig, Strategy, reliability
from .pools import Array, disagreement, linear_pool, log_pool

if TYPE_CHECKING:
    from ..models.card import Card
    from ..models.store import Store

__all__ = ["FusionConfig", "PoolingFuser", "Strategy", "disagreement", "make_fuser"]


def make_fuser(
    config: FusionConfig,
    priors: Mapping[str, Sequence[float]] | None = None,
    *,
    models: Mapping[Modality, Card] | None = None,
    store: Store | None = None,
) -> Fuser:
    """Build the fuser that a configuration names.

    Args:
        config: strategy, weights, trained fuser.
        priors: model id → that model's mean probability of each of its labels
            (`Card.prior`); uniform where absent. By default those of `models`.
        models: cards of the recognisers whose answers will be fused. A trained fuser
            refuses others than those that it was trained with.
        store: where the cards of trained fusers are; default: `Store()`.

    Raises:
        InputError: if the trained fuser is one of another strategy.
        ModelError: if there is no such fuser, or it was trained with other recognisers.
    """
    if priors is None:
        priors = {c.id: c.prior for c in (models or {}).values() if c.prior is not None}
    if config.card is not None:
        from .factory import make_trained  # reads cards and weights; the plain pools need neither

        return make_trained(config, config.card, priors, models, store)
    return POOLS[config.strategy](config, priors)


class PoolingFuser(ABC):
    """What the pools share: strengths become shares, scores become one.

    The answer of a modality that is alone is reported as it is, however poor the evidence:
    whether to rely on it is for `fusion.abstain` to say.

    Args:
        config: strategy and weights.
        priors: see `make_fuser`.
        card: the weights that were learned; those in the configuration come first.
    """

    taxonomy: Taxonomy = CANONICAL
    needs_embeddings: bool = False

    def __init__(
        self,
        config: FusionConfig,
        priors: Mapping[str, Sequence[float]],
        card: Card | None = None,
    ) -> None:
        self.model_id = card.id if card else config.strategy.value
        self.card = card
        self._fusion = card.fusion if card else None
        learned = self._fusion.weights if self._fusion else {}
        self._weights = {**config.all_weights, **learned, **config.weights}
        self._priors = priors

    def reset(self) -> None:  # noqa: B027 (a pool has nothing to forget, and that is no mistake)
        """Nothing is remembered."""

    def fuse(self, slot: Slot) -> Estimate | None:
        """OpinionPool a slot's evidence; None if there is none (or none that counts).

        Raises:
            ModelError: if a model's labels are not among the fused ones.
        """
        parts = [e for m, e in sorted(slot.evidence.items()) if self._weights[m] > 0]
        if not parts:
            return None
        strengths = np.array([self._strength(e) for e in parts])
        if not strengths.any():  # nothing but worthless evidence: fall back on the weights
            strengths = np.array([self._weights[e.modality] for e in parts])
        if len(parts) == 1:
            strengths = np.ones(1)
        shares = strengths / strengths.sum()
        p = np.stack([spread(e, e.probabilities.values, self.taxonomy) for e in parts])
        learned = self._fusion is not None and len(parts) > 1
        pooled = self._pool(p, strengths, parts, learned)
        if learned and self.card is not None:
            logits = np.log(np.maximum(pooled, 1e-12))[None]
            calibrated = self.card.calibration.probabilities(logits)[0].astype(np.float64)
            pooled = np.where(pooled > 0, calibrated, 0.0)
        return blended(slot, parts, pooled / pooled.sum(), shares, p, self.model_id)

    @abstractmethod
    def _strength(self, e: Estimate) -> float:
        """Say how much one modality's estimate counts, ≥ 0."""

    @abstractmethod
    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate], learned: bool) -> Array:
        """OpinionPool rows of probabilities (nan: label unknown) into one row."""


class WeightedFuser(PoolingFuser):
    """Linear pool with fixed weights, renormalised over the modalities present."""

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality]

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate], learned: bool) -> Array:
        return linear_pool(p, strengths)


class ConfidenceFuser(WeightedFuser):
    """Linear pool whose weights follow weight × confidence × reliability, moment by moment."""

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality] * e.confidence * reliability(e.modality, e.quality)


class LogPoolFuser(PoolingFuser):
    """Log-linear pool of calibrated posteriors, each relative to its own prior.

    log p(c) = log π(c) + Σ αₘ bₘ(c) (log pₘ(c) − log πₘ(c)),  αₘ = weight × reliability

    where πₘ is model m's prior and π the shares' geometric mean of them, or what was
    learned; the bₘ(c) are 1 unless they were learned. One modality with α = 1 would keep
    its own posterior; independent modalities that agree strengthen each other, and
    evidence of poor quality is flattened towards its prior.
    """

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality] * reliability(e.modality, e.quality)

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate], learned: bool) -> Array:
        priors = np.stack([prior_of(e, self._priors, self.taxonomy) for e in parts])
        if not learned or self.card is None or self._fusion is None:
            return log_pool(p, priors, strengths)
        by_label = None
        if self._fusion.by_label:
            by_label = np.array([self._fusion.by_label[e.modality] for e in parts])
        prior = self.card.prior
        return log_pool(
            p,
            priors,
            strengths,
            by_label=by_label,
            log_prior=None if prior is None else np.log(np.maximum(prior, 1e-12)),
            floor=self._fusion.floor,
        )


POOLS: Mapping[Strategy, type[PoolingFuser]] = {
    Strategy.WEIGHTED: WeightedFuser,
    Strategy.CONFIDENCE: ConfidenceFuser,
    Strategy.LOGPOOL: LogPoolFuser,
}
"""The class of each strategy that is a pool."""


def blended(
    slot: Slot,
    parts: Sequence[Estimate],
    probabilities: Array,
    shares: Array,
    p: Array,
    model_id: str,
) -> Estimate:
    """Return the fused estimate of a slot.

    Args:
        slot: whose it is, and when.
        parts: the evidence that counted.
        probabilities: the result, shape (canonical labels,).
        shares: each part's weight in it, summing to 1.
        p: what each part said, shape (parts, canonical labels); nan: label unknown.
        model_id: of the fuser.
    """
    return Estimate(
        subject=slot.subject,
        span=slot.span,
        probabilities=Probabilities(CANONICAL, probabilities),
        modality=Modality.FUSED,
        quality=min(1.0, float(shares @ [e.quality for e in parts])),
        model_id=model_id,
        fusion=FusionDetails(
            modality_weights={e.modality: float(s) for e, s in zip(parts, shares, strict=True)},
            disagreement=disagreement(p, shares),
            probabilities={e.modality: e.probabilities for e in parts},
        ),
        details=_merged_details(parts),
    )


def spread(
    e: Estimate, values: NDArray[np.floating] | Sequence[float], taxonomy: Taxonomy = CANONICAL
) -> Array:
    """Place a model's values at the fused labels; nan where the model has no such label.

    Raises:
        ModelError: if a label of the model is not among the fused ones.
    """
    source = e.probabilities.taxonomy
    foreign = set(source.labels) - set(taxonomy.labels)
    if foreign or source.multi_label:
        wrong = f"has the labels {sorted(foreign)}" if foreign else "lets several labels hold"
        raise ModelError(
            f"cannot fuse what {e.model_id!r} says: its taxonomy {source.name!r} {wrong}, fused "
            f"results are over one of {', '.join(taxonomy.labels)}; map them to these first"
        )
    out = np.full(len(taxonomy), np.nan)
    out[[taxonomy.index(label) for label in source.labels]] = values
    return out


def prior_of(
    e: Estimate, priors: Mapping[str, Sequence[float]], taxonomy: Taxonomy = CANONICAL
) -> Array:
    """Return the prior of an estimate's model at the fused labels; uniform if it has none."""
    n = len(e.probabilities.taxonomy)
    prior = priors.get(e.model_id) or np.full(n, 1.0 / n)
    if len(prior) != n:
        raise ModelError(
            f"{e.model_id!r} scores {n} labels ({e.probabilities.taxonomy.name!r}), and its prior has "
            f"{len(prior)}: load the model that its card describes"
        )
    return spread(e, prior, taxonomy)


def _merged_details(parts: Sequence[Estimate]) -> Mapping[str, object]:
    some = [e.details for e in parts if e.details]
    if len(some) == 1:  # shared, not copied: an hour has thousands of them
        return some[0]
    return {key: value for details in some for key, value in details.items()}
