"""Settings of a fuser's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...analyzer import default_models
from ...core.estimates import Modality
from ...core.modality import modalities
from ...errors import InputError
from ...fusion.config import Strategy
from ..core.loop import LoopConfig, Optimizer


def _default_loop() -> LoopConfig:
    return LoopConfig(
        epochs=12,
        lr=2e-3,
        warmup=0.2,
        optimizer=Optimizer.ADAMW,
        weight_decay=0.02,
        ema=0.0,
        bf16=False,
        grad_clip=1.0,
    )


@dataclass(frozen=True, slots=True)
class FusionTraining:
    """Settings of a fuser's training.

    Args:
        strategy: what is trained; the pools (weighted, confidence, logpool) are fitted.
        id: of the card; "" for ``fusion-STRATEGY-v1``.
        predictions_cache: folder of cached predictions (Parquet), made by the same pipeline
            as analyses.
        data: folder of the corpora, for predictions that are not cached yet; None: none are
            made.
        run: folder of the run; the finished model is in ``RUN/model``.
        modalities: what is fused.
        models: modality → id of its recogniser; those left out keep their default.
        batch: pairs a step.
        width: of a modality's token in the net.
        dropout: of tokens.
        drop: fraction of pairs of which modalities are dropped.
        corrupt: fraction of modalities that are replaced by a stranger's of poor quality.
        held_out: fraction of people, or samples, held out for validation.
        notes: for the card.
        loop: how a net is trained; of the pools, its seed alone counts.

    Raises:
        InputError: if a value makes no sense.
    """

    strategy: Strategy = Strategy.ATTENTION
    id: str = ""
    predictions_cache: Path = Path("data/predictions")
    data: Path | None = None
    run: Path = Path("runs/fusion")
    modalities: tuple[Modality, ...] = field(default_factory=modalities)
    models: Mapping[Modality, str] = field(default_factory=dict)
    batch: int = 256
    width: int = 32
    dropout: float = 0.2
    drop: float = 0.5
    corrupt: float = 0.1
    held_out: float = 0.3
    notes: tuple[str, ...] = ()
    loop: LoopConfig = field(default_factory=_default_loop)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", default_models() | dict(self.models))
        if len(set(self.modalities) & set(modalities())) < 2 or Modality.FUSED in self.modalities:
            raise InputError("modalities: fusing takes two or more of " + ", ".join(modalities()))
        for name in ("batch", "held_out"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("dropout", "drop", "corrupt", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """Id of the card."""
        return self.id or f"fusion-{self.strategy.value}-v1"
