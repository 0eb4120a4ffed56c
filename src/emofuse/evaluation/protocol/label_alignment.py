"""How a model's labels and a corpus' labels meet.

If both have the same labels, they meet there (RAVDESS' eight, GoEmotions' 28).
Otherwise both are mapped, fine → coarse, to the canonical labels, and only those
that both know are asked for: what the corpus lacks is no possible answer, what
the model lacks is left out of the samples, and both are said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.labels import CANONICAL, LabelMap, Taxonomy
from ...corpora import labels as kept
from ...corpora.manifest import Entry
from ...errors import InputError
from ...models.card import Calibration

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LabelAlignment:
    """Where a model's and a corpus' labels meet.

    Args:
        model: labels of the model's logits.
        wide: the taxonomy where they meet.
        answer: weights, model's labels × `wide`.
        truth: the corpus' labels → `wide`.
        shared: which labels of `wide` both know, bool (len(wide),).
    """

    model: Taxonomy
    wide: Taxonomy
    answer: NDArray[np.float64]
    truth: LabelMap
    shared: NDArray[np.bool_]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are asked for, in the order of every probability vector."""
        return tuple(x for x, yes in zip(self.wide.labels, self.shared, strict=True) if yes)

    @property
    def unknown_to_model(self) -> tuple[str, ...]:
        """Labels of the corpus that the model cannot answer."""
        return self._named(self.truth.covered & ~self.shared)

    @property
    def unknown_to_corpus(self) -> tuple[str, ...]:
        """Labels of the model that the corpus cannot ask for."""
        return self._named((self.answer > 0).any(axis=0) & ~self.shared)

    @property
    def fallback(self) -> NDArray[np.float64]:
        """What counts as the answer where nothing was heard: neutral, else any label alike."""
        out = np.array([label == "neutral" for label in self.labels], np.float64)
        return out if out.any() else np.full(len(self.labels), 1 / len(self.labels))

    def probabilities(self, logits: Floats, calibration: Calibration) -> Floats:
        """Turn logits, (n, model's labels), into probabilities of `labels`.

        Of a model of one label they sum to 1: labels that are not asked for are
        masked, and fine labels add up. Of a multi-label model each is the
        largest of its fine labels'.
        """
        weights = self.answer[:, self.shared]
        if self.model.multi_label:
            fine = calibration.probabilities(logits, multi_label=True)
            largest = [fine[:, column > 0].max(axis=1) for column in weights.T]
            return np.stack(largest, axis=1)
        p = calibration.probabilities(logits).astype(np.float64) @ weights
        closed: Floats = (p / np.maximum(p.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
        return closed

    def open_answers(self, logits: Floats, calibration: Calibration) -> NDArray[np.float64]:
        """Turn logits into probabilities of all labels of `wide`, masked by nothing."""
        p = calibration.probabilities(logits, self.model.multi_label).astype(np.float64)
        out: NDArray[np.float64] = p @ self.answer
        return out

    def targets(self, entries: Iterable[Entry]) -> Floats:
        """Return each entry's distribution over `wide`: float32 (n, len(wide)), or all 0."""
        return kept.soft_targets(entries, self.truth)

    def _named(self, mask: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(x for x, yes in zip(self.wide.labels, mask, strict=True) if yes)


def join(model: Taxonomy, corpus: Taxonomy, label_map: Path | None = None) -> LabelAlignment:
    """Find where the labels of a model and of a corpus meet.

    Args:
        model: what the model answers.
        corpus: what the corpus asks.
        label_map: a user's map of the corpus' labels to the canonical ones.

    Raises:
        InputError: if one of them has labels that no map knows, or they share none.
    """
    if set(model.labels) == set(corpus.labels) and label_map is None:
        truth = LabelMap(corpus, model, {x: {x: 1.0} for x in corpus.labels}, {})
        return LabelAlignment(model, model, np.eye(len(model)), truth, np.ones(len(model), bool))
    answers = canonical_map(model).matrix
    folded = kept.to_valence()
    if set(corpus.labels) == set(folded.target.labels):
        # The corpus says nothing finer, so the model's answers become as coarse as it is.
        truth = LabelMap(corpus, folded.target, {x: {x: 1.0} for x in corpus.labels}, {})
        answers = answers @ folded.matrix
    else:
        truth = canonical_map(corpus) if label_map is None else kept.map_of(corpus, label_map)
    shared = truth.covered & (answers > 0).any(axis=0)
    if shared.sum() < 2:
        raise InputError(
            f"a model of {', '.join(model.labels)} and a corpus of {', '.join(corpus.labels)} "
            "share fewer than two labels: there is nothing to measure"
        )
    return LabelAlignment(model, truth.target, answers, truth, shared)


def canonical_map(labels: Taxonomy) -> LabelMap:
    """Return the map of some labels to the canonical ones.

    Labels of a taxonomy that is kept in `emofuse.corpora.labels` are recognised
    whatever the taxonomy is called; others must be canonical or synonyms.

    Raises:
        InputError: if a label has no place.
    """
    if not set(labels.labels) <= set(CANONICAL.labels):
        for name in kept.names():
            if set(kept.taxonomy(name).labels) == set(labels.labels):
                known = kept.load_map(name)
                return LabelMap(labels, CANONICAL, known.weights, known.dropped)
    return kept.map_of(labels)
