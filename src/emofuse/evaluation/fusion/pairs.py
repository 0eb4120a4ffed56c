"""Samples of several corpora, paired by label.

No corpus here has face, voice and words of one person at one moment *and* was kept from
the training of all three models. So an unseen face is paired with an unseen clip, and an
unseen comment, of the same emotion.

The limitation: given the emotion, such a face and such a voice are independent. Real
ones are not (they share a person, an intensity, a recording), so the gain of fusion on
pairs is an upper bound of its gain on people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Estimate, Modality
from ...errors import InputError
from ..predict.cached import CachedPredictions


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows of several sets of predictions that belong together.

    Args:
        labels: the shared labels.
        parts: the predictions, one set per modality.
        rows: which row of each part, int64 (pairs, parts).
        actual: index into `labels` of each pair, int64 (pairs,).
    """

    labels: tuple[str, ...]
    parts: tuple[CachedPredictions, ...]
    rows: NDArray[np.int64]
    actual: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.actual)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Of the parts, in their order."""
        return tuple(part.modality for part in self.parts)

    def part(self, modality: Modality) -> CachedPredictions:
        """Return one modality's predictions, one row per pair."""
        number = self.modalities.index(modality)
        return self.parts[number].where(self.rows[:, number])

    def evidence(self, pair: int) -> Mapping[Modality, Estimate]:
        """Return what a slot would hold: the estimates of the parts that have evidence."""
        found = (
            part.estimate(int(row)) for part, row in zip(self.parts, self.rows[pair], strict=True)
        )
        return {e.modality: e for e in found if e is not None}

    def with_part(self, predictions: CachedPredictions) -> Pairs:
        """Return the same pairs with other predictions for one part's samples, e.g. corrupted.

        Raises:
            ValueError: if they are not of the same samples in the same order.
        """
        number = self.modalities.index(predictions.modality)
        if self.parts[number].ids != predictions.ids:
            raise ValueError(f"{predictions.name} is not of the samples that were paired")
        parts = (*self.parts[:number], predictions, *self.parts[number + 1 :])
        return Pairs(self.labels, parts, self.rows, self.actual)


def by_label(
    *parts: CachedPredictions, labels: Sequence[str], seed: int, per_label: int | None = None
) -> Pairs:
    """Pair rows that have the same label.

    Each label gets as many pairs as the part with most rows of it has; every row of
    every part is used, those of one part and label about equally often.

    Args:
        parts: predictions of different modalities.
        labels: rows of other labels are left out.
        seed: of the pairing.
        per_label: pairs of each label instead; then some rows may stay unused.

    Raises:
        InputError: if a part has no row of a label, or two are of one modality.
    """
    if len({part.modality for part in parts}) != len(parts):
        raise InputError(f"pairs need different modalities, got {[p.name for p in parts]}")
    rng = np.random.default_rng(seed)
    rows, actual = [], []
    for number, label in enumerate(labels):
        pools = [np.flatnonzero([x == label for x in part.labels]) for part in parts]
        for part, pool in zip(parts, pools, strict=True):
            if not len(pool):
                raise InputError(f"{part.name} has no sample that is {label}: nothing to pair")
        n = per_label or max(map(len, pools))
        rows.append(np.stack([_draw(pool, n, rng) for pool in pools], axis=1))
        actual.append(np.full(n, number))
    return Pairs(tuple(labels), parts, np.concatenate(rows), np.concatenate(actual))


def shared_labels(*parts: CachedPredictions) -> tuple[str, ...]:
    """Return the canonical labels that occur in every part and that every model knows."""
    first, *others = ([x for x in part.taxonomy.labels if x in set(part.labels)] for part in parts)
    return tuple(label for label in first if all(label in other for other in others))


def _draw(pool: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n items from a pool that is reshuffled whenever it is used up."""
    packs = [rng.permutation(pool) for _ in range(-(-n // len(pool)))]
    return np.concatenate(packs)[:n]
