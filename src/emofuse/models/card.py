"""The card that travels with every model.

A card is a TOML file: what the model answers (labels), what it expects
(preparation, window), how to read its answers (calibration, prior), where its
files are, and where it comes from (data, licences, metrics with protocol). A
model without a card cannot be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.loader import read_toml
from ..core.estimates import Modality
from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..core.media import WindowSpec
from ..core.time import to_ns
from ..errors import ModelError

_LEAST = 1e-9  # the smallest probability whose logarithm is told apart


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Args:
        name: as it is kept, without a folder.
        sha256: in hex; empty: nobody has published it, and the first download is trusted.
        bytes: its size; 0: not known.
        url: where it is, if it is not embedded: of a fixed revision.
        member: its name in the zip at `url`; digest and size are then the zip's.

    Raises:
        ValueError: if the name leads to another folder, or a file without a URL has no digest.
    """

    name: str
    sha256: str = ""
    bytes: int = 0
    url: str | None = None
    member: str = ""

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name:
            raise ValueError(f"a file's name must have no folder, got {self.name!r}")
        if self.url is None and not self.sha256:
            raise ValueError(f"the file {self.name!r} needs a sha256: it has no url")


class Scores(str, Enum):
    """What a graph's first output is: before or after its last softmax (or sigmoid)."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"

    def logits(self, output: NDArray[Any], multi_label: bool = False) -> NDArray[np.float32]:
        """Return an output, (n, labels), as logits: those of its probabilities, if it is any.

        A softmax (or sigmoid) of the result gives the probabilities back, so that they are
        calibrated like everybody's and never pass through a softmax twice.
        """
        if self is Scores.LOGITS:
            return output.astype(np.float32)
        p = np.clip(output.astype(np.float64), _LEAST, 1.0)
        rest = np.log(np.maximum(1.0 - p, _LEAST)) if multi_label else 0.0
        return (np.log(p) - rest).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities: temperature scaling (Guo et al. 2017).

    Args:
        temperature: > 0, fitted on validation data (`models.calibrate`); 1 changes nothing.

    Raises:
        ValueError: if the temperature is not positive.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")

    def probabilities(self, logits: NDArray[Any], multi_label: bool = False) -> NDArray[np.float32]:
        """Turn logits, shape (n, labels), into calibrated probabilities of that shape."""
        scaled: NDArray[np.float64] = logits.astype(np.float64) / self.temperature
        if multi_label:
            return (1.0 / (1.0 + np.exp(-scaled))).astype(np.float32)
        return np.exp(log_softmax(scaled)).astype(np.float32)

    def recalibrated(self, probabilities: NDArray[Any]) -> NDArray[np.float32]:
        """Calibrate probabilities, (n, labels), instead of logits: of a fused result, say."""
        return self.probabilities(np.log(np.maximum(probabilities, 1e-12)))


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the probabilities of logits, (n, labels), row by row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    out: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


@dataclass(frozen=True, slots=True)
class Corpus:
    """Data a model was trained on, with its licence and what was used of it.

    `used` says it to people. The fields below it say it to `emofuse evaluate`, which
    refuses to measure a model on what it has learnt from. They name what was learnt
    together: what is in one of the `splits`, in one of the `folds` and by one of the
    `speakers`, where an empty field allows all. If only `chosen` is given, nothing of
    the corpus was learnt; if only `corpus` is, all of it.

    Args:
        name: the corpus' name, for people.
        licence: of the data.
        used: what was used of it, for people.
        citation: where it is described.
        corpus: the recipe's name, e.g. ``"ravdess"``; empty if that is not known.
        splits: learnt splits, e.g. ``("train",)``.
        folds: learnt folds, e.g. ``(0, 1, 2, 4)``.
        speakers: learnt speakers.
        chosen: what the model was chosen or calibrated on: splits (``"validation"``)
            and folds (``"fold 2"``). Figures on it are a little too good.
    """

    name: str
    licence: str
    used: str = ""
    citation: str = ""
    corpus: str = ""
    splits: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    speakers: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("splits", "folds", "speakers", "chosen"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ValueError(f"data {self.name!r}: {name} must be a list, got {value!r}")
            object.__setattr__(self, name, tuple(value))
        told = self.splits or self.folds or self.speakers or self.chosen
        if told and not self.corpus:
            raise ValueError(f"data {self.name!r}: say which `corpus` the splits, folds, … are of")


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure.

    `value` is a fraction in [0, 1] unless the name says otherwise; `protocol`
    says how and on what it was measured, `seeds` over how many trainings,
    `command` how to measure it again.
    """

    corpus: str
    split: str
    name: str
    value: float
    protocol: str
    seeds: int = 1
    command: str = ""


DIMENSIONS = ("valence", "arousal", "dominance")
"""What a dimensional model answers in place of emotions."""


@dataclass(frozen=True, slots=True)
class AffectOutput:
    """Where a graph says valence and arousal.

    Args:
        valence: column of valence.
        arousal: column of arousal.
        output: name of the graph's output that has them; empty: the one with the labels' scores.
        low: the value that means most unpleasant, or calmest.
        high: the value that means most pleasant, or most excited.

    Raises:
        ValueError: if a column is negative or the range is empty.
    """

    valence: int
    arousal: int
    output: str = ""
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if min(self.valence, self.arousal) < 0 or not self.low < self.high:
            raise ValueError(f"need columns >= 0 and low < high, got {self}")

    def read(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return valence and arousal of a graph's answers, brought to [-1, 1]: (n, 2).

        Example:
            >>> AffectOutput(2, 0, low=0.0).read(np.array([[0.5, 0.9, 0.75]])).tolist()
            [[0.5, 0.0]]
        """
        values = rows[:, [self.valence, self.arousal]].astype(np.float64)
        scaled = 2 * (values - self.low) / (self.high - self.low) - 1
        out: NDArray[np.float64] = np.clip(scaled, -1.0, 1.0)
        return out


@dataclass(frozen=True, slots=True)
class FusionPart:
    """A recogniser whose answers a fuser was trained with.

    Args:
        id: of its card.
        sha256: of its weights, in hex.
        embedding: width of the embeddings that the fuser takes; None: it takes none.
    """

    id: str
    sha256: str
    embedding: int | None = None


@dataclass(frozen=True, slots=True)
class Fusion:
    """What makes a card that of a fuser.

    Args:
        strategy: name of the strategy.
        parts: the recognisers that it was trained with.
        weights: of the pools, one a modality, ≥ 0.
        by_label: of the log-linear pool, a factor a label for each modality, ≥ 0;
            empty: 1 each.
        floor: least probability in a logarithm.
        slots: over how many slots a net looks; those before the last are the past.
    """

    strategy: str
    parts: Mapping[Modality, FusionPart]
    weights: Mapping[Modality, float] = field(default_factory=dict)
    by_label: Mapping[Modality, tuple[float, ...]] = field(default_factory=dict)
    floor: float = 1e-4
    slots: int = 1

    def __post_init__(self) -> None:
        numbers = [*self.weights.values(), *sum(map(tuple, self.by_label.values()), ())]
        if not all(math.isfinite(x) and x >= 0 for x in numbers):
            raise ValueError("a fuser's weights must be finite and >= 0")
        if not self.parts or Modality.FUSED in self.parts:
            raise ValueError("a fuser needs parts: the recognisers that it was trained with")
        if not (0 < self.floor < 1 and self.slots >= 1):
            raise ValueError(f"need 0 < floor < 1 and slots >= 1, got {self.floor}, {self.slots}")

    @classmethod
    def of_mapping(cls, raw: Mapping[str, Any]) -> Fusion:
        """Read the card's table ``[fusion]``."""
        fields = dict(raw)
        parts = {Modality(m): FusionPart(**part) for m, part in fields.pop("parts").items()}
        weights = {Modality(m): float(w) for m, w in fields.pop("weights", {}).items()}
        by_label = {Modality(m): tuple(row) for m, row in fields.pop("by_label", {}).items()}
        return cls(parts=parts, weights=weights, by_label=by_label, **fields)


@dataclass(frozen=True, slots=True)
class Card:
    """Everything known about a model. See the module's text; fields as in the TOML file.

    Args:
        id: unique name, e.g. ``"face-v4"``.
        modality: what it listens to or looks at.
        recogniser: name of the entry point in the group ``emofuse.recognisers``.
        summary: one line for people.
        taxonomy: labels of its scores.
        files: the model's files by role; ``"weights"`` is the ONNX graph.
        preparation: parameters of `prepare`; the recogniser reads them.
        window: how its stream is cut; None for models of single frames or sentences.
        scores: what the graph's first output is.
        label_map: where its labels go among the canonical ones; None: each is one of them,
            or has one of its common names.
        calibration: applied by every `infer`.
        prior: the calibrated model's mean probability of each label on its
            validation data; log-linear pooling divides by it.
        embedding: width of the graph's second output, ``embedding``, float32
            (batch, width); None if it has none.
        output: name of the graph's output with the logits, where it has several heads;
            None: the first.
        languages: of a text model, ISO 639-1 codes of those that it was taught; text in
            another has no say. Empty: nobody told, everything is read.
        affect: where it says valence and arousal; None if it does not.
        convert: name of what makes the ONNX graph of the published files, once
            (`models.store.CONVERTERS`); None if ``"weights"`` is one.
        terms: what a user has to agree to before the files are fetched; empty: nothing.
        fusion: of a fuser, whose `modality` is ``"fused"`` and which has no
            `recogniser`: its strategy, and what it was trained with. A fused model that has
            a recogniser instead looks at everything itself: a group model.
        licence: of the weights.
        data: what it was trained on.
        metrics: measured figures.
        notes: what a user should know (limits, provenance).
    """

    id: str
    modality: Modality
    recogniser: str
    summary: str
    taxonomy: Taxonomy
    files: Mapping[str, ModelFile]
    preparation: Mapping[str, Any] = field(default_factory=dict)
    window: WindowSpec | None = None
    scores: Scores = Scores.LOGITS
    label_map: LabelMap | None = None
    calibration: Calibration = Calibration()
    prior: tuple[float, ...] | None = None
    embedding: int | None = None
    output: str | None = None
    languages: tuple[str, ...] = ()
    affect: AffectOutput | None = None
    convert: str | None = None
    terms: str = ""
    fusion: Fusion | None = None
    licence: str = "unknown"
    data: tuple[Corpus, ...] = ()
    metrics: tuple[Metric, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.prior is not None and len(self.prior) != len(self.taxonomy):
            raise ValueError(
                f"card {self.id!r}: prior has {len(self.prior)} entries for "
                f"{len(self.taxonomy)} labels"
            )
        if self.fusion is not None and self.modality is not Modality.FUSED:
            raise ValueError(f"card {self.id!r}: a table [fusion] needs the modality fused")
        if self.modality is Modality.FUSED and self.fusion is None and not self.recogniser:
            raise ValueError(f"card {self.id!r}: a fused model needs [fusion] or a recogniser")
        for modality, row in (self.fusion.by_label if self.fusion else {}).items():
            if len(row) != len(self.taxonomy):
                raise ValueError(
                    f"card {self.id!r}: by_label of {modality.value} has {len(row)} entries for "
                    f"{len(self.taxonomy)} labels"
                )
        if self.embedding is not None and self.embedding < 1:
            raise ValueError(f"card {self.id!r}: embedding must be ≥ 1, got {self.embedding}")
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))
        object.__setattr__(self, "preparation", MappingProxyType(dict(self.preparation)))

    @property
    def bytes(self) -> int:
        """Size of all files, as far as it is known."""
        return sum(f.bytes for f in self.files.values())

    @property
    def dimensional(self) -> bool:
        """Whether it tells valence and arousal, and no emotions."""
        return set(self.taxonomy.labels) <= set(DIMENSIONS)

    @property
    def downloads(self) -> bool:
        """Whether some file has to be fetched (nothing of an embedded model has)."""
        return any(f.url for f in self.files.values())


Converter = Callable[[Card, Mapping[str, Path], Path], None]
"""Makes an ONNX graph: card, its files by role, where the graph goes."""


def read_card(path: Path) -> Card:
    """Read a card from a TOML file.

    Raises:
        ModelError: if the file cannot be read or does not describe a model.
    """
    try:
        return card_from_mapping(read_toml(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as e:
        raise ModelError(
            f"{path} is not a model card: {e}; compare it with the cards in emofuse/models/zoo"
        ) from e


def card_from_mapping(raw: Mapping[str, Any]) -> Card:
    """Build a card from the plain types of its TOML file; unknown keys fail.

    Raises:
        KeyError, TypeError, ValueError: if something is missing, unknown or wrong.
    """
    fields = dict(raw)
    taxonomy = Taxonomy(
        fields.pop("taxonomy", fields["id"]),
        tuple(fields.pop("labels")),
        fields.pop("multi_label", False),
    )
    window = fields.pop("window", None)
    if window is not None:
        window = WindowSpec(
            to_ns(window["seconds"]), to_ns(window["hop"]), to_ns(window.get("lookahead", 0.0))
        )
    targets, dropped = fields.pop("map", {}), fields.pop("drop", {})
    label_map = None
    if targets or dropped:
        label_map = LabelMap.of_names(taxonomy, CANONICAL, targets, dropped)
    prior = fields.pop("prior", None)
    fusion = fields.pop("fusion", None)
    affect = fields.pop("affect", None)
    if fusion is not None:
        fields.setdefault("recogniser", "")
    return Card(
        modality=Modality(fields.pop("modality")),
        taxonomy=taxonomy,
        files={role: ModelFile(**f) for role, f in fields.pop("files").items()},
        window=window,
        scores=Scores(fields.pop("scores", Scores.LOGITS)),
        label_map=label_map,
        fusion=None if fusion is None else Fusion.of_mapping(fusion),
        affect=None if affect is None else AffectOutput(**affect),
        calibration=Calibration(**fields.pop("calibration", {})),
        prior=None if prior is None else tuple(prior),
        data=tuple(Corpus(**c) for c in fields.pop("data", ())),
        metrics=tuple(Metric(**m) for m in fields.pop("metrics", ())),
        notes=tuple(fields.pop("notes", ())),
        languages=tuple(fields.pop("languages", ())),
        **fields,
    )
