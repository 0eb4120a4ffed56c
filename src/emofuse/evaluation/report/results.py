"""What an evaluation found, in plain types: the report draws it, JSON holds all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..metrics.bootstrap import FEW


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its 95 % interval.

    Args:
        value: see `EXPLAINED` for what each name means.
        low: of the interval; None if there is none.
        high: of the interval.
        deviation: between folds (n - 1), of a figure that is a mean of folds.
    """

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Figures of one class; `support` samples have it. NaN becomes None."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram: per bin mean confidence, accuracy (None if empty), samples."""

    temperature: float
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    count: tuple[int, ...]
    ece: float


@dataclass(frozen=True, slots=True)
class Part:
    """One set of answers, measured.

    Args:
        name: what was asked, e.g. ``"test, clip"``.
        protocol: how, in words.
        samples: how many.
        speakers: how many; None if the corpus does not name them.
        labels: what was asked for.
        figures: by name.
        classes: one row a label.
        confusion: actual (rows) × predicted; None of multi-label answers.
        reliability: diagrams by what the temperature is: ``"raw"``, ``"card"``, ``"refit"``.
        folds: figures of each fold by name of the fold, of a protocol of folds.
        multi_label: whether samples carry several labels at once.
    """

    name: str
    protocol: str
    samples: int
    speakers: int | None
    labels: tuple[str, ...]
    figures: Mapping[str, Figure]
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    folds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    multi_label: bool = False

    @property
    def rough(self) -> bool:
        """Whether the intervals rest on too few speakers to be trusted."""
        return self.speakers is not None and self.speakers < FEW


@dataclass(frozen=True, slots=True)
class Group:
    """Figures of the samples of one group of people."""

    name: str
    samples: int
    speakers: int | None
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Groups by one attribute, and the largest gap in UAR between those large enough.

    Args:
        attribute: e.g. ``"sex"``.
        groups: largest first.
        gap: of UAR, with interval; None if fewer than two groups are large enough.
        between: the two groups, the better first.
    """

    attribute: str
    groups: tuple[Group, ...]
    gap: Figure | None = None
    between: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Corrupted:
    """Figures of corrupted samples; the first of a table is unspoilt."""

    kind: str
    strength: str
    figures: Mapping[str, Figure]

    @property
    def name(self) -> str:
        """Kind and strength."""
        return f"{self.kind}, {self.strength}" if self.strength else self.kind


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model was measured; several of a protocol of folds."""

    id: str
    sha256: str
    labels: tuple[str, ...]
    temperature: float
    licence: str
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """On what: the corpus, its labelling, and a digest of its manifest."""

    name: str
    taxonomy: str
    labels: tuple[str, ...]
    entries: int
    digest: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the evaluation came about, so that it can be repeated."""

    command: str
    date: str
    version: str
    commit: str | None
    settings: Mapping[str, Any]
    hours: float = 0.0
    again: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """One sample's answer in the first part.

    Args:
        id: of the sample.
        speaker: who speaks or is seen; None if that is not known.
        actual: its labels.
        probabilities: of the part's labels.
    """

    id: str
    speaker: str | None
    actual: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that an evaluation found.

    Args:
        modality: of the model.
        protocol: its name.
        models: which.
        corpus: on what.
        parts: measured sets of answers; the first is the headline.
        subgroups: by attribute, of the first part.
        robustness: of the first part's samples.
        temperature_refit: what validation data would give; None if it was not fitted.
        left_out: reason → number of samples that could not be asked.
        warnings: what makes a figure doubtful: leaks that were allowed.
        notes: what a reader should know.
        provenance: how it came about.
        answers: every sample's, of the first part; not in `to_mapping`.
    """

    modality: str
    protocol: str
    models: tuple[ModelFacts, ...]
    corpus: CorpusFacts
    parts: tuple[Part, ...]
    subgroups: tuple[Subgroups, ...]
    robustness: tuple[Corrupted, ...]
    temperature_refit: float | None
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: Provenance
    answers: tuple[Answered, ...] = ()

    @property
    def title(self) -> str:
        """Model on corpus."""
        ids = sorted({m.id for m in self.models})
        return f"{ids[0] if len(ids) == 1 else f'{len(ids)} models'} on {self.corpus.name}"

    def to_mapping(self) -> dict[str, Any]:
        """Return plain types for JSON; what is not a number becomes None."""
        mapping: dict[str, Any] = _plain(asdict(replace(self, answers=())))
        del mapping["answers"]
        return mapping


EXPLAINED = {
    "accuracy": "share of samples answered right",
    "uar": "unweighted average recall: mean of the classes' recalls, so that rare ones count too",
    "macro_f1": "mean F1 of the classes",
    "weighted_f1": "F1 of the classes, weighted by how often they occur",
    "micro_f1": "F1 over all decisions of all labels together",
    "macro_precision": "mean precision of the labels",
    "macro_recall": "mean recall of the labels",
    "ece": "expected calibration error, 15 bins of equal width",
    "ece_adaptive": "expected calibration error, 15 bins of equal mass",
    "nll": "negative log-likelihood in nats",
    "brier": "Brier score over all classes (0 best, 2 worst)",
    "uar_open": "UAR where the model may also answer labels that the corpus lacks",
}
"""What the names of figures mean; ``…_uncalibrated`` is at temperature 1, ``…_refit`` at the
temperature that validation data of this corpus gives."""


def explain(name: str) -> str:
    """Say what a figure means."""
    for ending, at in (("_uncalibrated", "at temperature 1"), ("_refit", "temperature refitted")):
        if name.endswith(ending):
            return f"{EXPLAINED.get(name.removesuffix(ending), name)}; {at}"
    return EXPLAINED.get(name, name.replace("_", " "))


def number(value: float) -> float | None:
    """Return a float, None for what is not a number."""
    return None if math.isnan(value) else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
