"""The way from settings to a fuser's folder."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from ...config.loader import to_mapping
from ...models.store import Store
from ..core.checkpoint import disk_errors, save_text
from .config import FusionTraining
from .data import FusionData
from .export_net import export_net
from .export_pool import export_pool


def train(config: FusionTraining, store: Store | None = None) -> Path:
    """Train a fuser and write its folder ``RUN/model``, which the store then accepts.

    Args:
        config: what is trained, on what.
        store: where the recognisers' cards are; default: `Store()`.

    Returns:
        The card's path.

    Raises:
        InputError: if predictions are missing.
        ModelError: if a recogniser is, or the exported net answers otherwise.
    """
    torch.set_num_threads(config.loop.threads)
    store = store or Store()
    cards = {m: store.card(config.models[m]) for m in config.modalities}
    data = FusionData.of(config, cards, store)
    folder = config.run / "model"
    with disk_errors(f"what was in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True)
        save_text(text, config.run / "config.yaml")
        export = export_net if config.strategy.learned else export_pool
        return export(config, data, folder)
