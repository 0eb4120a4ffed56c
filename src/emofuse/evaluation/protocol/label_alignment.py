"""Aligning the labels of a model with those of a corpus.

If both have the same labels, these are the label space (RAVDESS' eight, GoEmotions' 28).
Otherwise both are mapped, fine to coarse, to the canonical labels, and only the labels
that both know are used: what the corpus lacks is masked, samples whose label the model
lacks are excluded, and the report says both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.labels import LabelMap, Taxonomy
from ...corpora import labels as kept
from ...corpora.manifest import Entry
from ...errors import InputError
from ...models.card import Calibration

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LabelAlignment:
    """The label space that a model and a corpus share.

    Args:
        model: labels of the model's logits.
        space: the taxonomy that both are mapped to.
        projection: weights, model's labels × `space`.
        truth: the corpus' labels → `space`.
        shared: which labels of `space` both know, bool (len(space),).
    """

    model: Taxonomy
    space: Taxonomy
    projection: NDArray[np.float64]
    truth: LabelMap
    shared: NDArray[np.bool_]

    @property
    def labels(self) -> tuple[str, ...]:
        """The shared labels, in the order of every probability vector."""
        return tuple(x for x, yes in zip(self.space.labels, self.shared, strict=True) if yes)

    @property
    def unknown_to_model(self) -> tuple[str, ...]:
        """Labels of the corpus that the model cannot predict."""
        return self._named(self.truth.covered & ~self.shared)

    @property
    def unknown_to_corpus(self) -> tuple[str, ...]:
        """Labels of the model that no sample of the corpus can have."""
        return self._named((self.projection > 0).any(axis=0) & ~self.shared)

    @property
    def fallback(self) -> NDArray[np.float64]:
        """The prediction where no speech was found: neutral if it is a label, else uniform."""
        out = np.array([label == "neutral" for label in self.labels], np.float64)
        return out if out.any() else np.full(len(self.labels), 1 / len(self.labels))

    def probabilities(self, logits: Floats, calibration: Calibration) -> Floats:
        """Turn logits, (n, model's labels), into probabilities of `labels`.

        Those of a single-label model sum to 1: other labels are masked, and fine
        labels add up. Each of a multi-label model is the largest of its fine labels'.
        """
        weights = self.projection[:, self.shared]
        if self.model.multi_label:
            fine = calibration.probabilities(logits, multi_label=True)
            largest = [fine[:, column > 0].max(axis=1) for column in weights.T]
            return np.stack(largest, axis=1)
        p = calibration.probabilities(logits).astype(np.float64) @ weights
        closed: Floats = (p / np.maximum(p.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
        return closed

    def unmasked(self, logits: Floats, calibration: Calibration) -> NDArray[np.float64]:
        """Turn logits into probabilities of all labels of `space`: (n, len(space))."""
        p = calibration.probabilities(logits, self.model.multi_label).astype(np.float64)
        out: NDArray[np.float64] = p @ self.projection
        return out

    def targets(self, entries: Iterable[Entry]) -> Floats:
        """Return each entry's distribution over `space`: float32 (n, len(space)), or all 0."""
        return kept.soft_targets(entries, self.truth)

    def _named(self, mask: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(x for x, yes in zip(self.space.labels, mask, strict=True) if yes)


def align(
    model: Taxonomy,
    corpus: Taxonomy,
    label_map: Path | None = None,
    model_map: LabelMap | None = None,
) -> LabelAlignment:
    """Find the label space of a model and a corpus.

    Args:
        model: labels of the model.
        corpus: labels of the corpus.
        label_map: a user's map of the corpus' labels to the canonical ones.
        model_map: the map of the model's labels that its card holds, if it holds one.

    Raises:
        InputError: if one of them has labels that no map knows, or they share none.
    """
    if set(model.labels) == set(corpus.labels) and label_map is None:
        truth = LabelMap(corpus, model, {x: {x: 1.0} for x in corpus.labels}, {})
        return LabelAlignment(model, model, np.eye(len(model)), truth, np.ones(len(model), bool))
    projection = (model_map or kept.canonical_map(model)).matrix
    coarse = kept.to_valence()
    if set(corpus.labels) == set(coarse.target.labels):
        # The corpus says nothing finer, so the predictions become as coarse as it is.
        truth = LabelMap(corpus, coarse.target, {x: {x: 1.0} for x in corpus.labels}, {})
        projection = projection @ coarse.matrix
    else:
        truth = kept.canonical_map(corpus) if label_map is None else kept.map_of(corpus, label_map)
    shared = truth.covered & (projection > 0).any(axis=0)
    if shared.sum() < 2:
        raise InputError(
            f"a model of {', '.join(model.labels)} and a corpus of {', '.join(corpus.labels)} "
            "share fewer than two labels: there is nothing to evaluate"
        )
    return LabelAlignment(model, truth.target, projection, truth, shared)
