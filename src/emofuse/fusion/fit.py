"""Fits the opinion pools' weights to data: by the log loss, without torch.

ModalityPosteriors are models that were asked about the same samples. Those of one modality see the
same evidence, so they are averaged (`merged`) before modalities are pooled: pooling
them as if they were independent would count their evidence twice.

How many numbers are learned is chosen by cross-validation over groups (people): a
weight a modality always, a class prior and a factor a label only if they make the
log loss on people that they were not fitted to better by more than twice its standard
error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..models.calibrate import fit_temperature
from ..models.card import Calibration
from .config import Strategy
from .pools import FLOOR, Array, known_mean, linear_pool, log_evidence, log_pool

FLOORS = (1e-6, 1e-5, 1e-4, 1e-3)
"""Least probabilities in a logarithm that are tried."""

STRENGTHS = (1e-2, 1e-1)
"""Strengths of the pull on priors and factors that are tried."""

_TINY = 1e-12
_RANGE = [(-9.0, 9.0)]  # of the logarithm of a ratio of weights: beyond, one has no say


@dataclass(frozen=True, slots=True, eq=False)
class ModalityPosteriors:
    """What several modalities say of the same samples.

    Args:
        p: probabilities, (samples, modalities, labels); nan: the label is unknown to the
            model, a row of nan: the modality is missing.
        quality: what the evidence is worth, (samples, modalities), in [0, 1]; 1 by default.
        priors: of the models, (modalities, labels), nan where the label is unknown;
            uniform by default.

    Raises:
        InputError: if probabilities are not in [0, 1], do not sum to 1, or shapes differ.
    """

    p: Array
    quality: Array | None = None
    priors: Array | None = None

    def __post_init__(self) -> None:
        p = np.asarray(self.p, np.float64)
        if p.ndim != 3:
            raise InputError(f"experts need the shape (samples, modalities, labels), got {p.shape}")
        known = ~np.isnan(p)
        sums = np.where(known, p, 0.0).sum(axis=2)[known.any(axis=2)]
        inside = bool((p[known] >= 0).all() and (p[known] <= 1 + 1e-6).all())
        if not inside or (np.abs(sums - 1) > 1e-3).any():
            raise InputError(
                "experts must give probabilities in [0, 1] that sum to 1, nan where they know "
                f"nothing; got {p[known].min():.3g} to {p[known].max():.3g}, sums "
                f"{sums.min():.4g} to {sums.max():.4g}"
            )
        object.__setattr__(self, "p", p)
        for name, shape in (("quality", p.shape[:2]), ("priors", p.shape[1:])):
            given = getattr(self, name)
            value = np.ones(shape) if given is None else np.asarray(given, np.float64)
            if value.shape != shape:
                raise InputError(f"{name} of experts needs the shape {shape}, got {value.shape}")
            if name == "priors" and given is None:
                value = value / shape[-1]
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.p)

    def where(self, rows: NDArray[Any]) -> ModalityPosteriors:
        """Return some samples: a mask or their numbers."""
        return ModalityPosteriors(self.p[rows], self._quality[rows], self.priors)

    def without(self, missing: NDArray[np.bool_]) -> ModalityPosteriors:
        """Return the same samples with modalities taken away: bool (samples, modalities)."""
        p = np.where(missing[:, :, None], np.nan, self.p)
        return ModalityPosteriors(p, self.quality, self.priors)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which modalities say anything, (samples, modalities)."""
        known: NDArray[np.bool_] = ~np.isnan(self.p)
        return np.asarray(known.any(axis=2), np.bool_)

    @property
    def _quality(self) -> Array:
        assert self.quality is not None
        return self.quality

    @property
    def _priors(self) -> Array:
        assert self.priors is not None
        return self.priors


@dataclass(frozen=True, slots=True, eq=False)
class OpinionPool:
    """A pool with learned weights.

    Args:
        strategy: weighted, confidence or logpool.
        weights: one a modality, ≥ 0.
        log_prior: of the log-linear pool: log π, (labels,); None: the mean of the models'.
        by_label: of the log-linear pool: factors, (modalities, labels); None: 1 each.
        floor: least probability in a logarithm.
        calibration: of the pooled result where several modalities speak.
        losses: by form, its log loss on samples that it was not fitted to.
    """

    strategy: Strategy
    weights: Array
    log_prior: Array | None = None
    by_label: Array | None = None
    floor: float = FLOOR
    calibration: Calibration = field(default_factory=Calibration)
    losses: tuple[tuple[str, float], ...] = ()

    def __call__(self, experts: ModalityPosteriors) -> Array:
        """OpinionPool: (samples, labels), rows sum to 1. Who is alone is left as it is."""
        pooled = self.pooled(experts)
        logits = np.log(np.maximum(pooled, _TINY))
        calibrated = self.calibration.probabilities(logits).astype(np.float64)
        several = experts.present.sum(axis=1, keepdims=True) > 1
        alone = linear_pool(experts.p, experts.present.astype(np.float64))
        out: Array = np.where(several, calibrated, alone)
        return out

    def pooled(self, experts: ModalityPosteriors) -> Array:
        """OpinionPool, not yet calibrated: (samples, labels)."""
        strengths = self.strengths(experts)
        if self.strategy is not Strategy.LOGPOOL:
            return linear_pool(experts.p, strengths)
        return log_pool(
            experts.p,
            experts._priors,
            strengths,
            by_label=self.by_label,
            log_prior=self.log_prior,
            floor=self.floor,
        )

    def strengths(self, experts: ModalityPosteriors) -> Array:
        """Return how much each modality counts in each sample: (samples, modalities), ≥ 0."""
        out = self.weights * experts.present
        if self.strategy is Strategy.CONFIDENCE:
            out = out * np.nanmax(np.where(experts.present[:, :, None], experts.p, 0.0), axis=2)
        if self.strategy is not Strategy.WEIGHTED:
            out = out * experts._quality
        nobody = ~(out > 0).any(axis=1, keepdims=True)
        strengths: Array = np.where(nobody, experts.present, out)
        return strengths


def merged(*experts: Array) -> Array:
    """Average models of one modality, each (samples, labels); nan: label unknown."""
    p = np.stack(experts, axis=1).astype(np.float64)
    mean = linear_pool(p, np.ones(p.shape[:2]))
    mean[np.isnan(p).all(axis=1)] = np.nan
    return mean


def fit(
    strategy: Strategy,
    experts: ModalityPosteriors,
    actual: NDArray[np.int64],
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    folds: int = 4,
) -> OpinionPool:
    """Fit a pool's weights by the log loss.

    Args:
        strategy: weighted, confidence or logpool.
        experts: of samples that the models have not learnt from.
        actual: the right label of each, as a number, (samples,).
        groups: who each sample is of; nobody is in two folds of the cross-validation.
            Default: each sample stands for itself.
        seed: of the folds.
        folds: of the cross-validation that chooses what is learned besides the weights.

    Raises:
        InputError: if the strategy is a net, samples and labels differ in number, or
            nowhere two modalities speak.
    """
    actual = np.asarray(actual, np.int64)
    if strategy.learned:
        raise InputError(f"{strategy.value!r} is a net: `emofuse train fusion` trains it")
    if actual.shape != (len(experts),):
        raise InputError(f"got {len(experts)} samples and {len(actual)} labels, expected as many")
    several = experts.present.sum(axis=1) > 1
    if not several.any():
        raise InputError(
            "to learn fusing, two modalities have to speak of one sample at least once"
        )
    groups = np.arange(len(actual)) if groups is None else np.asarray(groups)
    experts, actual, groups = experts.where(several), actual[several], groups[several]
    pool = (
        _fit_log_pool(experts, actual, _folds(groups, folds, seed), groups)
        if strategy is Strategy.LOGPOOL
        else _fit_linear(strategy, experts, actual)
    )
    logits = np.log(np.maximum(pool.pooled(experts), _TINY))
    calibration = fit_temperature(np.eye(logits.shape[1])[actual], logits)
    return replace(pool, calibration=calibration)


def _fit_linear(
    strategy: Strategy, experts: ModalityPosteriors, actual: NDArray[np.int64]
) -> OpinionPool:
    """Find weights that sum to 1 by the log loss; their logarithms are free."""
    modalities = experts.p.shape[1]

    def loss(theta: Array) -> float:
        pool = OpinionPool(strategy, _softmax(np.append(theta, 0.0)))
        return _log_loss(pool.pooled(experts), actual)

    if modalities == 1:
        return OpinionPool(strategy, np.ones(1))
    from scipy.optimize import minimize

    found = minimize(
        loss, np.zeros(modalities - 1), method="L-BFGS-B", bounds=_RANGE * (modalities - 1)
    )
    return OpinionPool(strategy, _softmax(np.append(found.x, 0.0)))


@dataclass(frozen=True, slots=True)
class _Form:
    """What is learned besides the weights, and how strongly it is held."""

    floor: float
    prior: bool = False
    by_label: bool = False
    strength: float = 0.0

    @property
    def name(self) -> str:
        more = ["prior"] * self.prior + ["factors"] * self.by_label
        held = f" at {self.strength:g}" if more else ""
        return " + ".join(["weights", *more]) + held + f", floor {self.floor:g}"


def _fit_log_pool(
    experts: ModalityPosteriors,
    actual: NDArray[np.int64],
    fold: NDArray[np.int64],
    groups: NDArray[Any],
) -> OpinionPool:
    """Choose floor, then form, by cross-validation; fit that to everything."""

    def held_out(form: _Form) -> Array:
        losses = np.zeros(len(actual))
        for k in np.unique(fold):
            out = fold == k
            pool = _fit_form(form, experts.where(~out), actual[~out])
            losses[out] = _losses(pool.pooled(experts.where(out)), actual[out])
        return losses

    found = {form: held_out(form) for form in (_Form(floor) for floor in FLOORS)}
    plain = min(found, key=lambda form: found[form].mean())
    for richer in ((True, False), (True, True)):
        for strength in STRENGTHS:
            form = _Form(plain.floor, *richer, strength)
            found[form] = held_out(form)
    best = min(found, key=lambda form: found[form].mean())
    gain = found[plain] - found[best]
    if gain.mean() <= 2 * _standard_error(gain, groups):
        best = plain
    losses = tuple((form.name, float(loss.mean())) for form, loss in found.items())
    return replace(_fit_form(best, experts, actual), losses=losses)


def _fit_form(form: _Form, experts: ModalityPosteriors, actual: NDArray[np.int64]) -> OpinionPool:
    """Fit weights ≥ 0, and what else the form has, by the log loss and its gradient."""
    from scipy.optimize import minimize

    n, modalities, labels = experts.p.shape
    known = ~np.isnan(experts.p)
    evidence = np.where(known, log_evidence(experts.p, experts._priors, form.floor), 0.0)
    evidence *= experts._quality[:, :, None]
    target = np.eye(labels)[actual]
    # A learned prior is drawn towards the mean of the models' priors.
    base = known_mean(np.log(np.maximum(experts._priors, form.floor)), np.ones(modalities))
    mute = ~known.any(axis=1)

    def unpack(theta: Array) -> tuple[Array, Array, Array]:
        weights, rest = theta[:modalities], theta[modalities:]
        prior = rest[:labels] if form.prior else np.zeros(labels)
        factors = rest[labels:].reshape(modalities, labels) if form.by_label else np.zeros(1)
        return weights, prior, factors

    def loss(theta: Array) -> tuple[float, Array]:
        weights, prior, factors = unpack(theta)
        scale = weights[:, None] + factors
        logits = (
            base
            + prior
            + np.einsum("nmc,mc->nc", evidence, np.broadcast_to(scale, (modalities, labels)))
        )
        logits = np.where(mute, -1e9, logits)
        log_p = logits - _logsumexp(logits)
        error = (np.exp(log_p) - target) / n
        by_scale = np.einsum("nc,nmc->mc", error, evidence)
        value = -float((target * np.where(mute, 0.0, log_p)).sum()) / n
        gradient = [by_scale.sum(axis=1)]
        if form.prior:
            value += form.strength * float((prior**2).mean())
            gradient.append(error.sum(axis=0) + 2 * form.strength * prior / labels)
        if form.by_label:
            value += form.strength * float((factors**2).mean())
            gradient.append((by_scale + 2 * form.strength * factors / factors.size).ravel())
        return value, np.concatenate(gradient)

    size = modalities + labels * form.prior + modalities * labels * form.by_label
    start = np.zeros(size)
    start[:modalities] = 1 / modalities
    bounds = [(0.0, None)] * modalities + [(None, None)] * (size - modalities)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights, prior, factors = unpack(found.x)
    if not form.by_label:
        return OpinionPool(Strategy.LOGPOOL, weights, base + prior, None, form.floor)
    scale = np.maximum(weights[:, None] + factors, 0.0)
    by_label = scale / np.maximum(weights[:, None], 1e-6)
    return OpinionPool(Strategy.LOGPOOL, weights, base + prior, by_label, form.floor)


def _folds(groups: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    number = np.unique(groups, return_inverse=True)[1].ravel()
    dealt = np.random.default_rng(seed).permutation(number.max() + 1) % folds
    out: NDArray[np.int64] = dealt[number]
    return out


def _standard_error(gains: Array, groups: Sequence[Any] | NDArray[Any]) -> float:
    number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    sums = np.bincount(number, gains - gains.mean())
    return float(np.sqrt((sums**2).sum()) / len(gains))


def _losses(p: Array, actual: NDArray[np.int64]) -> Array:
    out: Array = -np.log(np.maximum(p[np.arange(len(p)), actual], _TINY))
    return out


def _log_loss(p: Array, actual: NDArray[np.int64]) -> float:
    return float(_losses(p, actual).mean())


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    out: Array = e / e.sum()
    return out


def _logsumexp(x: Array) -> Array:
    top = x.max(axis=1, keepdims=True)
    out: Array = top + np.log(np.exp(x - top).sum(axis=1, keepdims=True))
    return out
