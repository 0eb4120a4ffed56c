"""Uncertain is an answer: fused estimates that are not to be relied on say so, and why.

A classifier that may reject (Chow 1970; Geifman & El-Yaniv 2017) answers fewer
questions and is right more often. Scores stay as they are: who wants an answer
nevertheless finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ..core.estimates import Estimate, Modality, Reason, Uncertain
from ..core.intervals import Interval, check_within
from ..core.media import Progress


@dataclass(frozen=True, slots=True)
class AbstainConfig:
    """When a fused estimate is uncertain, and what counts as the reason.

    The first two decide, the others only explain. Validation samples would let 92 % of
    estimates stay at a confidence of 0.37 to 0.39 (`emofuse evaluate fusion`); 0.35 is
    rounder and more careful. The quality was set by hand.

    Args:
        confidence: a smaller probability of the best label is too little; 0: never.
        quality: evidence of a smaller quality is too poor; 0: never.
        disagreement: from here on the modalities contradict each other.
        small: pixels across a face below which it is too small.
        blurred: sharpness below which a face is too blurred.
        short: seconds of voice that are too few.
        noisy: signal-to-noise ratio in dB below which sound is too noisy.

    Raises:
        InputError: if a share lies outside [0, 1].
    """

    confidence: float = 0.35
    quality: float = 0.05
    disagreement: float = 0.3
    small: float = 24.0
    blurred: float = 0.25
    short: float = 0.5
    noisy: float = 3.0

    def __post_init__(self) -> None:
        shares = ("confidence", "quality", "disagreement", "blurred")
        check_within(self, "abstain", shares, Interval(0, 1))


class Abstain:
    """Marks the fused estimates that are uncertain; everything passes, no score changes.

    A stage that follows smoothing.

    Args:
        config: when to abstain.
        expected: modalities that the medium could have told something of: in a film
            a missing face is a reason, in a sound it is none.
    """

    latency_ns = 0

    def __init__(
        self, config: AbstainConfig | None = None, expected: Collection[Modality] = ()
    ) -> None:
        self._config = config or AbstainConfig()
        self._expected = frozenset(expected)

    def feed(self, item: Estimate | Progress) -> Iterator[Estimate | Progress]:
        """Take an estimate; yield it, marked if it is a fused one and uncertain."""
        if isinstance(item, Estimate) and item.modality is Modality.FUSED:
            reason = doubt(item, self._config, self._expected)
            if reason is not None:
                item = replace(item, uncertain=Uncertain(reason))
        yield item

    def flush(self) -> Iterator[Estimate | Progress]:
        """Nothing is ever held."""
        return iter(())

    def reset(self) -> None:
        """Nothing to forget."""


def doubt(e: Estimate, config: AbstainConfig, expected: Collection[Modality] = ()) -> Reason | None:
    """Say why a fused estimate is uncertain; None if it is not.

    The most tangible reason counts: poor evidence before contradiction, contradiction
    before what is missing, and low confidence only if there is nothing else to say.
    """
    if e.confidence >= config.confidence and e.quality >= config.quality:
        return None
    parts = frozenset(e.blend.scores) if e.blend else frozenset()
    return (
        _flaw(e, parts, config)
        or _contradiction(e, config)
        or _gap(parts, frozenset(expected))
        or Reason.LOW_CONFIDENCE
    )


def _flaw(e: Estimate, parts: Collection[Modality], config: AbstainConfig) -> Reason | None:
    limits = {
        Modality.FACE: (
            ("side", config.small, Reason.FACE_TOO_SMALL),
            ("sharpness", config.blurred, Reason.FACE_BLURRED),
        ),
        Modality.SPEECH: (
            ("voiced", config.short, Reason.TOO_SHORT),
            ("snr", config.noisy, Reason.TOO_NOISY),
        ),
    }
    for modality, rows in limits.items():
        for name, least, reason in rows:
            if modality in parts and e.details.get(name, least) < least:
                return reason
    return None


def _contradiction(e: Estimate, config: AbstainConfig) -> Reason | None:
    if e.blend and len(e.blend.scores) > 1 and e.blend.disagreement >= config.disagreement:
        return Reason.DISAGREE
    return None


def _gap(parts: Collection[Modality], expected: Collection[Modality]) -> Reason | None:
    if Modality.FACE in expected and Modality.FACE not in parts:
        return Reason.NO_FACE
    heard = {Modality.SPEECH, Modality.WORDS}
    return Reason.NO_SPEECH if heard & set(expected) and not heard & set(parts) else None
