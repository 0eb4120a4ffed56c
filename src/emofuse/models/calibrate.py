"""Fits what turns logits into probabilities that mean what they say.

Temperature and vector scaling (Guo et al. 2017, "On calibration of modern neural
networks") and Dirichlet calibration (Kull et al. 2019, "Beyond temperature scaling"),
all by the log loss on data that the model has not learnt from. A richer map has to
earn its place: `choose` takes it only if it is better on samples that it was not
fitted to by more than twice the standard error of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import Calibration, CalibrationKind, log_softmax

Floats = NDArray[np.floating[Any]]
Array = NDArray[np.float64]

STRENGTHS = (1e-2, 1e-1)
"""Strengths of the regularisation that are tried for the richer maps."""

_RATIO = (math.sqrt(5) - 1) / 2


def fit_temperature(targets: Floats, logits: Floats) -> Calibration:
    """Find the temperature in [0.05, 20] that minimises the log loss (Guo et al. 2017).

    The loss is convex in the inverse temperature, so a golden-section search over
    it finds the minimum.

    Args:
        targets: distributions, shape (n, labels).
        logits: of the same shape, uncalibrated.
    """

    def loss(log_inverse: float) -> float:
        return float(_losses(targets, logits * math.exp(log_inverse)).mean())

    low, high = math.log(1 / 20), math.log(20)
    while high - low > 1e-4:
        left, right = high - _RATIO * (high - low), low + _RATIO * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return Calibration(math.exp(-(low + high) / 2))


def fit_vector(targets: Floats, logits: Floats, strength: float = 1e-2) -> Calibration:
    """Fit a factor and a summand a label, drawn towards temperature scaling.

    Args:
        targets: distributions, shape (n, labels).
        logits: of the same shape, uncalibrated.
        strength: of the pull, ≥ 0: times the mean square of the bias and of the
            factors' distance from 1.
    """
    k = targets.shape[1]
    plain = fit_temperature(targets, logits)
    z = logits.astype(np.float64) / plain.temperature
    y = targets.astype(np.float64)

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = parameters[:k], parameters[k:]
        value, residual = _loss(y, z * scale + bias)
        value += strength * (((scale - 1) ** 2).sum() + (bias**2).sum()) / k
        by_scale = (residual * z).sum(axis=0) + 2 * strength * (scale - 1) / k
        by_bias = residual.sum(axis=0) + 2 * strength * bias / k
        return value, np.concatenate([by_scale, by_bias])

    best = _minimum(loss, np.concatenate([np.ones(k), np.zeros(k)]))
    return Calibration(plain.temperature, scale=tuple(best[:k]), bias=_centred(best[k:]))


def fit_dirichlet(targets: Floats, logits: Floats, strength: float = 1e-2) -> Calibration:
    """Fit Dirichlet calibration with off-diagonal and intercept regularisation (ODIR).

    Args:
        targets: distributions, shape (n, labels).
        logits: of the same shape, uncalibrated.
        strength: of the regularisation, ≥ 0: times the mean square of the matrix
            off its diagonal, and of the bias. The diagonal is free.
    """
    k = targets.shape[1]
    plain = fit_temperature(targets, logits)
    log_p = np.log(np.maximum(plain.probabilities(logits).astype(np.float64), 1e-12))
    y = targets.astype(np.float64)
    off = ~np.eye(k, dtype=bool)

    def loss(parameters: Array) -> tuple[float, Array]:
        matrix, bias = parameters[: k * k].reshape(k, k), parameters[k * k :]
        value, residual = _loss(y, log_p @ matrix.T + bias)
        crossed = np.where(off, matrix, 0.0)
        value += strength * ((crossed**2).sum() / (k * (k - 1)) + (bias**2).sum() / k)
        by_matrix = residual.T @ log_p + 2 * strength * crossed / (k * (k - 1))
        by_bias = residual.sum(axis=0) + 2 * strength * bias / k
        return value, np.concatenate([by_matrix.ravel(), by_bias])

    best = _minimum(loss, np.concatenate([np.eye(k).ravel(), np.zeros(k)]))
    matrix = tuple(map(tuple, best[: k * k].reshape(k, k)))
    return Calibration(plain.temperature, bias=_centred(best[k * k :]), matrix=matrix)


Fit = Callable[[Floats, Floats], Calibration]


@dataclass(frozen=True, slots=True)
class Choice:
    """What `choose` found.

    Args:
        calibration: fitted to everything.
        losses: by candidate (its kind, and strength where it has one) the mean log
            loss on samples that it was not fitted to.
    """

    calibration: Calibration
    losses: dict[str, float]


def choose(
    targets: Floats,
    logits: Floats,
    groups: NDArray[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Choice:
    """Fit the calibration that earns its place.

    The candidates are fitted on all folds but one and judged by the log loss on it.
    The best of the richer ones is taken only if its gain over temperature scaling
    exceeds twice the standard error of that gain, counted over groups.

    Args:
        targets: distributions, shape (n, labels).
        logits: of the same shape, uncalibrated.
        groups: who each sample is of, (n,); nobody is in two folds. Default: each
            sample stands for itself.
        folds: how many.
        seed: of the folds.
    """
    group = np.unique(np.arange(len(targets)) if groups is None else groups, return_inverse=True)[
        1
    ].ravel()
    fold_of = np.random.default_rng(seed).permutation(group.max() + 1) % folds
    fold = fold_of[group]
    candidates = _candidates()
    losses = {name: np.zeros(len(targets)) for name in candidates}
    for held in range(min(folds, group.max() + 1)):
        out, rest = fold == held, fold != held
        for name, fit in candidates.items():
            found = fit(targets[rest], logits[rest])
            p = found.probabilities(logits[out]).astype(np.float64)
            losses[name][out] = -(targets[out] * np.log(np.maximum(p, 1e-12))).sum(axis=1)
    means = {name: float(x.mean()) for name, x in losses.items()}
    plain = CalibrationKind.TEMPERATURE.value
    best = min(means, key=lambda name: means[name])
    if means[plain] - means[best] <= 2 * _standard_error(losses[plain] - losses[best], group):
        best = plain
    return Choice(candidates[best](targets, logits), means)


def _candidates() -> dict[str, Fit]:
    richer = {CalibrationKind.VECTOR: fit_vector, CalibrationKind.DIRICHLET: fit_dirichlet}
    out: dict[str, Fit] = {CalibrationKind.TEMPERATURE.value: fit_temperature}
    for kind, fit in richer.items():
        for strength in STRENGTHS:
            out[f"{kind.value} {strength:g}"] = lambda y, z, f=fit, s=strength: f(y, z, s)  # type: ignore[misc]
    return out


def _standard_error(gains: Array, group: NDArray[Any]) -> float:
    """Return the standard error of the mean gain, (n,), where groups are independent."""
    sums = np.bincount(group, gains - gains.mean())
    return float(math.sqrt((sums**2).sum()) / len(gains))


def _losses(targets: Floats, logits: Floats) -> Array:
    out: Array = -(targets * log_softmax(logits.astype(np.float64))).sum(axis=1)
    return out


def _loss(targets: Array, logits: Array) -> tuple[float, Array]:
    """Return the mean log loss and its gradient by the logits."""
    log_p = log_softmax(logits)
    n = len(targets)
    mass = targets.sum(axis=1, keepdims=True)
    return float(-(targets * log_p).sum() / n), (mass * np.exp(log_p) - targets) / n


def _minimum(loss: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
    from scipy.optimize import minimize  # slow to import

    best: Array = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return best


def _centred(bias: Array) -> tuple[float, ...]:
    """A common summand changes nothing: leave it out."""
    return tuple(bias - bias.mean())
