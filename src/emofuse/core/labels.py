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
    def of_names(
        cls,
        source: Taxonomy,
        target: Taxonomy,
        map: Mapping[str, str | Mapping[str, float]],
        drop: Mapping[str, str],
    ) -> LabelMap:
        """Build a map as files write it: a label goes to one label, or in parts to several.

        Raises:
            KeyError, ValueError: if it does not account for every label, see above.
        """
        weights = {k: {to: 1.0} if isinstance(to, str) else to for k, to in map.items()}
        return cls(source, target, weights, drop)

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

    @property
    def reached(self) -> Taxonomy:
        """The covered labels of `target`, in its order."""
        labels = zip(self.target.labels, self.covered, strict=True)
        return Taxonomy(self.target.name, tuple(label for label, yes in labels if yes))

    @property
    def told(self) -> str:
        """The map for people.

        Example:
            >>> voice = Taxonomy("voice", ("calm", "sad", "bored"))
            >>> to = LabelMap(voice, CANONICAL, {"calm": {"neutral": 1.0}, "sad": {"sad": 1.0}},
            ...               {"bored": "not an emotion here"})
            >>> to.told
            'calm → neutral; without bored (not an emotion here)'
        """
        renamed = [
            f"{label} → {' + '.join(row)}"
            for label, row in self.weights.items()
            if [*row] != [label]
        ]
        left = [f"without {label} ({why})" for label, why in self.dropped.items()]
        return "; ".join(renamed + left) or "as they are"

    def fold(self, probabilities: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
        """Bring what a model says over `source` to the labels of `reached`.

        Fine labels add up; of a multi-label model the largest counts, because its
        probabilities are no parts of a whole.

        Args:
            probabilities: over `source`, shape (len(source),).

        Returns:
            Probabilities over `reached`, summing to 1 (uniform if nothing is left), and the
            share in [0, 1] that was not said of dropped labels.

        Example:
            >>> voice = Taxonomy("voice", ("calm", "sad", "bored"))
            >>> to = LabelMap(voice, CANONICAL, {"calm": {"neutral": 1.0}, "sad": {"sad": 1.0}},
            ...               {"bored": "not an emotion here"})
            >>> p, kept = to.fold(np.array([0.6, 0.2, 0.2]))
            >>> to.reached.labels, p.round(2).tolist(), kept
            (('neutral', 'sad'), [0.75, 0.25], 0.8)
        """
        p = np.asarray(probabilities, np.float64)
        weights = self.matrix[:, self.covered]
        said = (p[:, None] * weights).max(axis=0) if self.source.multi_label else p @ weights
        whole = float(p.sum())
        share = float((p * weights.sum(axis=1)).sum()) / whole if whole > 0 else 0.0
        total = float(said.sum())
        folded = said / total if total > 0 else np.full(len(said), 1 / len(said))
        return folded, min(1.0, round(share, 9))
