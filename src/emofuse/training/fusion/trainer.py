"""The way from settings to a fuser's folder."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from ...models.store import Store
from ..core.build import plain
from ..core.checkpoint import save_text, told
from .config import FusionTraining, Tell
from .data import Material
from .export_net import ship_net
from .export_pool import ship_pool


def train(
    config: FusionTraining, tell: Tell = lambda text: None, store: Store | None = None
) -> Path:
    """Train a fuser and write its folder ``RUN/model``, which the store then accepts.

    Args:
        config: what is trained, on what.
        tell: is given a line an epoch.
        store: where the recognisers' cards are; default: `Store()`.

    Returns:
        The card's path.

    Raises:
        InputError: if readings are missing.
        ModelError: if a recogniser is, or the exported net answers otherwise.
    """
    torch.set_num_threads(config.threads)
    store = store or Store()
    cards = {m: store.card(config.models[m]) for m in config.modalities}
    material = Material.of(config, cards, store)
    folder = config.run / "model"
    with told(f"what was in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
        save_text(text, config.run / "config.yaml")
        ship = ship_net if config.strategy.learned else ship_pool
        return ship(config, material, folder, tell)
