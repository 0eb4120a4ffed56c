"""ResNet-50 (He et al. 2015, arXiv:1512.03385), with sizes for small faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.nets import NetKind
from . import pretrained
from .base import FaceNetBase, check_head, draw_weights, pool

_EXPANSION = 4
"""How much wider a block's output is than its 3×3 convolution."""


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Shape of `ResNet`; the defaults are ResNet-50's but for the stem.

    Args:
        labels: number of outputs.
        channels: of the faces, 1 (grey) or 3 (RGB).
        base: channels of the stem and of the first stage's 3×3 convolutions; each
            stage doubles them.
        blocks: bottleneck blocks of the four stages.
        stem_stride: stride of the first convolution: 2 as published, for 112 pixels
            and more; 1 for 48 to 96.
        stem_pool: halve the maps behind the stem once more, as published.
        dropout: probability of dropping a pooled feature.
        pretrained: published weights, a file or URL (see `nets.face.pretrained`).
        sha256: how their digest begins; None: as the file's name says.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    channels: int = 1
    base: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    stem_stride: int = 1
    stem_pool: bool = True
    dropout: float = 0.2
    pretrained: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        check_head(self.labels, self.dropout)
        pretrained.check_pin(self)
        if len(self.blocks) != 4 or min(*self.blocks, self.base) < 1:
            raise ValueError(f"need four numbers of blocks and a base, all >= 1, got {self}")
        if self.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2, got {self.stem_stride}")


class ResNet(FaceNetBase):
    """A stem, four stages of bottleneck blocks, the mean over the picture, a linear head.

    The stride of a stage lies in its first 3×3 convolution, as in the published
    weights (often called v1.5), not in the 1×1 before it, as in the paper.
    """

    HEAD = ("fc.",)

    def __init__(self, config: ResNetConfig) -> None:
        widths = [config.base * 2**i for i in range(4)]
        super().__init__(config.channels, widths[-1] * _EXPANSION)
        self.conv1 = nn.Conv2d(
            config.channels, config.base, 7, config.stem_stride, padding=3, bias=False
        )
        self.bn1 = nn.BatchNorm2d(config.base)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if config.stem_pool else nn.Identity()
        inputs = config.base
        for i, (width, blocks) in enumerate(zip(widths, config.blocks, strict=True)):
            stage = [Bottleneck(inputs, width, stride=1 if i == 0 else 2)]
            inputs = width * _EXPANSION
            stage += [Bottleneck(inputs, width) for _ in range(blocks - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(inputs, config.labels)
        draw_weights(self)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)  # a block starts as its shortcut

    def embed(self, faces: Tensor) -> Tensor:
        """Return the pooled features, (batch, 32 · base)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(self.check(faces)))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)  # type: ignore[operator]
        return pool(x)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.fc(self.dropout(embedding))
        return logits


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, h, w) to (batch, 4 · width, h / stride, w / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.downsample(x) + self.bn3(self.conv3(y)))


def build(config: ResNetConfig) -> ResNet:
    """Make the net, from published weights if the config names some."""
    return pretrained.start(ResNet(config), config)


RESNET50 = NetKind(
    name="resnet50",
    title="ResNet-50, bottleneck residual blocks (He et al. 2015, arXiv:1512.03385)",
    config=ResNetConfig,
    build=build,
    preparation={"side": 64},
)
"""Kind of `ResNet`."""
