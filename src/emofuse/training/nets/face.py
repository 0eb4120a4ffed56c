"""A compact residual network for small grey faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class FaceNetConfig:
    """Shape of `FaceNet`.

    Args:
        labels: number of outputs.
        stem: channels of the first convolution, at full resolution.
        widths: channels of the stages; each stage starts by halving the resolution.
        blocks: residual blocks of each stage.
        dropout: probability of dropping a pooled feature in training.
    """

    labels: int = 8
    stem: int = 24
    widths: tuple[int, ...] = (48, 96, 160)
    blocks: tuple[int, ...] = (1, 2, 1)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"need one number of blocks per width, got {self.blocks} for {self.widths}"
            )


class FaceNet(nn.Module):
    """Residual blocks (He et al. 2016) with channel attention (Hu et al. 2018).

    Takes prepared faces, float (batch, 1, side, side); gives logits (batch, labels).
    """

    def __init__(self, config: FaceNetConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(1, config.stem), nn.BatchNorm2d(config.stem), nn.ReLU()]
        channels = config.stem
        for width, blocks in zip(config.widths, config.blocks, strict=True):
            for i in range(blocks):
                layers.append(Residual(channels, width, stride=2 if i == 0 else 1))
                channels = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels, config.labels)

    def forward(self, faces: Tensor) -> Tensor:
        """Return logits."""
        pooled = self.features(faces).mean(dim=(2, 3))
        return self.head(self.dropout(pooled))


class Residual(nn.Module):
    """Two 3×3 convolutions with channel attention beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inputs, outputs, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _conv(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )
        # A block that starts as its shortcut trains more steadily (Goyal et al. 2017).
        nn.init.zeros_(self.body[-1].weight)
        self.attention = ChannelAttention(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        return torch.relu(self.shortcut(x) + self.attention(self.body(x)))


class ChannelAttention(nn.Module):
    """Squeeze and excitation: scale each channel by what the whole picture says of it."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, rescaled per channel."""
        return x * self.gate(x.mean(dim=(2, 3)))[:, :, None, None]


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
