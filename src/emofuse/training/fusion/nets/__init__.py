"""Nets that fuse: one file a strategy. All take and give what `fusion.learned` says.

A file that holds a `FusionNet` with a `strategy` is found by itself.
"""

from __future__ import annotations

from ....fusion.config import Strategy
from ...core.nets import modules_of
from .base import FusionNet, Sizes

__all__ = ["NETS", "FusionNet", "Sizes"]

NETS: dict[Strategy, type[FusionNet]] = {
    net.strategy: net
    for module in modules_of(__name__)
    for net in vars(module).values()
    if isinstance(net, type) and issubclass(net, FusionNet) and net is not FusionNet
}
"""The net of each strategy that has one."""
