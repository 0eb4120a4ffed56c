"""From a trainer to a finished model: train, then export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoint import disk_errors
from .console import log
from .curves import draw_curves
from .exporter import Exporter
from .loop import EpochCallback, fit
from .run_folder import RunFolder
from .trainer import Trainer


def train(trainer: Trainer[Any], watch: EpochCallback | None = None) -> Path:
    """Train, or go on where an interrupted training stopped; then export the model.

    Args:
        trainer: of a modality.
        watch: called with each epoch's metrics.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if data is missing, the folder holds another run, the loss is no
            number any more, or there is no room.
    """
    config = trainer.config
    fit_only(trainer, watch)
    draw_curves(config.run, f"{config.id}: {trainer.plan.kind.name}, seed {config.loop.seed}")
    card = Exporter(trainer).export()
    return Path(config.model / f"{card.id}.toml")


def fit_only(trainer: Trainer[Any], watch: EpochCallback | None = None) -> Path:
    """Train without exporting; see `train`. Return the path of the best weights."""
    config = trainer.config
    with disk_errors(f"what is in {config.run}"):
        config.run.mkdir(parents=True, exist_ok=True)
    task = trainer.task()
    parameters = sum(p.numel() for p in task.net.parameters())
    log(f"{trainer.plan.kind.name}: {parameters:,} parameters; on {config.loop.torch_device}")
    with RunFolder(config, trainer.identity()) as folder:

        def look(figures: Mapping[str, float]) -> None:
            folder.log(figures)
            if watch is not None:
                watch(figures)

        return fit(task, config.loop, config.run, look)
