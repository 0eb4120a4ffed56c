"""Fusion by rule: any modality may be missing at any moment.

Three classical opinion pools (Genest & Zidek 1986, "Combining probability
distributions"): the linear pool with fixed weights, the linear pool with
weights that follow each modality's confidence, and the log-linear pool. Their
weights are the defaults, the user's, or fitted (`fusion.fit`) and kept in a card.

A model may not know every label of the fused taxonomy (the speech model has no
*contempt*): each label is pooled over the modalities that know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core.estimates import Estimate
from ..core.labels import CANONICAL, Taxonomy
from ..core.protocols import Slot
from .config import FuserRequest, FusionConfig, Strategy, reliability
from .evidence import fused_estimate, prior_of, spread
from .pools import Array, linear_pool, log_pool, relative_log_pool

if TYPE_CHECKING:
    from ..models.card import Card


_NEUTRAL = CANONICAL.labels[0]


class PoolingFuser(ABC):
    """What the pools have in common: strengths become weights, probabilities are pooled.

    A modality that is alone is reported as it is, however poor the evidence: whether to
    rely on it is for `fusion.rejection` to say.

    Args:
        config: strategy and weights.
        priors: model id → that model's prior; uniform where absent.
        card: the weights that were learned; those in the configuration come first.
    """

    taxonomy: Taxonomy = CANONICAL
    learned = False
    linear = True

    def __init__(
        self,
        config: FusionConfig,
        priors: Mapping[str, Sequence[float]],
        card: Card | None = None,
    ) -> None:
        self.model_id = card.id if card else config.strategy
        self.card = card
        self._fusion = card.fusion if card else None
        learned = self._fusion.weights if self._fusion else {}
        self._weights = {**config.all_weights, **learned, **config.weights}
        self._priors = priors

    @classmethod
    def make(cls, request: FuserRequest) -> PoolingFuser:
        """Make the fuser; see `config.FuserKind`."""
        return cls(request.config, request.priors, request.card)

    def reset(self) -> None:  # noqa: B027 (a pool keeps no state)
        """A pool keeps no state."""

    def fuse(self, slot: Slot) -> Estimate | None:
        """Pool a slot's evidence; None if there is none (or none that counts).

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
        return fused_estimate(slot, parts, pooled / pooled.sum(), shares, p, self.model_id)

    @abstractmethod
    def _strength(self, e: Estimate) -> float:
        """Return how much one modality's estimate counts, ≥ 0."""

    @abstractmethod
    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate], learned: bool) -> Array:
        """Pool rows of probabilities (NaN: label unknown) into one row."""


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

    By rule, exponents are relative to the modality that can tell most at the moment:
    `pools.relative_log_pool` with tₘ = weight × reliability × (1 − d p(neutral))². What is
    spoken in every mood (neutral words, d = 1) has no say. Weights and d are the table of
    modalities' (`core.modality`), found on truly paired recordings; see ``docs/fusion.md``.

    With a trained card, the exponents are the card's:

    log p(c) = log π(c) + Σ αₘ bₘ(c) (log pₘ(c) − log πₘ(c)),  αₘ = weight × reliability

    where πₘ is model m's prior, π what was fitted, and the bₘ(c) are 1 unless they were fitted.
    """

    linear = False

    def _strength(self, e: Estimate) -> float:
        strength = self._weights[e.modality] * reliability(e.modality, e.quality)
        if self._fusion is not None or _NEUTRAL not in e.probabilities.taxonomy.labels:
            return strength
        return strength * (1 - e.modality.spec.neutral_discount * e.probabilities[_NEUTRAL]) ** 2

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate], learned: bool) -> Array:
        priors = np.stack([prior_of(e, self._priors, self.taxonomy) for e in parts])
        if not learned or self.card is None or self._fusion is None:
            return relative_log_pool(p, priors, strengths)
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
