"""Results of an evaluation in plain types: the report shows them, JSON holds all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..metrics.bootstrap import FEW_GROUPS


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric and its 95 % interval.

    Args:
        value: see `DESCRIPTIONS` for what each name means.
        low: of the interval; None if there is none.
        high: of the interval.
        deviation: between folds (n - 1), of a metric that is a mean over folds.
    """

    value: float
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Metrics of one class, which `support` samples have. NaN becomes None."""

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
    """Metrics of one set of predictions.

    Args:
        name: of the samples, e.g. ``"test, full"``.
        protocol: how they were evaluated, in words.
        samples: number of samples.
        speakers: number of speakers; None if the corpus does not name them.
        labels: the shared labels.
        metrics: by name.
        classes: one row per label.
        confusion: actual (rows) × predicted; None for multi-label predictions.
        reliability: diagrams by temperature: ``"uncalibrated"``, ``"card"``, ``"refit"``.
        folds: metrics of each fold by its name, with a protocol of folds.
        missed: number of samples without a prediction: no face was found.
        multi_label: whether samples carry several labels at once.
    """

    name: str
    protocol: str
    samples: int
    speakers: int | None
    labels: tuple[str, ...]
    metrics: Mapping[str, MetricValue]
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    folds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    multi_label: bool = False
    missed: int = 0

    @property
    def rough(self) -> bool:
        """Whether the intervals rest on too few speakers to be trusted."""
        return self.speakers is not None and self.speakers < FEW_GROUPS


@dataclass(frozen=True, slots=True)
class Group:
    """Metrics of the samples of one group of people."""

    name: str
    samples: int
    speakers: int | None
    metrics: Mapping[str, MetricValue]


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
    gap: MetricValue | None = None
    between: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CorruptedResult:
    """Metrics of corrupted samples; the first of a table is of clean ones."""

    kind: str
    strength: str
    metrics: Mapping[str, MetricValue]

    @property
    def name(self) -> str:
        """Kind and strength."""
        return f"{self.kind}, {self.strength}" if self.strength else self.kind


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model; there are several with a protocol of folds."""

    id: str
    sha256: str
    labels: tuple[str, ...]
    temperature: float
    licence: str
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """The corpus, its labelling, and a digest of its manifest."""

    name: str
    taxonomy: str
    labels: tuple[str, ...]
    entries: int
    digest: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """How to reproduce the evaluation."""

    command: str
    date: str
    version: str
    commit: str | None
    settings: Mapping[str, Any]
    hours: float = 0.0
    reproduce: str = ""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What reports say of it first, a name and a value each."""
        told = [("command", self.command), ("date", self.date), ("emofuse", self.version)]
        return [*told, ("git commit", self.commit)] if self.commit else told


@dataclass(frozen=True, slots=True)
class SamplePrediction:
    """The prediction for one sample of the first part.

    Args:
        id: of the sample.
        speaker: None if unknown.
        actual: its labels.
        probabilities: of the part's labels; empty if no face was found.
    """

    id: str
    speaker: str | None
    actual: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All results of an evaluation.

    Args:
        modality: of the model.
        protocol: its name.
        models: the models.
        corpus: the corpus.
        parts: metrics of sets of predictions; the first is the headline.
        subgroups: by attribute, of the first part.
        robustness: of the first part's samples.
        temperature_refit: fitted to validation data; None if it was not fitted.
        excluded: reason → number of samples that could not be used.
        warnings: leaks that were allowed.
        notes: what a reader should know.
        provenance: how to reproduce it.
        predictions: for every sample of the first part; not in `to_mapping`.
    """

    modality: str
    protocol: str
    models: tuple[ModelFacts, ...]
    corpus: CorpusFacts
    parts: tuple[Part, ...]
    subgroups: tuple[Subgroups, ...]
    robustness: tuple[CorruptedResult, ...]
    temperature_refit: float | None
    excluded: Mapping[str, int]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: Provenance
    predictions: tuple[SamplePrediction, ...] = ()

    @property
    def title(self) -> str:
        """Model on corpus."""
        ids = sorted({m.id for m in self.models})
        return f"{ids[0] if len(ids) == 1 else f'{len(ids)} models'} on {self.corpus.name}"

    def to_mapping(self) -> dict[str, Any]:
        """Return plain types for JSON; NaN becomes None."""
        mapping: dict[str, Any] = _plain(asdict(replace(self, predictions=())))
        del mapping["predictions"]
        return mapping


DESCRIPTIONS = {
    "accuracy": "share of right predictions",
    "uar": "unweighted average recall: mean of the classes' recalls, rare classes count as much",
    "macro_f1": "mean F1 of the classes",
    "weighted_f1": "F1 of the classes, weighted by how often they occur",
    "micro_f1": "F1 over all decisions of all labels together",
    "macro_precision": "mean precision of the labels",
    "macro_recall": "mean recall of the labels",
    "ece": "expected calibration error, 15 bins of equal width",
    "ece_adaptive": "expected calibration error, 15 bins of equal mass",
    "nll": "negative log-likelihood in nats",
    "brier": "Brier score over all classes (0 best, 2 worst)",
    "missed": "share of samples in which no face was found; they count as errors",
    "uar_open": "UAR without masking labels that the corpus lacks",
}
"""What the names of metrics mean; ``…_uncalibrated`` is at temperature 1, ``…_refit`` at the
temperature fitted to validation data of this corpus."""


def describe(name: str) -> str:
    """Return what a metric means."""
    for ending, at in (("_uncalibrated", "at temperature 1"), ("_refit", "temperature refitted")):
        if name.endswith(ending):
            return f"{DESCRIPTIONS.get(name.removesuffix(ending), name)}; {at}"
    return DESCRIPTIONS.get(name, name.replace("_", " "))


def known(value: float) -> float | None:
    """Return a float; None for NaN."""
    return None if math.isnan(value) else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
