"""What decides a training, whatever the modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from .corpora import CorpusChoice, Labels
from .loop import LoopConfig
from .quantize import Quantization
from .targets import TargetConfig


class Calibrating(str, Enum):
    """What a model's probabilities are made to fit on validation."""

    TARGETS = "targets"
    """What it was taught: of ten votes, six for happy are 60 %."""

    MAJORITY = "majority"
    """How often the label with the largest share of the target is right."""


@dataclass(frozen=True, slots=True)
class Training:
    """What decides a training, whatever the modality.

    Args:
        id: of the model that is made.
        data: folder of the corpora, where they name none of their own.
        run: folder of the run; it goes on from there if it was interrupted.
        out: where the finished model is put; by default ``model/`` in the run's folder.
        corpora: what is learned from; by default the modality's own protocol.
        labels: what is learned and answered.
        batch: samples a step.
        net: ``name`` of the net and its sizes.
        preparation: how a sample becomes a row, where it is not as the net wants it.
        targets: what the net is taught.
        init: safetensors weights to start from, as far as they fit.
        select: figure whose largest value marks the best epoch; by default the
            modality's.
        quantize: how the model is made smaller.
        calibrate: what its probabilities are made to fit.
        skip_unreadable: leave out media that cannot be read (up to 5 %).
        summary: one line about the model for its card.
        licence: of the weights; by default that of the training data.
        notes: for its card, what a user should know.
        loop: how it is trained.
        tune: search space of `emofuse tune`; key → range or choices.

    Raises:
        ValueError: if the batch is too small.
    """

    id: str = "model"
    data: Path = Path("data")
    run: Path = Path("runs/model")
    out: Path | None = None
    corpora: tuple[CorpusChoice, ...] = ()
    labels: Labels = Labels.CANONICAL
    batch: int = 64
    net: Mapping[str, Any] = field(default_factory=dict)
    preparation: Mapping[str, Any] = field(default_factory=dict)
    targets: TargetConfig = field(default_factory=TargetConfig)
    init: Path | None = None
    select: str | None = None
    quantize: Quantization = Quantization.NONE
    calibrate: Calibrating = Calibrating.TARGETS
    skip_unreadable: bool = False
    summary: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    loop: LoopConfig = field(default_factory=LoopConfig)
    tune: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in (
            ("labels", Labels),
            ("quantize", Quantization),
            ("calibrate", Calibrating),
        ):
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("corpora", "notes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.batch < 2:
            raise ValueError(f"need batch >= 2, got {self.batch}")

    @property
    def model(self) -> Path:
        """Folder of the finished model."""
        return self.out or self.run / "model"
