"""Residual nets for pictures (He et al. 2015) and for clips (Hara et al. 2018).

Both are built alike: a stem, four stages of bottleneck blocks, a pool, a linear layer. That of He
et al. (arXiv:1512.03385) slides over height and width, that of Hara et al. (arXiv:1711.09577) over
time as well. Parameters are named as torchvision and 3D-ResNets-PyTorch name theirs, so that
published state dicts load as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....errors import InputError
from ....io.download import file_digest
from ...face.nets.pretrained import copy_published, read_weights
from .attention import DualAttention

_EXPANSION = 4
"""How much wider a block's output is than its 3×3 convolution."""


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """Shape of a stream's net.

    Args:
        blocks: bottleneck blocks of the four stages: 3, 4, 6, 3 are ResNet-50, 3, 4, 23, 3
            ResNet-101.
        base: channels of the stem and of the first stage's 3×3 convolutions; each stage
            doubles them.
        attention: weigh places and channels of the last maps before they are pooled.
        dropout: probability of dropping a pooled feature, in training.
        pretrained: published weights to start from, ``.pth`` or ``.safetensors``.
        sha256: their digest in hex; must be given with `pretrained`.

    Raises:
        ValueError: if a value makes no sense, or weights are not pinned.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    base: int = 64
    attention: bool = False
    dropout: float = 0.0
    pretrained: Path | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.blocks) != 4 or min(*self.blocks, self.base) < 1:
            raise ValueError(f"need four numbers of blocks and a base, all >= 1, got {self}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        pin = self.sha256 or ""
        if self.pretrained is not None and not (
            len(pin) == 64 and set(pin) <= set("0123456789abcdef")
        ):
            raise ValueError(
                f"pretrained: {self.pretrained} needs its sha256 beside it, 64 hex digits in lower "
                f"case (`sha256sum FILE` prints them), got {self.sha256!r}"
            )

    @property
    def width(self) -> int:
        """Number of features."""
        return self.base * 8 * _EXPANSION


class StreamNet(nn.Module):
    """A residual net whose last maps are pooled to features and classified.

    Args:
        config: its sizes.
        shape: of its input, (channels, side, side) or (channels, time, side, side).
        labels: number of outputs.
    """

    HEAD: tuple[str, ...] = ("fc.", "attention.")
    """How the names of those parameters begin that published weights need not have."""

    def __init__(self, config: ResNetConfig, shape: tuple[int, ...], labels: int) -> None:
        super().__init__()
        d = len(shape) - 1
        conv, norm, pool = _LAYERS[d]
        self.width = config.width
        stride: Any = 2 if d == 2 else (1, 2, 2)  # time is short: the stem keeps it
        self.conv1 = conv(shape[0], config.base, 7, stride, padding=3, bias=False)
        self.bn1 = norm(config.base)
        self.maxpool = pool(3, 2, padding=1)
        inputs = config.base
        for i, blocks in enumerate(config.blocks):
            width = config.base * 2**i
            stage = [Bottleneck(d, inputs, width, 1 if i == 0 else 2)]
            inputs = width * _EXPANSION
            stage += [Bottleneck(d, inputs, width) for _ in range(blocks - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
        self.attention = (
            DualAttention(inputs, math.prod(map_sizes(shape))) if config.attention else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(inputs, labels)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def embed(self, x: Tensor) -> Tensor:
        """Return features (batch, width) of inputs (batch, channels, [time,] side, side)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)  # type: ignore[operator]
        maps = x.flatten(2)
        return maps.mean(dim=2) if self.attention is None else self.attention(maps)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (batch, labels) of features (batch, width)."""
        logits: Tensor = self.fc(self.dropout(features))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, labels) of inputs (batch, channels, [time,] side, side)."""
        return self.classify(self.embed(x))


class Bottleneck(nn.Module):
    """1, 3 and 1 wide convolutions beside a shortcut, in two or three dimensions."""

    def __init__(self, d: int, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        conv, norm, _ = _LAYERS[d]
        outputs = width * _EXPANSION
        self.conv1 = conv(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = conv(width, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride, bias=False), norm(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, …) to (batch, 4 · width, …), each axis divided by the stride."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.downsample(x) + self.bn3(self.conv3(y)))


_LAYERS = {
    2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d),
    3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d),
}
"""Convolution, norm and pool of a net in two and in three dimensions."""


def map_sizes(shape: tuple[int, ...]) -> list[int]:
    """Return the size of the last maps of an input (channels, [time,] side, side)."""
    halvings = [5] * (len(shape) - 1)
    if len(shape) == 4:
        halvings[0] = 4
    return [math.ceil(n / 2**k) for n, k in zip(shape[1:], halvings, strict=True)]


def build(config: ResNetConfig, shape: tuple[int, ...], labels: int) -> StreamNet:
    """Make a stream's net; from published weights, if the config names some.

    Raises:
        InputError: if these are not what was pinned, or are of another net.
    """
    net = StreamNet(config, shape, labels)
    if config.pretrained is None:
        return net
    path = Path(config.pretrained)
    if not path.is_file():
        raise InputError(f"there are no pretrained weights at {path}")
    digest = file_digest(path)
    if digest != config.sha256:
        raise InputError(
            f"the pretrained weights {path} have the sha256 {digest}, expected {config.sha256}: "
            "they are damaged or others; get them again, or pin what you have"
        )
    weights = {k.removeprefix("module."): v for k, v in read_weights(path).items()}
    return copy_published(net, _for_channels(weights, shape[0]), path.name)


def _for_channels(weights: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Let kernels for colors look at other channels: each gets their mean (Wang et al. 2016)."""
    first = weights.get("conv1.weight")
    if first is None or first.shape[1] == channels:
        return dict(weights)
    mean = first.mean(dim=1, keepdim=True)
    return {**weights, "conv1.weight": mean.repeat(1, channels, *[1] * (first.ndim - 2))}
