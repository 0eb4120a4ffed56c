"""What fusers make of paired readings: all subsets, corrupted parts, calibration, abstaining."""

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
from ..metrics import classification as metrics
from ..predict.cached import MOMENT
from .pairs import Pairs

Array = NDArray[np.float64]
Subset = tuple[Modality, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What a fuser said of pairs.

    Args:
        actual: index of the right label, (pairs,).
        p: probabilities of the labels that are asked for, (pairs, labels), rows sum to 1.
        confidence: of the best of all canonical labels, (pairs,); 0 without evidence.
        shares: of each modality in the result, (pairs, modalities); nan where absent.
        modalities: in the order of `shares`.
    """

    actual: NDArray[np.int64]
    p: Array
    confidence: Array
    shares: Array
    modalities: Subset

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best label is right, (pairs,)."""
        out: NDArray[np.bool_] = self.p.argmax(axis=1) == self.actual
        return out

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())

    @property
    def uar(self) -> float:
        """Unweighted average recall."""
        return metrics.uar(self.actual, self.p.argmax(axis=1), self.p.shape[1])

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return metrics.ece(self.actual, self.p)

    def share(self, modality: Modality) -> float:
        """Mean share of a modality where it is present."""
        return float(np.nanmean(self.shares[:, self.modalities.index(modality)]))


def subsets(modalities: Iterable[Modality]) -> tuple[Subset, ...]:
    """Return all subsets that are not empty, small ones first."""
    parts = tuple(modalities)
    return tuple(s for n in range(1, len(parts) + 1) for s in itertools.combinations(parts, n))


def fuse(pairs: Pairs, fuser: Fuser, subset: Subset | None = None) -> Fused:
    """Let a fuser fuse every pair, each as the first slot of a stream.

    Args:
        pairs: what to fuse.
        fuser: by what.
        subset: modalities that are present; default: all.
    """
    present = subset or pairs.modalities
    n, asked = len(pairs), [CANONICAL.index(label) for label in pairs.labels]
    p = np.full((n, len(asked)), 1 / len(asked))
    confidence, shares = np.zeros(n), np.full((n, len(present)), np.nan)
    for i in range(n):
        evidence = {m: e for m, e in pairs.evidence(i).items() if m in present}
        fuser.reset()
        fused = fuser.fuse(Slot(SPEAKER, MOMENT, evidence)) if evidence else None
        if fused is None:
            continue
        closed = fused.probabilities.values[asked].astype(np.float64) + 1e-12
        p[i], confidence[i] = closed / closed.sum(), fused.confidence
        if fused.fusion:
            shares[i] = [fused.fusion.modality_weights.get(m, np.nan) for m in present]
    return Fused(pairs.actual, p, confidence, shares, present)


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
    """Put the confidences, and whether they were right, of several sets together."""
    return (
        np.concatenate([f.confidence for f in found]),
        np.concatenate([f.right for f in found]),
    )
