"""What a model says, about whom, when, and how sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .details import Details
from .labels import Taxonomy
from .modality import Modality as Modality
from .modality import SubjectKind as SubjectKind
from .modality import name_of
from .time import Span

D = TypeVar("D", bound=Details)


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whom an estimate is about, e.g. the face track 2 or the speaker 1.

    Numbers count from 1 in order of appearance. Those of faces name tracks, not identities:
    who leaves and comes back may get a new one. Who it is, is a ``person`` (`core.identity`).

    Example:
        >>> str(Subject(SubjectKind.FACE, 2))
        'face-2'
    """

    kind: SubjectKind
    number: int = 1

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.number}"


SPEAKER = Subject(SubjectKind.SPEAKER)
"""The voice, where speakers are not told apart."""

SOMEBODY = Subject(SubjectKind.SPEAKER, 0)
"""A voice where speakers are told apart and this one cannot be: not sure who."""


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """Probabilities over a taxonomy (never logits): float32, shape (len(taxonomy),).

    The array is copied and read-only. For a single-label taxonomy it sums to 1.

    Raises:
        ValueError: on a wrong shape, values outside [0, 1] or not finite, or a
            single-label sum that differs from 1 by more than 1e-3.

    Example:
        >>> from emofuse.core.labels import CANONICAL
        >>> p = Probabilities(CANONICAL, np.array([0.2, 0.8, 0, 0, 0, 0, 0, 0]))
        >>> p.label, round(p["neutral"], 3)
        ('happy', 0.2)
    """

    taxonomy: Taxonomy
    values: NDArray[np.floating]

    def __post_init__(self) -> None:
        p = np.array(self.values, dtype=np.float32)
        if p.shape != (len(self.taxonomy),):
            raise ValueError(
                f"taxonomy {self.taxonomy.name!r} needs {len(self.taxonomy)} probabilities, "
                f"got an array of shape {p.shape}"
            )
        if not np.isfinite(p).all() or p.min() < -1e-6 or p.max() > 1 + 1e-6:
            raise ValueError(f"probabilities must be finite and lie in [0, 1], got {p}")
        if not self.taxonomy.multi_label and abs(float(p.sum()) - 1.0) > 1e-3:
            raise ValueError(f"single-label probabilities must sum to 1, got {float(p.sum()):.4f}")
        np.clip(p, 0.0, 1.0, out=p)
        p.flags.writeable = False
        object.__setattr__(self, "values", p)

    @property
    def label(self) -> str:
        """The most probable label (the first of equals)."""
        return self.taxonomy.labels[int(self.values.argmax())]

    @property
    def confidence(self) -> float:
        """Probability of the most probable label."""
        return float(self.values.max())

    def __getitem__(self, label: str) -> float:
        return float(self.values[self.taxonomy.index(label)])

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield (label, probability) in the taxonomy's order."""
        return zip(self.taxonomy.labels, map(float, self.values), strict=True)


@dataclass(frozen=True, slots=True)
class Affect:
    """Valence (unpleasant … pleasant) and arousal (calm … excited), each in [-1, 1].

    Example:
        >>> Affect.mean([Affect(0.5, -0.2), None, Affect(0.1, 0.2)], [1, 5, 1])
        Affect(valence=0.3, arousal=0.0)
    """

    valence: float
    arousal: float

    def __post_init__(self) -> None:
        if not (-1 <= self.valence <= 1 and -1 <= self.arousal <= 1):
            raise ValueError(f"valence and arousal must lie in [-1, 1], got {self}")

    @classmethod
    def mean(cls, some: Sequence[Affect | None], weights: Sequence[float]) -> Affect | None:
        """Average those that there are by weights ≥ 0; None if there are none."""
        pairs = [(a, w) for a, w in zip(some, weights, strict=True) if a is not None]
        total = sum(w for _, w in pairs)
        if not pairs:
            return None
        if not total:
            pairs, total = [(a, 1.0) for a, _ in pairs], float(len(pairs))
        valence = sum(a.valence * w for a, w in pairs) / total
        arousal = sum(a.arousal * w for a, w in pairs) / total
        return cls(*(min(1.0, max(-1.0, x)) for x in (valence, arousal)))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a recogniser says of one sample.

    Args:
        probabilities: calibrated.
        embedding: what the net made of the sample before it decided, float32,
            shape (`Recogniser.embedding`,); None if the model gives none.
        affect: valence and arousal, if the model tells.
    """

    probabilities: Probabilities
    embedding: NDArray[np.float32] | None = None
    affect: Affect | None = None


@dataclass(frozen=True, slots=True)
class FusionDetails:
    """How a fused estimate came about.

    Args:
        modality_weights: each present modality's weight in the result; they sum to 1.
        disagreement: Jensen–Shannon divergence between the modalities' probabilities
            over their common labels, weighted by the weights and divided by the
            weights' entropy, in [0, 1]: 0 if all say the same (or only one
            speaks), 1 if they exclude each other.
        probabilities: what each modality said in this slot.
        details: what the modalities kept of their evidence.
    """

    modality_weights: Mapping[Modality, float]
    disagreement: float
    probabilities: Mapping[Modality, Probabilities]
    details: Mapping[Modality, Details] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (
            abs(sum(self.modality_weights.values()) - 1.0) > 1e-6
            or min(self.modality_weights.values()) < 0
        ):
            raise ValueError(
                f"weights must be >= 0 and sum to 1, got {dict(self.modality_weights)}"
            )
        if not 0 <= self.disagreement <= 1:
            raise ValueError(f"disagreement must lie in [0, 1], got {self.disagreement}")


class RejectionReason(str, Enum):
    """Why an estimate is uncertain: the values for machines, `sentence` for people."""

    NO_FACE = "no-face"
    FACE_TOO_SMALL = "face-too-small"
    FACE_BLURRED = "face-blurred"
    NO_SPEECH = "no-speech"
    TOO_SHORT = "too-short"
    TOO_NOISY = "too-noisy"
    OTHER_LANGUAGE = "other-language"
    CONTRADICTION = "contradiction"
    FEW_FACES = "few-faces-read"
    LOW_CONFIDENCE = "low-confidence"

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return _SENTENCES[self]


_SENTENCES = {
    RejectionReason.NO_FACE: "No face is seen, and the rest does not say enough.",
    RejectionReason.FACE_TOO_SMALL: "The face is too small to be read.",
    RejectionReason.FACE_BLURRED: "The face is too blurred to be read.",
    RejectionReason.NO_SPEECH: "Nobody speaks, and the rest does not say enough.",
    RejectionReason.TOO_SHORT: "There is too little speech to go by.",
    RejectionReason.TOO_NOISY: "The sound is too noisy.",
    RejectionReason.OTHER_LANGUAGE: "The words are in a language that the model does not read.",
    RejectionReason.CONTRADICTION: "The modalities contradict each other.",
    RejectionReason.FEW_FACES: "Too few of the faces are large and clear enough to be read.",
    RejectionReason.LOW_CONFIDENCE: "No expression is much more probable than the others.",
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """Marks an estimate whose probabilities are not to be relied on, and says why."""

    reason: RejectionReason


class LabelSource(str, Enum):
    """Who says what a label is: a model (or the fusion of several), or a person."""

    MACHINE = "machine"
    HAND = "hand"


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What one model, or the fusion of several, says about one subject over one span.

    Args:
        subject: whom it is about.
        span: when.
        probabilities: over the labels of the model, or of the fused results.
        modality: where it comes from.
        quality: how good the evidence was, in [0, 1] (face size, blur, pose;
            signal-to-noise ratio, voiced share; confidence of the transcript); for a fused
            estimate the weighted mean of the parts.
        model_id: which model, or which fuser.
        affect: valence and arousal, if the model tells.
        embedding: of the model, only on the way to a fuser that asks for it: it never
            leaves a pipeline.
        fusion: how it came about; of fused estimates only.
        details: what is kept of the evidence; of fused estimates of one subject in
            `fusion.details`, of a group here.
        attribution: how likely the voice in it is this subject's, in [0, 1]; None if
            that was not in question.
        uncertain: of fused estimates that are not to be relied on; their
            probabilities stay.
        machine: what was found, of an estimate that was changed by hand
            (`emofuse.annotations`); None if it is as it was found.

    Raises:
        ValueError: if the quality lies outside [0, 1].

    Example:
        >>> from emofuse.core.labels import CANONICAL
        >>> from emofuse.core.time import Span
        >>> p = Probabilities(CANONICAL, np.eye(8)[1])
        >>> e = Estimate(SPEAKER, Span.of_seconds(0, 1), p, Modality.SPEECH, 0.9, "mine")
        >>> e.label, e.confidence, str(e.subject)
        ('happy', 1.0, 'speaker-1')
    """

    subject: Subject
    span: Span
    probabilities: Probabilities
    modality: Modality
    quality: float
    model_id: str
    affect: Affect | None = None
    embedding: NDArray[np.float32] | None = None
    fusion: FusionDetails | None = None
    details: Details | None = None
    attribution: float | None = None
    uncertain: Rejected | None = None
    machine: Estimate | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.quality <= 1.0:
            raise ValueError(f"quality must lie in [0, 1], got {self.quality}")

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.probabilities.label

    @property
    def source(self) -> LabelSource:
        """Whether it is a hand's, by a label or by saying whose it is."""
        found = self if self.machine is None else self.machine
        same = found.probabilities is self.probabilities
        return LabelSource.MACHINE if same else LabelSource.HAND

    @property
    def set_by_hand(self) -> bool:
        """Whether somebody said or confirmed this very label.

        What was fused anew because two people were merged by hand is a hand's, too
        (`source`), but nobody judged its label.
        """
        sure = np.count_nonzero(self.probabilities.values) == 1
        return self.source is LabelSource.HAND and bool(sure)

    def labelled(self, label: str) -> Estimate:
        """Return it with a label set by hand: surely that; what was found is in `machine`.

        Raises:
            KeyError: if its taxonomy has no such label.

        Example:
            >>> from emofuse.core.labels import CANONICAL
            >>> from emofuse.core.time import Span
            >>> p = Probabilities(CANONICAL, np.eye(8)[1])
            >>> e = Estimate(SPEAKER, Span(0, 1), p, Modality.SPEECH, 0.9, "mine").labelled("sad")
            >>> e.label, e.source.value, e.machine.label
            ('sad', 'hand', 'happy')
        """
        taxonomy = self.probabilities.taxonomy
        sure = np.zeros(len(taxonomy), np.float32)
        sure[taxonomy.index(label)] = 1.0
        found = self if self.machine is None else self.machine
        p = Probabilities(taxonomy, sure)
        return replace(self, probabilities=p, uncertain=None, machine=found)

    def given_to(self, subject: Subject) -> Estimate:
        """Return it as somebody else's, by hand; what was found is in `machine`."""
        found = self if self.machine is None else self.machine
        return replace(self, subject=subject, machine=found)

    @property
    def doubt(self) -> str | None:
        """Why it is uncertain, in words; a contradiction names both sides. None if it is not."""
        if self.uncertain is None:
            return None
        sentence = self.uncertain.reason.sentence
        if self.uncertain.reason is not RejectionReason.CONTRADICTION or self.fusion is None:
            return sentence
        said = ", ".join(f"{name_of(m)} {p.label}" for m, p in self.fusion.probabilities.items())
        return f"{sentence.rstrip('.')}: {said}."

    @property
    def confidence(self) -> float:
        """Probability of the most probable label."""
        return self.probabilities.confidence

    def find_details(self, kind: type[D]) -> D | None:
        """Return details of a kind: its own or, of a fused estimate, those of a part.

        Example:
            >>> from emofuse.core.details import TextDetails
            >>> from emofuse.core.labels import CANONICAL
            >>> from emofuse.core.time import Span
            >>> p, said = Probabilities(CANONICAL, np.eye(8)[0]), TextDetails("Well.")
            >>> e = Estimate(SPEAKER, Span(0, 1), p, Modality.TEXT, 1.0, "mine", details=said)
            >>> e.find_details(TextDetails).text
            'Well.'
        """
        some = (self.details, *(self.fusion.details.values() if self.fusion else ()))
        return next((d for d in some if isinstance(d, kind)), None)

    def details_mapping(self) -> dict[str, Any]:
        """Return everything that is kept of the evidence by name, as files have it.

        A fused estimate has the details of all its parts; ``link`` is the `attribution`.
        """
        some = (self.details, *(self.fusion.details.values() if self.fusion else ()))
        named = {k: v for d in some if d is not None for k, v in d.to_mapping().items()}
        return named if self.attribution is None else {**named, "link": self.attribution}
