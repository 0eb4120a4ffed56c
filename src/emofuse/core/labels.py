"""Label sets and the maps between them.

A corpus keeps its own native labels. A `LabelMap` sends them, fine → coarse, to
another taxonomy; it is never inverted, and a class that a corpus lacks is left
out (masked) rather than taught as absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered tuple of distinct labels.

    Args:
        name: short name, e.g. ``"canonical"``.
        labels: the labels in the order of every probability vector over them.
        multi_label: True if a sample may carry several labels at once; the
            probabilities then need not sum to 1.

    Raises:
        ValueError: if there are no labels or two are equal.

    Example:
        >>> mood = Taxonomy("mood", ("calm", "merry"))
        >>> mood.index("merry"), len(mood)
        (1, 2)
    """

    name: str
    labels: tuple[str, ...]
    multi_label: bool = False

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a taxonomy needs distinct labels, got {self.labels}")

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the labels, their order or kind change."""
        text = "\n".join((*self.labels, "multi" if self.multi_label else "single"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def index(self, label: str) -> int:
        """Return the position of `label`.

        Raises:
            KeyError: if the taxonomy has no such label.
        """
        try:
            return self.labels.index(label)
        except ValueError:
            raise KeyError(
                f"no label {label!r} in taxonomy {self.name!r}; it has {', '.join(self.labels)}"
            ) from None

    def __len__(self) -> int:
        return len(self.labels)


CANONICAL = Taxonomy(
    "canonical",
    ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt"),
)
"""The labels of fused results: Ekman's six, neutral, and contempt."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Where each label of `source` goes in `target`.

    Args:
        source: the fine taxonomy.
        target: the coarse taxonomy.
        weights: source label → {target label: weight}; the weights of one label
            sum to 1.
        dropped: source label → reason why it has no place in `target`.

    Raises:
        ValueError: if a source label is accounted for never or twice, a target
            label is unknown, or weights do not sum to 1.
    """

    source: Taxonomy
    target: Taxonomy
    weights: Mapping[str, Mapping[str, float]]
    dropped: Mapping[str, str]

    def __post_init__(self) -> None:
        named = [*self.weights, *self.dropped]
        if sorted(named) != sorted(self.source.labels):
            raise ValueError(
                f"a map from {self.source.name!r} must name each of its labels once: "
                f"expected {sorted(self.source.labels)}, got {sorted(named)}"
            )
        for label, row in self.weights.items():
            for target in row:
                self.target.index(target)
            if abs(sum(row.values()) - 1.0) > 1e-6 or min(row.values()) < 0:
                raise ValueError(f"weights of {label!r} must be ≥ 0 and sum to 1, got {dict(row)}")
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))

    @classmethod
    def identity(cls, taxonomy: Taxonomy) -> LabelMap:
        """Build the map that changes nothing.

        Example:
            >>> LabelMap.identity(Taxonomy("mood", ("calm", "merry"))).matrix.tolist()
            [[1.0, 0.0], [0.0, 1.0]]
        """
        return cls(taxonomy, taxonomy, {label: {label: 1.0} for label in taxonomy.labels}, {})

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Weights as an array, source labels × target labels; rows of dropped labels are 0."""
        out = np.zeros((len(self.source), len(self.target)))
        for label, row in self.weights.items():
            for target, weight in row.items():
                out[self.source.index(label), self.target.index(target)] = weight
        return out

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Which target labels some source label reaches; the rest are masked in a loss."""
        covered: NDArray[np.bool_] = self.matrix.max(axis=0) > 0
        return covered
