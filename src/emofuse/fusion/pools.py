"""The opinion pools as arithmetic, for one moment or for many at once.

The linear and the log-linear pool of Genest & Zidek (1986, "Combining probability
distributions"). Both take probabilities of shape (…, modalities, labels), nan where a
model does not know a label or has said nothing: each label is pooled over those who
know it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = 1e-4
"""Least probability in a logarithm: one sure but wrong modality must not veto the others."""


def linear_pool(p: Array, strengths: Array) -> Array:
    """Average probabilities: p(c) ∝ Σ αₘ pₘ(c) / Σ αₘ, over those who know c.

    Args:
        p: shape (…, modalities, labels), nan: unknown.
        strengths: α, shape (…, modalities), ≥ 0.

    Returns:
        Shape (…, labels), sums to 1.

    Example:
        >>> linear_pool(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([1.0, 1.0])).round(2).tolist()
        [0.6, 0.4]
    """
    return _normalised(known_mean(p, strengths))


def log_pool(
    p: Array,
    priors: Array,
    strengths: Array,
    *,
    by_label: Array | None = None,
    log_prior: Array | None = None,
    floor: float = FLOOR,
) -> Array:
    """Add up evidence: log p(c) = log π(c) + Σ αₘ bₘ(c) (log pₘ(c) − log πₘ(c)).

    Args:
        p: shape (…, modalities, labels), nan: unknown.
        priors: πₘ, of the same shape, or one that broadcasts to it.
        strengths: α, shape (…, modalities), ≥ 0.
        by_label: b, shape (modalities, labels); 1 by default.
        log_prior: log π, shape (labels,); by default the strengths' mean of the log πₘ.
        floor: least probability in a logarithm.

    Returns:
        Shape (…, labels), sums to 1.

    Example:
        >>> p = np.array([[0.8, 0.2], [0.8, 0.2]])
        >>> log_pool(p, np.full((2, 2), 0.5), np.ones(2)).round(2).tolist()
        [0.94, 0.06]
    """
    known = ~np.isnan(p)
    priors = np.where(known, priors, np.nan)
    evidence = np.where(known, log_evidence(p, priors, floor), 0.0)
    if by_label is not None:
        evidence = evidence * by_label
    total = np.einsum("...m,...mc->...c", strengths, evidence)
    if log_prior is None:
        log_prior = known_mean(np.log(np.maximum(priors, floor)), strengths)
    logits = np.where(known.any(axis=-2), log_prior + total, -np.inf)
    return _normalised(np.exp(logits - logits.max(axis=-1, keepdims=True)))


def relative_log_pool(p: Array, priors: Array, tells: Array, floor: float = FLOOR) -> Array:
    """Add up evidence by exponents relative to the part that can tell most.

    log p(c) = log π(c) + Σ αₘ (log pₘ(c) − log πₘ(c)),  αₘ = tₘ / max t,
    log π = Σ αₘ² log πₘ / Σ αₘ²

    The part that tells most keeps its posterior; one that can tell nothing changes nothing.
    The squares keep the prior of a part with little say out of the result.

    Args:
        p: shape (…, modalities, labels), nan: unknown.
        priors: πₘ, of the same shape, or one that broadcasts to it.
        tells: t, how much each part can tell, shape (…, modalities), ≥ 0, not all 0.
        floor: least probability in a logarithm.

    Returns:
        Shape (…, labels), sums to 1.

    Example:
        >>> face, neutral_words = [0.2, 0.7, 0.1], [0.98, 0.01, 0.01]
        >>> p, priors = np.array([face, neutral_words]), np.full((2, 3), 1 / 3)
        >>> relative_log_pool(p, priors, np.array([1.0, 0.0])).round(2).tolist()
        [0.2, 0.7, 0.1]
    """
    alpha = tells / tells.max(axis=-1, keepdims=True)
    p = np.where(alpha[..., None] > 0, p, np.nan)  # labels that it alone knows: nobody's
    known_priors = np.where(np.isnan(p), np.nan, priors)
    log_prior = known_mean(np.log(np.maximum(known_priors, floor)), alpha**2)
    return log_pool(p, priors, alpha, log_prior=log_prior, floor=floor)


def log_evidence(p: Array, priors: Array, floor: float = FLOOR) -> Array:
    """Return log pₘ(c) − log πₘ(c): what a model has learnt from its sample.

    Example:
        >>> log_evidence(np.array([0.5, 0.5]), np.array([0.5, 0.5])).tolist()
        [0.0, 0.0]
    """
    out: Array = np.log(np.maximum(p, floor)) - np.log(np.maximum(priors, floor))
    return out


def known_mean(values: Array, weights: Array) -> Array:
    """Average (…, modalities, labels) over those who know each label; 0 where none does."""
    known = ~np.isnan(values)
    weights = np.broadcast_to(weights, values.shape[:-1])
    total = np.einsum("...m,...mc->...c", weights, known.astype(np.float64))
    summed = np.einsum("...m,...mc->...c", weights, np.where(known, values, 0.0))
    mean: Array = summed / np.where(total > 0, total, 1.0)
    return mean


def disagreement(p: Array, shares: Array) -> float:
    """Return how much rows of probabilities contradict each other, in [0, 1].

    The Jensen–Shannon divergence (Lin 1991) over the labels that every row
    knows, divided by its upper bound, the entropy of the shares.

    Args:
        p: shape (rows, labels); nan where a row does not know the label.
        shares: shape (rows,), summing to 1.

    Example:
        >>> disagreement(np.eye(2), np.array([0.5, 0.5]))
        1.0
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


def _normalised(p: Array) -> Array:
    out: Array = p / p.sum(axis=-1, keepdims=True)
    return out
