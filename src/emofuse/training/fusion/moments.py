"""Pairs as a net's inputs, and the subsets of their modalities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...fusion.learned import Layout

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Pairs as a net's inputs.

    Args:
        inputs: by name, float32, first axis: pairs (see `fusion.learned.Layout`).
        actual: number of the right canonical label, (pairs,).
        asked: 1 for labels that the pair's corpora know, float32 (pairs, labels).
    """

    inputs: Mapping[str, Floats]
    actual: NDArray[np.int64]
    asked: Floats

    def __len__(self) -> int:
        return len(self.actual)

    def where(self, rows: NDArray[Any]) -> Moments:
        """Return some pairs."""
        inputs = {name: x[rows] for name, x in self.inputs.items()}
        return Moments(inputs, self.actual[rows], self.asked[rows])

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """Return all pairs of several."""
        inputs = {
            name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs
        }
        actual = np.concatenate([part.actual for part in parts])
        return Moments(inputs, actual, np.concatenate([part.asked for part in parts]))


def subsets(modalities: Sequence[Modality]) -> list[tuple[Modality, ...]]:
    """Return all non-empty subsets, the largest first."""
    sizes = range(len(modalities), 0, -1)
    return [s for n in sizes for s in itertools.combinations(modalities, n)]


def only(moments: Moments, layout: Layout, some: Sequence[Modality]) -> Moments:
    """Return the pairs with these modalities alone; those that then have nothing are left out."""
    keep = np.array([float(m in some) for m in layout.modalities], np.float32)
    found = masked(moments, layout, np.tile(keep, (len(moments), 1)))
    return found.where(found.inputs["mask"].any(axis=1))  # type: ignore[arg-type]


def masked(moments: Moments, layout: Layout, keep: Floats) -> Moments:
    """Keep modalities where `keep` is 1, float32 (pairs, modalities); elsewhere all is 0."""
    wide = np.repeat(keep, layout.widths, axis=1) if any(layout.widths) else 1.0
    inputs = {
        "evidence": moments.inputs["evidence"] * keep[:, :, None],
        "embeddings": moments.inputs["embeddings"] * wide,
        "quality": moments.inputs["quality"] * keep,
        "mask": moments.inputs["mask"] * keep,
    }
    return replace(moments, inputs=inputs)
