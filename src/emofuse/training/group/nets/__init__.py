"""The nets of a group model's streams, and the head that joins them."""

from __future__ import annotations

from .head import FusionHead
from .resnet import ResNetConfig, StreamNet, build

__all__ = ["FusionHead", "ResNetConfig", "StreamNet", "build"]
