"""Nets that fuse: one file a strategy. All take and give what `fusion.learned` says."""

from __future__ import annotations

from ....fusion.config import Strategy
from .attention import AttentionNet
from .base import FusionNet, Sizes
from .feature import FeatureNet
from .hybrid import HybridNet
from .transformer import TransformerNet

__all__ = ["NETS", "FusionNet", "Sizes"]

NETS: dict[Strategy, type[FusionNet]] = {
    Strategy.FEATURE: FeatureNet,
    Strategy.ATTENTION: AttentionNet,
    Strategy.HYBRID: HybridNet,
    Strategy.TRANSFORMER: TransformerNet,
}
"""The net of each strategy that has one."""
