"""A compact residual network for small grey faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.nets import NetKind
from .base import FaceNetBase


@dataclass(frozen=True, slots=True)
class FaceNetConfig:
    """Shape of `FaceNet`.

    Args:
        labels: number of outputs.
        stem: channels of the first convolution, at full resolution.
        widths: channels of the stages; each stage starts by halving the resolution.
        blocks: residual blocks of each stage.
        dropout: probability of dropping a pooled feature in training.
        channels: of the faces, 1 (grey) or 3 (RGB).
    """

    labels: int = 8
    stem: int = 24
    widths: tuple[int, ...] = (48, 96, 160)
    blocks: tuple[int, ...] = (1, 2, 1)
    dropout: float = 0.1
    channels: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"need one number of blocks per width, got {self.blocks} for {self.widths}"
            )
        if min(self.stem, *self.widths) < 16:
            # oneDNN 3.x crashes in the backward pass of 8 channels in channels-last float32.
            raise ValueError(f"need at least 16 channels everywhere, got {self}")


class FaceNet(FaceNetBase):
    """A stem, residual blocks (He et al. 2016), the mean over the picture, a linear head.

    Takes prepared faces, float (batch, channels, side, side); gives logits (batch, labels).
    """

    HEAD = ("head.",)

    def __init__(self, config: FaceNetConfig) -> None:
        super().__init__(config.channels, (config.stem, *config.widths)[-1])
        stem = _conv(config.channels, config.stem)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(config.stem), nn.ReLU()]
        channels = config.stem
        for width, blocks in zip(config.widths, config.blocks, strict=True):
            for i in range(blocks):
                layers.append(Residual(channels, width, stride=2 if i == 0 else 1))
                channels = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels, config.labels)

    def embed(self, faces: Tensor) -> Tensor:
        """Return the pooled features, (batch, last width)."""
        pooled: Tensor = self.features(self.check(faces)).mean(dim=(2, 3))
        return pooled

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inputs, outputs, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _conv(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        return torch.relu(self.shortcut(x) + self.body(x))


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


COMPACT = NetKind(
    name="compact",
    title="a compact residual net for small grey faces (after He et al. 2016, arXiv:1512.03385)",
    config=FaceNetConfig,
    build=FaceNet,
    preparation={"side": 48},
)
"""Kind of `FaceNet`."""
