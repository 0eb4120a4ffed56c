"""Settings of a fuser's training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...analyzer import default_models
from ...core.estimates import Modality
from ...errors import InputError
from ...fusion.config import PARTS, Strategy

Tell = Callable[[str], object]
"""Is given a line of progress."""


@dataclass(frozen=True, slots=True)
class FusionTraining:
    """Settings of a fuser's training.

    Args:
        strategy: what is trained; the pools (weighted, confidence, logpool) are fitted.
        id: of the card; "" for ``fusion-STRATEGY-v1``.
        readings: folder of readings (Parquet), made by the same pipeline as analyses.
        data: folder of the corpora, for readings that are not there yet; None: none are
            made.
        run: folder of the run; the finished model is in ``RUN/model``.
        modalities: what is fused.
        models: modality → id of its recogniser; those left out keep their default.
        seed: of everything random.
        epochs: passes over the pairs; the best one by log loss is kept.
        batch: pairs a step.
        lr: highest learning rate.
        weight_decay: of AdamW.
        width: of a modality's token in the net.
        dropout: of tokens.
        drop: share of pairs of which modalities are dropped.
        spoil: share of modalities that are replaced by a stranger's of poor quality.
        held_out: share of people, or samples, that choose instead of being learnt from.
        threads: CPU threads.
        notes: for the card.

    Raises:
        InputError: if a value makes no sense.
    """

    strategy: Strategy = Strategy.ATTENTION
    id: str = ""
    readings: Path = Path("data/readings")
    data: Path | None = None
    run: Path = Path("runs/fusion")
    modalities: tuple[Modality, ...] = PARTS
    models: Mapping[Modality, str] = field(default_factory=dict)
    seed: int = 1
    epochs: int = 12
    batch: int = 256
    lr: float = 2e-3
    weight_decay: float = 0.02
    width: int = 32
    dropout: float = 0.2
    drop: float = 0.5
    spoil: float = 0.1
    held_out: float = 0.3
    threads: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", default_models() | dict(self.models))
        if len(set(self.modalities) & set(PARTS)) < 2 or Modality.FUSED in self.modalities:
            raise InputError("modalities: fusing takes two or three of face, speech and words")
        for name in ("epochs", "batch", "lr", "threads", "held_out"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("dropout", "drop", "spoil", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """Id of the card."""
        return self.id or f"fusion-{self.strategy.value}-v1"
