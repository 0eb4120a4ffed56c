"""Fusing truly paired posteriors: RAVDESS, five actor-disjoint folds.

The table is that of Luna-Jiménez et al. 2021 (doi:10.3390/s21227665): posteriors of two
face models and one voice model for each of 1,440 clips, by models that had not seen the
clip's actor. A strategy is fitted on four folds and tested on the fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...corpora import tree
from ...errors import InputError
from ...fusion import fit as fitting
from ...fusion.config import FusionConfig, Strategy
from ...fusion.pools import linear_pool, log_pool, relative_log_pool
from ..metrics import bootstrap, calibration
from ..metrics import classification as metrics
from ..metrics.state import MetricState

Array = NDArray[np.float64]
TABLE = "ravdess_posteriors.csv"
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
MODELS = {"face MLP": "faceMLP", "face LSTM": "faceLSTM", "voice": "voiceW2V"}
"""Name of a model → prefix of its columns."""

PUBLISHED = 0.867
"""The authors' own fusion."""

CEILING = 0.879
"""Two weights selected on the test folds themselves: an upper bound for scores alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """The table.

    Args:
        p: probabilities, shape (clips, models, labels), rows sum to 1.
        actual: index into `LABELS`, (clips,).
        fold: (clips,).
        actors: (clips,).
    """

    p: Array
    actual: NDArray[np.int64]
    fold: NDArray[np.int64]
    actors: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.actual)


Predict = Callable[[Array], Array]
"""(n, modalities, labels) → (n, labels)."""
Fit = Callable[[Array, NDArray[np.int64], NDArray[Any]], Predict]
"""Fits a strategy to probabilities, (n, modalities, labels), classes and actors, each (n,)."""


def load(path: Path) -> Posteriors:
    """Read the table.

    Args:
        path: the file, or a folder that holds it somewhere.

    Raises:
        InputError: if it is not there, or is another.
    """
    found = tree.find(path, TABLE) if path.is_dir() else path
    if found is None or not found.is_file():
        raise InputError(f"no {TABLE} in {path}: give the file with --posteriors")
    columns = [f"{prefix}_{label}" for prefix in MODELS.values() for label in LABELS]
    rows = tree.read_table(found, "actor", "emotion", "fold", *columns)
    try:
        flat = np.array([[float(row[c]) for c in columns] for row in rows])
        actual = np.array([LABELS.index(row["emotion"]) for row in rows], np.int64)
        fold = np.array([int(row["fold"]) for row in rows], np.int64)
    except ValueError as e:
        raise InputError(f"{found} is not the expected table: {e}") from e
    p = np.maximum(flat.reshape(len(rows), len(MODELS), len(LABELS)), 0.0)
    if not len(rows) or not np.isfinite(p).all() or not (p.sum(axis=-1) > 0.5).all():
        raise InputError(f"{found}: every model's probabilities of a clip must sum to 1")
    p /= p.sum(axis=-1, keepdims=True)
    return Posteriors(p, actual, fold, tuple(row["actor"] for row in rows))


def average(p: Array, actual: NDArray[np.int64], actors: NDArray[Any]) -> Predict:
    """The plain average: nothing is fitted."""
    return lambda new: linear_pool(new, np.ones(new.shape[:2]))


def geometric(p: Array, actual: NDArray[np.int64], actors: NDArray[Any]) -> Predict:
    """The plain geometric mean: nothing is fitted."""
    uniform = np.full(p.shape[2], 1 / p.shape[2])
    return lambda new: log_pool(new, uniform, np.full(new.shape[:2], 1 / new.shape[1]))


def by_strategy(strategy: Strategy) -> Fit:
    """Return how a pool's weights are fitted, see `fusion.fit`."""

    def fit(p: Array, actual: NDArray[np.int64], actors: NDArray[Any]) -> Predict:
        priors = p.mean(axis=0)
        found = fitting.fit(strategy, fitting.ModalityPosteriors(p, priors=priors), actual, actors)
        return lambda new: found(fitting.ModalityPosteriors(new, priors=priors))

    return fit


def by_rule(strategy: Strategy) -> Fit:
    """Return a strategy as it is where nothing was fitted: a face and a voice, in this order."""
    weights = FusionConfig(strategy).all_weights
    pair = np.array([weights[Modality.FACE], weights[Modality.SPEECH]])
    discounts = np.array([m.spec.neutral_discount for m in (Modality.FACE, Modality.SPEECH)])

    def fit(p: Array, actual: NDArray[np.int64], actors: NDArray[Any]) -> Predict:
        priors = p.mean(axis=0)
        if strategy is Strategy.LOGPOOL:
            calm = [LABELS.index("neutral"), LABELS.index("calm")]  # one label in the product
            return lambda new: relative_log_pool(
                new, priors, pair * (1 - discounts * new[:, :, calm].sum(axis=2)) ** 2
            )
        pool = fitting.OpinionPool(strategy, pair)
        return lambda new: pool.pooled(fitting.ModalityPosteriors(new, priors=priors))

    return fit


def experts(data: Posteriors, models: Sequence[str]) -> Array:
    """Return face and voice, (clips, 2, labels); several face models are one expert's mean."""
    of = {name: data.p[:, number] for number, name in enumerate(MODELS)}
    faces = [of[name] for name in models if name != "voice"]
    return np.stack([fitting.merged(*faces), of["voice"]], axis=1)


def out_of_fold(data: Posteriors, models: Sequence[str], fit: Fit) -> Array:
    """Fit on all folds but one, predict that one: (clips, labels)."""
    p, actors = experts(data, models), np.array(data.actors)
    out = np.zeros((len(data), len(LABELS)))
    for held in np.unique(data.fold):
        test = data.fold == held
        out[test] = fit(p[~test], data.actual[~test], actors[~test])(p[test])
    return out


@dataclass(frozen=True, slots=True)
class Row:
    """The metrics of one strategy.

    Args:
        name: of the strategy.
        models: whose posteriors it fuses.
        accuracy: over all clips, with its interval by actor.
        folds: accuracy of each fold.
        gains: of each fold, over the best single model of those fused in that fold.
        ece: expected calibration error.
        nll: log loss.
    """

    name: str
    models: tuple[str, ...]
    accuracy: tuple[float, float, float]
    folds: tuple[float, ...]
    gains: tuple[float, ...]
    ece: float
    nll: float

    @property
    def never_worse(self) -> bool:
        """Whether no fold is below its best single model."""
        return min(self.gains) >= -1e-9


def measure(
    data: Posteriors,
    name: str,
    models: Sequence[str],
    p: Array,
    n_resamples: int = bootstrap.N_RESAMPLES,
    seed: int = 0,
) -> Row:
    """Measure out-of-fold predictions, (clips, labels)."""
    state = MetricState.of(data.actual, p)
    low, high = bootstrap.intervals(state, bootstrap.group_of(data.actors), n_resamples, seed)[
        "accuracy"
    ]
    folds = [data.fold == k for k in np.unique(data.fold)]
    singles = {m: data.p[:, list(MODELS).index(m)].argmax(axis=1) for m in models}

    def share(predicted: NDArray[Any], where: NDArray[np.bool_]) -> float:
        return metrics.accuracy(data.actual[where], predicted[where])

    predicted = p.argmax(axis=1)
    by_fold = tuple(share(predicted, where) for where in folds)
    best = [max(share(a, where) for a in singles.values()) for where in folds]
    return Row(
        name,
        tuple(models),
        (metrics.accuracy(data.actual, predicted), low, high),
        by_fold,
        tuple(a - b for a, b in zip(by_fold, best, strict=True)),
        calibration.ece(data.actual, p),
        calibration.nll(data.actual, p),
    )


SETS: tuple[tuple[str, ...], ...] = (
    ("face LSTM", "voice"),
    ("face MLP", "voice"),
    ("face MLP", "face LSTM", "voice"),
)
"""Sets of models that are fused; those of one modality are averaged first."""


def compare(
    data: Posteriors, fits: Mapping[str, Fit], n_resamples: int = bootstrap.N_RESAMPLES
) -> list[Row]:
    """Measure the models alone, the plain means, and every strategy on every set.

    Args:
        data: the table.
        fits: strategies by name.
        n_resamples: bootstrap samples for intervals.
    """
    rows = []
    for m, name in enumerate(MODELS):
        rows.append(measure(data, f"{name} alone", (name,), data.p[:, m], n_resamples))
    plain: dict[str, Fit] = {"plain average": average, "geometric mean": geometric}
    for models in SETS:
        for name, fit in {**plain, **fits}.items():
            rows.append(measure(data, name, models, out_of_fold(data, models, fit), n_resamples))
    return rows
