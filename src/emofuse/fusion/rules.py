"""Fusion by rule: nothing is learned, any modality may be missing at any moment.

Three classical opinion pools (Genest & Zidek 1986, "Combining probability
distributions"): the linear pool with fixed weights, the linear pool with
weights that follow each modality's confidence, and the log-linear pool.

A model may not know every label of the fused taxonomy (the voice model has no
*contempt*). What it does not know it has no say in: each label is pooled over
the modalities that know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Blend, Estimate, Modality, Scores
from ..core.labels import CANONICAL, Taxonomy
from ..core.protocols import Slot
from ..errors import InputError, ModelError

Array = NDArray[np.float64]

_FLOOR = 1e-4
"""Least probability in a logarithm: one sure but wrong modality must not veto the others."""


class Strategy(str, Enum):
    """The fusion strategies."""

    WEIGHTED = "weighted"
    CONFIDENCE = "confidence"
    LOGPOOL = "logpool"


_LINEAR = MappingProxyType({Modality.FACE: 0.45, Modality.SPEECH: 0.30, Modality.WORDS: 0.25})
_LOG = MappingProxyType({Modality.FACE: 1.0, Modality.SPEECH: 1.0, Modality.WORDS: 1.0})


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Which strategy fuses, and how much each modality counts.

    Args:
        strategy: the rule.
        weights: modality → weight (≥ 0); those left out keep their default.
            Linear pools default to face : speech : words = 0.45 : 0.30 : 0.25
            (face to voice 0.6 : 0.4), the log-linear pool to 1 each.

    Raises:
        InputError: on a negative weight, or if no modality is left.
    """

    strategy: Strategy = Strategy.LOGPOOL
    weights: Mapping[Modality, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(not w >= 0 for w in self.weights.values()) or not any(self.all_weights.values()):
            raise InputError(f"fusion weights must be >= 0 and not all 0, got {dict(self.weights)}")

    @property
    def all_weights(self) -> dict[Modality, float]:
        """Every modality's weight, defaults filled in."""
        return {**(_LOG if self.strategy is Strategy.LOGPOOL else _LINEAR), **self.weights}


def make_fuser(
    config: FusionConfig, priors: Mapping[str, Sequence[float]] | None = None
) -> PoolingFuser:
    """Build the fuser that a configuration names.

    Args:
        config: strategy and weights.
        priors: model id → that model's mean probability of each of its labels
            (`Card.prior`); uniform where absent. Only the log-linear pool uses it.
    """
    kinds: dict[Strategy, type[PoolingFuser]] = {
        Strategy.WEIGHTED: WeightedFuser,
        Strategy.CONFIDENCE: ConfidenceFuser,
        Strategy.LOGPOOL: LogPoolFuser,
    }
    return kinds[config.strategy](config, priors or {})


class PoolingFuser(ABC):
    """What the pools share: strengths become shares, scores become one.

    Args:
        config: strategy and weights.
        priors: see `make_fuser`.
    """

    taxonomy: Taxonomy = CANONICAL
    needs_embeddings: bool = False

    def __init__(self, config: FusionConfig, priors: Mapping[str, Sequence[float]]) -> None:
        self.model_id = config.strategy.value
        self._weights = config.all_weights
        self._priors = priors

    def reset(self) -> None:  # noqa: B027 (most pools have nothing to forget)
        """Nothing is remembered."""

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
        shares = strengths / strengths.sum()
        p = np.stack([self._spread(e.scores.taxonomy, e.scores.probabilities) for e in parts])
        pooled = self._pool(p, strengths, parts)
        return Estimate(
            subject=slot.subject,
            span=slot.span,
            scores=Scores(self.taxonomy, pooled / pooled.sum()),
            modality=Modality.FUSED,
            quality=min(1.0, float(shares @ [e.quality for e in parts])),
            model_id=self.model_id,
            blend=Blend(
                shares={e.modality: float(s) for e, s in zip(parts, shares, strict=True)},
                disagreement=disagreement(p, shares),
                scores={e.modality: e.scores for e in parts},
            ),
            details=_merged_details(parts),
        )

    @abstractmethod
    def _strength(self, e: Estimate) -> float:
        """Say how much one modality's estimate counts, ≥ 0."""

    @abstractmethod
    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate]) -> Array:
        """Pool rows of probabilities (nan: label unknown) into one row, not yet normalised."""

    def _spread(self, source: Taxonomy, values: NDArray[np.floating] | Sequence[float]) -> Array:
        """Place a model's values at the fused labels; nan where the model has no such label."""
        foreign = set(source.labels) - set(self.taxonomy.labels)
        if foreign:
            raise ModelError(
                f"cannot fuse scores over {source.name!r}: its labels {sorted(foreign)} are not "
                f"among {', '.join(self.taxonomy.labels)}; map them to these first"
            )
        out = np.full(len(self.taxonomy), np.nan)
        out[[self.taxonomy.index(label) for label in source.labels]] = values
        return out


class WeightedFuser(PoolingFuser):
    """Linear pool with fixed weights, renormalised over the modalities present."""

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality]

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate]) -> Array:
        return _known_mean(p, strengths)


class ConfidenceFuser(PoolingFuser):
    """Linear pool whose weights follow weight × confidence × quality, moment by moment."""

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality] * e.confidence * e.quality

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate]) -> Array:
        return _known_mean(p, strengths)


class LogPoolFuser(PoolingFuser):
    """Log-linear pool of calibrated posteriors, each relative to its own prior.

    log p(c) = log π(c) + Σ αₘ · (log pₘ(c) − log πₘ(c)),  αₘ = weight × quality

    where πₘ is model m's prior and π the shares' geometric mean of them. For one
    modality with α = 1 the result is its own posterior; independent modalities
    that agree strengthen each other, and evidence of poor quality is flattened
    towards its prior.
    """

    def _strength(self, e: Estimate) -> float:
        return self._weights[e.modality] * e.quality

    def _pool(self, p: Array, strengths: Array, parts: Sequence[Estimate]) -> Array:
        prior = np.stack([self._prior(e) for e in parts])
        log_p, log_prior = (np.log(np.maximum(x, _FLOOR)) for x in (p, prior))
        evidence = np.nansum(strengths[:, None] * (log_p - log_prior), axis=0)
        log_pooled = _known_mean(log_prior, strengths) + evidence
        log_pooled[np.isnan(p).all(axis=0)] = -np.inf
        pooled: Array = np.exp(log_pooled - log_pooled.max())
        return pooled

    def _prior(self, e: Estimate) -> Array:
        n = len(e.scores.taxonomy)
        return self._spread(e.scores.taxonomy, self._priors.get(e.model_id) or np.full(n, 1.0 / n))


def _known_mean(values: Array, weights: Array) -> Array:
    """Weighted mean of each column over the rows that know it; 0 where none does (nan: unknown)."""
    known = ~np.isnan(values)
    total = weights @ known
    mean: Array = weights @ np.where(known, values, 0.0) / np.where(total > 0, total, 1.0)
    return mean


def disagreement(p: Array, shares: Array) -> float:
    """Return how much rows of probabilities contradict each other, in [0, 1].

    The Jensen–Shannon divergence (Lin 1991) over the labels that every row
    knows, divided by its upper bound, the entropy of the shares.

    Args:
        p: shape (rows, labels); nan where a row does not know the label.
        shares: shape (rows,), summing to 1.
    """
    present = shares > 0
    p, shares = p[present][:, ~np.isnan(p).any(axis=0)], shares[present]
    bound = _entropy(shares)
    mass = p.sum(axis=1, keepdims=True)
    if bound < 1e-12 or not p.size or not mass.all():
        return 0.0
    p = p / mass
    divergence = _entropy(shares @ p) - float(shares @ [_entropy(row) for row in p])
    return float(np.clip(divergence / bound, 0.0, 1.0))


def _entropy(p: Array) -> float:
    positive = p[p > 0]
    return float(-(positive * np.log(positive)).sum())


def _merged_details(parts: Sequence[Estimate]) -> Mapping[str, object]:
    some = [e.details for e in parts if e.details]
    if len(some) == 1:  # shared, not copied: an hour has thousands of them
        return some[0]
    return {key: value for details in some for key, value in details.items()}
