"""Fusing paired predictions, and measuring the result."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import SPEAKER, Modality
from ...core.labels import CANONICAL
from ...core.protocols import Fuser, Slot
from ..metrics import calibration
from ..metrics import classification as metrics
from ..predict.cached import MOMENT
from .pairs import Pairs

Array = NDArray[np.float64]
Subset = tuple[Modality, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A fuser's results for pairs.

    Args:
        actual: index of the true label, (pairs,).
        p: probabilities of the shared labels, (pairs, labels), rows sum to 1.
        confidence: of the best of all canonical labels, (pairs,); 0 without evidence.
        weights: of each modality in the result, (pairs, modalities); NaN where absent.
        modalities: in the order of `weights`.
    """

    actual: NDArray[np.int64]
    p: Array
    confidence: Array
    weights: Array
    modalities: Subset

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best label is right, (pairs,)."""
        out: NDArray[np.bool_] = self.p.argmax(axis=1) == self.actual
        return out

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(self.right.mean())

    @property
    def uar(self) -> float:
        """Unweighted average recall."""
        return metrics.uar(self.actual, self.p.argmax(axis=1), self.p.shape[1])

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return calibration.ece(self.actual, self.p)

    def weight(self, modality: Modality) -> float:
        """Mean weight of a modality where it is present."""
        return float(np.nanmean(self.weights[:, self.modalities.index(modality)]))


def subsets(modalities: Iterable[Modality]) -> tuple[Subset, ...]:
    """Return all subsets that are not empty, small ones first."""
    parts = tuple(modalities)
    return tuple(s for n in range(1, len(parts) + 1) for s in itertools.combinations(parts, n))


def fuse(pairs: Pairs, fuser: Fuser, subset: Subset | None = None) -> Fused:
    """Fuse every pair, each as the first slot of a stream.

    Args:
        pairs: what to fuse.
        fuser: the strategy.
        subset: modalities that are present; default: all.
    """
    present = subset or pairs.modalities
    n, columns = len(pairs), [CANONICAL.index(label) for label in pairs.labels]
    p = np.full((n, len(columns)), 1 / len(columns))
    confidence, weights = np.zeros(n), np.full((n, len(present)), np.nan)
    for i in range(n):
        evidence = {m: e for m, e in pairs.evidence(i).items() if m in present}
        fuser.reset()
        fused = fuser.fuse(Slot(SPEAKER, MOMENT, evidence)) if evidence else None
        if fused is None:
            continue
        closed = fused.probabilities.values[columns].astype(np.float64) + 1e-12
        p[i], confidence[i] = closed / closed.sum(), fused.confidence
        if fused.fusion:
            weights[i] = [fused.fusion.modality_weights.get(m, np.nan) for m in present]
    return Fused(pairs.actual, p, confidence, weights, present)


def microseconds(pairs: Pairs, fuser: Fuser, slots: int = 300) -> float:
    """Median time of fusing one slot, in microseconds; best of three rounds, on one thread."""
    evidence = [pairs.evidence(i % len(pairs)) for i in range(slots)]
    prepared = [Slot(SPEAKER, MOMENT, e) for e in evidence if e]
    rounds = []
    for _ in range(3):
        times = []
        for slot in prepared:
            started = time.perf_counter()
            fuser.fuse(slot)
            times.append(time.perf_counter() - started)
        rounds.append(float(np.median(times)))
    return 1e6 * min(rounds)


def pooled(found: Sequence[Fused]) -> tuple[Array, NDArray[np.bool_]]:
    """Concatenate the confidences of several sets, and whether each is right."""
    return (
        np.concatenate([f.confidence for f in found]),
        np.concatenate([f.right for f in found]),
    )
