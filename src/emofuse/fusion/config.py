"""Which strategy fuses, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from ..core.estimates import Modality
from ..errors import InputError


class Strategy(str, Enum):
    """The fusion strategies: three opinion pools, and four that are learned nets."""

    WEIGHTED = "weighted"
    CONFIDENCE = "confidence"
    LOGPOOL = "logpool"
    FEATURE = "feature"
    ATTENTION = "attention"
    HYBRID = "hybrid"
    TRANSFORMER = "transformer"

    @property
    def learned(self) -> bool:
        """Whether it is a net, which has to be trained."""
        return self not in (Strategy.WEIGHTED, Strategy.CONFIDENCE, Strategy.LOGPOOL)


PARTS = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
"""The modalities that can be fused, in the order of all arrays."""

_LINEAR = MappingProxyType({Modality.FACE: 0.45, Modality.SPEECH: 0.30, Modality.TEXT: 0.25})
_LOG = MappingProxyType({Modality.FACE: 1.0, Modality.SPEECH: 1.0, Modality.TEXT: 1.0})


QUALITY_EXPONENT = MappingProxyType({Modality.FACE: 0.1, Modality.SPEECH: 0.1, Modality.TEXT: 1.0})
"""How much a modality's quality tells of what its evidence is worth: γ in `reliability`."""


def reliability(modality: Modality, quality: float) -> float:
    """Say what evidence of a quality in [0, 1] is worth, in [0, 1]: quality ** γ.

    Blur and noise make the embedded nets unsure by themselves, so that quality tells
    little more: by the log loss of pooled validation samples, some of them blurred or
    noisy, any γ above 0.1 is worse. A transcript's quality is the recogniser's confidence
    in its words, of which the words model knows nothing.
    """
    return float(quality ** QUALITY_EXPONENT[modality])


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Which strategy fuses, and how much each modality counts.

    Args:
        strategy: weighted, confidence or logpool (opinion pools), or feature, attention,
            hybrid or transformer (nets, which have to be trained).
        weights: modality → weight (≥ 0), of the pools only; those left out keep their
            default: what `model` has learned, else face : speech : words = 0.45 : 0.30 :
            0.25 in the linear pools (face to voice 0.6 : 0.4) and 1 each in the
            log-linear pool.
        model: id of a trained fuser's card; by default ``fusion-STRATEGY-v1`` for the
            nets and none for the pools.
        history: of the hybrid strategy: over how many slots it averages, ≥ 1.

    Raises:
        InputError: on a negative weight, if no modality is left, if a net is given
            weights, or if there is no history.
    """

    strategy: Strategy = Strategy.LOGPOOL
    weights: Mapping[Modality, float] = field(default_factory=dict)
    model: str | None = None
    history: int = 5

    def __post_init__(self) -> None:
        wrong = Modality.FUSED in self.weights or any(not w >= 0 for w in self.weights.values())
        if wrong or not any(self.all_weights.values()):
            raise InputError(
                "fusion weights must be >= 0, not all 0, and of face, speech and words, "
                f"got { {getattr(m, 'value', m): w for m, w in self.weights.items()} }"
            )
        if self.weights and self.strategy.learned:
            raise InputError(
                f"fusion weights are of the pools; {self.strategy.value!r} learns its own: leave "
                "fusion.weights out, or choose weighted, confidence or logpool"
            )
        if self.history < 1:
            raise InputError(f"fusion.history must be >= 1 slot, got {self.history}")

    @property
    def all_weights(self) -> dict[Modality, float]:
        """Every modality's weight, defaults filled in."""
        linear = self.strategy in (Strategy.WEIGHTED, Strategy.CONFIDENCE)
        return {**(_LINEAR if linear else _LOG), **self.weights}

    @property
    def card(self) -> str | None:
        """Id of the trained fuser that is wanted; None if none is."""
        default = f"fusion-{self.strategy.value}-v1" if self.strategy.learned else None
        return self.model or default
