"""What the sections of the cross-corpus report read: models, corpora, predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...analyzer import default_models
from ...core.estimates import Modality
from ...corpora import recipes
from ...corpora.manifest import Manifest
from ...models.card import Card, Metric
from ..metrics.bootstrap import N_RESAMPLES
from ..predict import cached
from ..predict.cached import CachedPredictions
from ..predict.inference import LogitRecogniser, Progress
from ..protocol.protocols import UNUSABLE
from ..report.document import Section

REPRODUCE = "emofuse evaluate cross-corpus --data ROOT"


@dataclass(frozen=True, slots=True)
class CrossCorpusPlan:
    """What is evaluated.

    Args:
        root: folder of the corpora, their archives unpacked.
        predictions: folder in which predictions are kept; None keeps none.
        left_out: corpus → a voice model that was trained without it: its card, or the
            folder of its run. Without any, the figures on the card are reported.
        recipe: how those were trained, in words.
        models: ids of the recognisers.
        threads: per recogniser.
        n_resamples: bootstrap samples for intervals.
        command: what was run.
        reproduce: how anyone can run it again.
    """

    root: Path
    predictions: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""
    models: Mapping[Modality, str] = field(default_factory=default_models)
    threads: int = 1
    n_resamples: int = N_RESAMPLES
    command: str = ""
    reproduce: str = REPRODUCE


ALONE = ("read from, asked about", "measure", "value", "ECE", "sure, wrong")
"""Columns of the first table, of one modality each."""

FUSED = (
    "one person's clips",
    "face + voice",
    "face + words",
    "voice + words",
    "all three",
    "one right",
    "wrong, marked",
    "ECE",
)
"""Columns of the second table: a paired set a row."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a section found.

    Args:
        section: for the report.
        metrics: for JSON, by name.
        alone: rows of the table of one modality each, see `ALONE`.
        fused: rows of the table of paired sets, see `FUSED`.
        cards: rows for the cards of models, by id.
        measured: whether anything was measured now; a card's figures alone are no evaluation.
    """

    section: Section
    metrics: Mapping[str, Any] = field(default_factory=dict)
    alone: tuple[tuple[str, ...], ...] = ()
    fused: tuple[tuple[str, ...], ...] = ()
    cards: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)
    measured: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Everything that a section may read.

    Args:
        plan: what is evaluated.
        models: the recognisers.
        progress: starts a progress bar.
        missing: what was not there; sections add to it.
    """

    plan: CrossCorpusPlan
    models: Mapping[Modality, LogitRecogniser]
    progress: Progress = lambda name, total: lambda: None
    missing: list[str] = field(default_factory=list)
    _memo: dict[str, CachedPredictions] = field(default_factory=dict)

    def card(self, modality: Modality) -> Card:
        """Return the card of a modality's model."""
        return self.models[modality].card

    def miss(self, what: str, why: Exception) -> None:
        """Note what was not evaluated, and in short why: where to get it is told elsewhere."""
        reason = str(why).partition(": expected")[0].replace(str(self.plan.root), "ROOT")
        self.missing.append(f"Not evaluated: {what} ({reason}).")

    def manifest(self, corpus: str) -> Manifest:
        """Read a corpus, without samples that belong into no set.

        Raises:
            InputError: if it is not there.
        """
        found = recipes.recipe(corpus).load(self.plan.root)
        return replace(found, corpus=corpus).without(*UNUSABLE)

    def held_out(self, corpus: str) -> CachedPredictions:
        """Return predictions for the samples of `cached.CORPORA` that models did not learn from.

        Raises:
            InputError: if the corpus is not there.
        """
        modality = recipes.recipe(corpus).modalities[0]
        return self._once(corpus, modality, lambda: cached.held_out(corpus, self.plan.root))

    def of(self, corpus: str, modality: Modality, split: Any) -> CachedPredictions:
        """Return predictions for one split of a corpus.

        Raises:
            InputError: if it is not there.
        """
        return self._once(corpus, modality, lambda: self.manifest(corpus).of(split))

    def _once(
        self, corpus: str, modality: Modality, manifest: Callable[[], Manifest]
    ) -> CachedPredictions:
        if corpus not in self._memo:
            self._memo[corpus] = cached.load_or_compute(
                manifest(), self.models[modality], self.plan.predictions, progress=self.progress
            )
        return self._memo[corpus]
