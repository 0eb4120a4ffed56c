"""Which strategy fuses, and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..core.estimates import Modality
from ..core.modality import specs
from ..core.protocols import Fuser
from ..core.registry import Registry, check_names, named
from ..errors import InputError

if TYPE_CHECKING:
    from ..models.card import Card


class Strategy(str, Enum):
    """The strategies that emofuse itself can fit: three opinion pools and four nets."""

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


def reliability(modality: Modality, quality: float) -> float:
    """Say what evidence of a quality in [0, 1] is worth, in [0, 1]: quality ** γ.

    Blur and noise make the embedded nets unsure by themselves, so that quality tells
    little more: by the log loss of pooled validation samples, some of them blurred or
    noisy, any γ above 0.1 is worse. A transcript's quality is the recogniser's confidence
    in its words, of which the words model knows nothing.

    Example:
        >>> reliability(Modality.TEXT, 0.5)
        0.5
    """
    return float(quality**modality.spec.quality_exponent)


@dataclass(frozen=True, slots=True)
class FuserRequest:
    """What a fuser is made of.

    Args:
        config: the settings.
        priors: model id → that model's mean probability of each of its labels; uniform
            where absent.
        card: of the trained fuser; None if none is wanted.
        files: its files by role.
    """

    config: FusionConfig
    priors: Mapping[str, Sequence[float]]
    card: Card | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


class FuserKind(Protocol):
    """What is registered for a fuser: its class, as a rule."""

    learned: bool
    """Whether it has to be trained, and so needs a card."""
    linear: bool
    """Whether its default weights are those of linear pools, or those of the log-linear one."""

    def make(self, request: FuserRequest) -> Fuser:
        """Make the fuser."""
        ...


FUSERS: Registry[FuserKind] = Registry("emofuse.fusers", "fuser")
"""The fusers by name."""


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Which strategy fuses, and how much each modality counts.

    Args:
        strategy: name of a fuser: weighted, confidence or logpool (opinion pools), feature,
            attention, hybrid or transformer (nets, which have to be trained), or one that
            another package adds.
        weights: modality → weight (≥ 0), of the pools only; those left out keep their
            default: what `model` has learned, else that of the table of modalities: face :
            voice : words = 0.45 : 0.30 : 0.25 in the linear pools and 1 : 1.1 : 0.6 in the
            log-linear pool.
        model: id of a trained fuser's card; by default ``fusion-STRATEGY-v1`` for the
            nets and none for the pools.
        history: of the hybrid strategy: over how many slots it averages, ≥ 1.

    Raises:
        InputError: on a negative weight, if no modality is left, if a net is given
            weights, or if there is no history.

    Example:
        >>> FusionConfig().strategy, FusionConfig("weighted").all_weights[Modality.FACE]
        ('logpool', 0.45)
    """

    strategy: str = named(FUSERS, "logpool")
    weights: Mapping[Modality, float] = field(default_factory=dict)
    model: str | None = None
    history: int = 5

    def __post_init__(self) -> None:
        check_names(self, "fusion")
        wrong = Modality.FUSED in self.weights or any(not w >= 0 for w in self.weights.values())
        if wrong or not any(self.all_weights.values()):
            raise InputError(
                "fusion weights must be >= 0, not all 0, and of face, speech and words, "
                f"got { {getattr(m, 'value', m): w for m, w in self.weights.items()} }"
            )
        if self.weights and self.learned:
            raise InputError(
                f"fusion weights are of the pools; {self.strategy!r} learns its own: leave "
                "fusion.weights out, or choose weighted, confidence or logpool"
            )
        if self.history < 1:
            raise InputError(f"fusion.history must be >= 1 slot, got {self.history}")

    @property
    def learned(self) -> bool:
        """Whether the fuser has to be trained."""
        return FUSERS.load(self.strategy).learned

    @property
    def all_weights(self) -> dict[Modality, float]:
        """Every modality's weight, defaults filled in."""
        linear = FUSERS.load(self.strategy).linear
        rows = specs().items()
        return {m: row.linear_weight if linear else row.weight for m, row in rows} | dict(
            self.weights
        )

    @property
    def card(self) -> str | None:
        """Id of the trained fuser that is wanted; None if none is."""
        return self.model or (f"fusion-{self.strategy}-v1" if self.learned else None)
