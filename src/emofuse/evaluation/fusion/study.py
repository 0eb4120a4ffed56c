"""What the sections of the fusion report read: predictions, fusers, and pairs made of them.

Everything follows from the plan and the predictions. What is costly is computed when it
is first read and then remembered, so the order of the sections does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...analyzer import default_models
from ...core.estimates import Modality
from ...core.protocols import Fuser
from ...corpora.manifest import Split
from ...errors import InputError
from ...fusion.config import FusionConfig
from ..metrics.bootstrap import N_RESAMPLES
from ..predict import cached
from ..predict.cached import CachedPredictions
from ..predict.inference import LogitRecogniser, Progress
from ..protocol.robustness import corruptions
from .paired import Fused, Subset, fuse, subsets
from .pairs import Pairs, by_label, shared_labels

FACE, SPEECH, TEXT = Modality.FACE, Modality.SPEECH, Modality.TEXT
TRIPLE = {FACE: "fer2013", SPEECH: "crema-d", TEXT: "goemotions"}
"""The corpora of triples; each has a validation and a test split."""

CORRUPTIONS = {FACE: "blur, 2 of 48 px", SPEECH: "white noise, 10 dB"}
"""How one modality at a time is corrupted."""

INDEPENDENT = (
    "Face and voice here are of different people: an unseen face and an unseen clip of the same "
    "emotion. Given the emotion they are independent, which the face and voice of one person at "
    "one moment are not; so the gain of fusion shown here is an upper bound."
)


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """What is evaluated.

    Args:
        root: folder of the corpora.
        cache: folder in which predictions are kept; None keeps none.
        posteriors: RAVDESS' table of posteriors, or a folder that holds it; default: `root`.
        models: ids of the recognisers.
        threads: per recogniser.
        pairings: number of random pairings; their seeds count from 0.
        per_label: triples of each label.
        n_resamples: bootstrap samples for intervals.
        command: what was run.
        reproduce: how anyone can run it again.
    """

    root: Path
    cache: Path | None = None
    posteriors: Path | None = None
    models: Mapping[Modality, str] = field(default_factory=default_models)
    threads: int = 1
    pairings: int = 5
    per_label: int = 200
    n_resamples: int = N_RESAMPLES
    command: str = ""
    reproduce: str = "emofuse evaluate fusion --data ROOT"


@dataclass(frozen=True, slots=True)
class NamedFuser:
    """A fuser and what the report calls it."""

    name: str
    fuser: Fuser


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Everything that a section may read.

    Args:
        plan: what is evaluated.
        models: the recognisers.
        predictions: of held-out samples, by corpus.
        fusers: the strategies that are compared.
        progress: starts a progress bar.
    """

    plan: FusionPlan
    models: Mapping[Modality, LogitRecogniser]
    predictions: Mapping[str, CachedPredictions]
    fusers: Sequence[NamedFuser]
    progress: Progress = lambda name, total: lambda: None
    _memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the fusers, in order."""
        return [f.name for f in self.fusers]

    @property
    def default(self) -> NamedFuser:
        """The strategy that analyses use."""
        name = FusionConfig().strategy
        return next((f for f in self.fusers if f.name == name), self.fusers[0])

    @property
    def pair_seeds(self) -> range:
        """Seeds of pairs."""
        return range(self.plan.pairings)

    @property
    def triple_seeds(self) -> range:
        """Seeds of triples: fewer, since there are many triples."""
        return range(min(2, self.plan.pairings))

    @property
    def subsets(self) -> tuple[Subset, ...]:
        """All subsets of the modalities of triples."""
        return subsets(self.triples(0).modalities)

    def of(self, corpus: str, split: str = "test", labelling: str = "") -> CachedPredictions:
        """Return the predictions for one split, under the usual or another labelling.

        Raises:
            InputError: if the corpus is not there, or has no such split.
        """
        if corpus not in self.predictions:
            raise InputError(f"needs {corpus}")
        whole = self.predictions[corpus]
        if labelling:
            whole = self._once(
                ("labelled", corpus, labelling),
                lambda: whole.labelled(cached.held_out(corpus, self.plan.root, labelling)),
            )
        chosen = whole.of(split)
        if not len(chosen):
            raise InputError(f"{corpus} has no {split} samples")
        return chosen

    def triples(self, seed: int, split: str = "test") -> Pairs:
        """Return triples of face, voice and text of a split."""

        def make() -> Pairs:
            parts = [self.of(corpus, split) for corpus in TRIPLE.values()]
            labels = shared_labels(*parts)
            return by_label(*parts, labels=labels, seed=seed, per_label=self.plan.per_label)

        return self._once(("triples", seed, split), make)  # type: ignore[no-any-return]

    def fused(self, named: NamedFuser, seed: int, subset: Subset, split: str = "test") -> Fused:
        """Return what a fuser makes of a subset of the triples."""
        return self._once(  # type: ignore[no-any-return]
            (named.name, seed, subset, split),
            lambda: fuse(self.triples(seed, split), named.fuser, subset),
        )

    def corrupted(self, modality: Modality) -> Pairs:
        """Return the triples of seed 0, one modality corrupted as in `CORRUPTIONS`.

        Raises:
            InputError: if the corpus is not there.
        """

        def make() -> Pairs:
            wanted = CORRUPTIONS[modality]
            corruption = next(c for c in corruptions(modality) if c.name == wanted)
            manifest = cached.held_out(TRIPLE[modality], self.plan.root).of(Split.TEST)
            worse = cached.load_or_compute(
                manifest,
                self.models[modality],
                self.plan.cache,
                corruption=corruption,
                progress=self.progress,
            )
            return self.triples(0).with_part(worse)

        return self._once(("corrupted", modality), make)  # type: ignore[no-any-return]

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]


def alone(pairs: Pairs, modality: Modality) -> Fused:
    """Return one model's own predictions for pairs, as if it had been fused."""
    p = pairs.part(modality).over(pairs.labels)
    return Fused(pairs.actual, p, p.max(axis=1), np.ones((len(pairs), 1)), (modality,))
