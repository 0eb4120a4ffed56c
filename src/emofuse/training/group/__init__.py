"""Trains group models: four streams, each a net of its own, and a head that joins them."""

from __future__ import annotations

from .config import STAGES, GroupTraining
from .hybrid import HybridTraining, train_hybrid
from .train import train

__all__ = ["STAGES", "GroupTraining", "HybridTraining", "train", "train_hybrid"]
