"""Samples with their labels, and a model's probabilities for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...corpora.manifest import Entry
from ..metrics import bootstrap
from ..metrics.state import MetricState

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSamples:
    """Samples that a model can be evaluated on, labelled over `LabelAlignment.labels`.

    Args:
        entries: the samples.
        actual: their class, (n,); of several labels, one of them.
        present: their labels, bool (n, labels).
    """

    entries: tuple[Entry, ...]
    actual: NDArray[np.int64]
    present: NDArray[np.bool_]

    @property
    def single(self) -> NDArray[np.bool_]:
        """Samples with exactly one label, bool (n,)."""
        out: NDArray[np.bool_] = self.present.sum(axis=1) == 1
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A model's probabilities for samples in one view, each (n, labels) unless noted.

    Args:
        samples: the samples.
        p: at the card's temperature.
        uncalibrated: at temperature 1.
        refit: at the temperature refitted on validation; None if that was not done.
        unmasked: (n,) index of the best of all the model's labels, `labels` for one
            outside the shared labels; None if the model has no further labels.
        missed: samples without a prediction, bool (n,), see `MetricState`.
    """

    samples: LabelledSamples
    p: Floats
    uncalibrated: Floats
    refit: Floats | None
    unmasked: NDArray[np.int64] | None
    missed: NDArray[np.bool_]

    def state(self, p: Floats | None = None) -> MetricState:
        """Return the metric state of `p`, by default at the card's temperature."""
        return MetricState.of(self.samples.actual, self.p if p is None else p, self.missed)

    def subset(self, keep: NDArray[np.bool_]) -> Scored:
        """Return some of the samples; `keep` is bool (n,)."""
        s = self.samples
        entries = tuple(e for e, yes in zip(s.entries, keep, strict=True) if yes)
        samples = LabelledSamples(entries, s.actual[keep], s.present[keep])
        arrays = [getattr(self, f.name) for f in fields(self)[1:]]
        some: list[Any] = [None if a is None else a[keep] for a in arrays]
        return Scored(samples, *some)

    @classmethod
    def concatenated(cls, folds: Sequence[Scored]) -> Scored:
        """Join the samples of several folds."""
        if len(folds) == 1:
            return folds[0]

        def together(parts: Sequence[NDArray[Any] | None]) -> Any:
            known = [p for p in parts if p is not None]
            return np.concatenate(known) if len(known) == len(parts) else None

        samples = LabelledSamples(
            tuple(e for fold in folds for e in fold.samples.entries),
            together([fold.samples.actual for fold in folds]),
            together([fold.samples.present for fold in folds]),
        )
        arrays = [together([getattr(fold, f.name) for fold in folds]) for f in fields(cls)[1:]]
        return cls(samples, *arrays)

    @property
    def groups(self) -> NDArray[np.int64]:
        """What the bootstrap resamples: the group of each sample, (n,)."""
        return bootstrap.group_of([e.speaker for e in self.samples.entries])

    @property
    def speakers(self) -> int | None:
        """Number of known speakers; None if there are none."""
        return len({e.speaker for e in self.samples.entries if e.speaker is not None}) or None
