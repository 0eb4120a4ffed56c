"""Samples of several corpora, brought together by their label.

No corpus here shows face, voice and words of one person at one moment *and* leaves
all three to models that have not learnt from it. So an unseen face is paired with
an unseen clip, and an unseen comment, of the same emotion, as student projects do.

What this cannot say: given the emotion, such a face and such a voice are independent.
Real ones are not (both follow from one person, one intensity, one recording), so the
gain that fusion shows on pairs is an upper bound of its gain on people.
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
    """Rows of several readings that belong together.

    Args:
        labels: the labels that are asked for.
        parts: the readings, one a modality.
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
        """Return one modality's readings, a row a pair."""
        number = self.modalities.index(modality)
        return self.parts[number].where(self.rows[:, number])

    def evidence(self, pair: int) -> Mapping[Modality, Estimate]:
        """Return what a slot would hold: the estimates of those parts that heard or saw any."""
        found = (
            part.estimate(int(row)) for part, row in zip(self.parts, self.rows[pair], strict=True)
        )
        return {e.modality: e for e in found if e is not None}

    def with_part(self, readings: CachedPredictions) -> Pairs:
        """Return the same pairs with other readings of one part's samples, e.g. of corrupted ones.

        Raises:
            ValueError: if they are not of the same samples in the same order.
        """
        number = self.modalities.index(readings.modality)
        if self.parts[number].ids != readings.ids:
            raise ValueError(f"{readings.name} is not of the samples that were paired")
        parts = (*self.parts[:number], readings, *self.parts[number + 1 :])
        return Pairs(self.labels, parts, self.rows, self.actual)


def by_label(
    *parts: CachedPredictions, labels: Sequence[str], seed: int, per_label: int | None = None
) -> Pairs:
    """Bring rows together that have the same label.

    Each label gets as many pairs as the part that has most rows of it has rows; every
    row of every part is used, all of a part and label about equally often.

    Args:
        parts: readings of different modalities.
        labels: those that are asked for; other rows are left out.
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
        rows.append(np.stack([_dealt(pool, n, rng) for pool in pools], axis=1))
        actual.append(np.full(n, number))
    return Pairs(tuple(labels), parts, np.concatenate(rows), np.concatenate(actual))


def shared_labels(*parts: CachedPredictions) -> tuple[str, ...]:
    """Return the canonical labels of which every part has samples and its model an idea."""
    first, *others = ([x for x in part.taxonomy.labels if x in set(part.labels)] for part in parts)
    return tuple(label for label in first if all(label in other for other in others))


def _dealt(pool: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal n cards from a pack that is shuffled anew whenever it is used up."""
    packs = [rng.permutation(pool) for _ in range(-(-n // len(pool)))]
    return np.concatenate(packs)[:n]
