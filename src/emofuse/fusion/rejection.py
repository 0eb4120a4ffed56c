"""Rejected is an answer: fused estimates that are not to be relied on say so, and why.

A classifier that may reject (Chow 1970; Geifman & El-Yaniv 2017) answers fewer
questions and is right more often. Probabilities stay as they are: who wants an answer
nevertheless finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ..core.details import FaceDetails, SpeechDetails, TextDetails
from ..core.estimates import Estimate, Modality, Rejected, RejectionReason, SubjectKind
from ..core.intervals import Interval, check_within
from ..core.media import Watermark


@dataclass(frozen=True, slots=True)
class RejectionConfig:
    """When a fused estimate is uncertain, and what counts as the reason.

    Confidence, quality and contradiction decide, the others only explain. What counts as a
    contradiction was chosen on truly paired recordings (``docs/fusion.md``): it marks most
    wrong results of which one modality was right, and one right result in five to ten.
    The confidence was chosen on validation samples, the quality by hand.

    Args:
        confidence: a smaller probability of the best label is too little; 0: never.
        quality: evidence of a smaller quality is too poor; 0: never.
        rival: the fused probability of another modality's own label from which on the
            two contradict each other.
        sure: a modality that is as sure as this of another label contradicts, too,
        loud: if its weight is at least this part of the largest.
        small: pixels across a face below which it is too small.
        blurred: sharpness below which a face is too blurred.
        short: seconds of voice that are too few.
        noisy: signal-to-noise ratio in dB below which sound is too noisy.

    Raises:
        InputError: if a share lies outside [0, 1].
    """

    confidence: float = 0.35
    quality: float = 0.05
    rival: float = 0.12
    sure: float = 0.85
    loud: float = 0.5
    small: float = 24.0
    blurred: float = 0.25
    short: float = 0.5
    noisy: float = 3.0

    def __post_init__(self) -> None:
        shares = ("confidence", "quality", "rival", "sure", "loud", "blurred")
        check_within(self, "rejection", shares, Interval(0, 1))


class Rejection:
    """Marks the fused estimates that are uncertain; everything passes, no score changes.

    A stage that follows smoothing.

    Args:
        config: when to abstain.
        expected: modalities that the medium could have told something of: in a film
            a missing face is a reason, in a sound it is none.
    """

    latency_ns = 0

    def __init__(
        self, config: RejectionConfig | None = None, expected: Collection[Modality] = ()
    ) -> None:
        self._config = config or RejectionConfig()
        self._expected = frozenset(expected)

    def feed(self, item: Estimate | Watermark) -> Iterator[Estimate | Watermark]:
        """Take an estimate; yield it, marked if it is a fused one and uncertain."""
        if isinstance(item, Estimate) and item.modality is Modality.FUSED:
            reason = rejection_reason(item, self._config, self._expected)
            if reason is not None:
                item = replace(item, uncertain=Rejected(reason))
        yield item

    def flush(self) -> Iterator[Estimate | Watermark]:
        """Nothing is ever held."""
        return iter(())

    def reset(self) -> None:
        """Nothing to forget."""


def rejection_reason(
    e: Estimate, config: RejectionConfig, expected: Collection[Modality] = ()
) -> RejectionReason | None:
    """Say why a fused estimate is uncertain; None if it is not.

    The most tangible reason counts: poor evidence before contradiction, contradiction
    before what is missing, and low confidence only if there is nothing else to say.
    """
    contradiction = _contradiction(e, config)
    if e.confidence >= config.confidence and e.quality >= config.quality:
        return contradiction
    parts = frozenset(e.fusion.probabilities) if e.fusion else frozenset()
    return (
        _flaw(e, config)
        or contradiction
        or _gap(parts, frozenset(expected))
        or RejectionReason.LOW_CONFIDENCE
    )


def _flaw(e: Estimate, config: RejectionConfig) -> RejectionReason | None:
    face = e.find_details(FaceDetails) or FaceDetails()
    speech = e.find_details(SpeechDetails) or SpeechDetails()
    measured = (
        (face.side, config.small, RejectionReason.FACE_TOO_SMALL),
        (face.sharpness, config.blurred, RejectionReason.FACE_BLURRED),
        (speech.voiced, config.short, RejectionReason.TOO_SHORT),
        (speech.snr, config.noisy, RejectionReason.TOO_NOISY),
    )
    words = e.find_details(TextDetails)
    if words is not None and words.language is not None:
        return RejectionReason.OTHER_LANGUAGE
    return next(
        (why for value, least, why in measured if value is not None and value < least), None
    )


def _contradiction(e: Estimate, config: RejectionConfig) -> RejectionReason | None:
    """Whether a modality that is of another opinion is heard in the result, or surely should be."""
    if e.fusion is None or len({own.label for own in e.fusion.probabilities.values()}) < 2:
        return None  # what differs from all of them together is smoothing
    loudest = max(e.fusion.modality_weights.values())
    for modality, own in e.fusion.probabilities.items():
        if own.label == e.label or own.label not in e.probabilities.taxonomy.labels:
            continue
        loud = e.fusion.modality_weights[modality] >= config.loud * loudest
        if e.probabilities[own.label] >= config.rival or (loud and own.confidence >= config.sure):
            return RejectionReason.CONTRADICTION
    return None


def _gap(parts: Collection[Modality], expected: Collection[Modality]) -> RejectionReason | None:
    if Modality.FACE in expected and Modality.FACE not in parts:
        return RejectionReason.NO_FACE
    heard = {m for m in expected if m.spec.subject is SubjectKind.SPEAKER}
    return RejectionReason.NO_SPEECH if heard and not heard & set(parts) else None
