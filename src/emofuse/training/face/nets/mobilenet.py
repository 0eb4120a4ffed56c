"""MobileNetV2 (arXiv:1801.04381) and MobileNetV3 (arXiv:1905.02244), with small-face sizes.

Both are made of inverted residuals: a narrow map is widened by a 1×1 convolution,
filtered per channel, and narrowed again without a nonlinearity. V3 adds squeeze
and excitation (Hu et al. 2017, arXiv:1709.01507) and hard swish.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from ...core.nets import NetKind
from . import pretrained
from .base import FaceNetBase, check_head, draw_weights, pool, rounded


class Size(str, Enum):
    """Which MobileNetV3."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class MobileNetV2Config:
    """Shape of `MobileNetV2`.

    Args:
        labels: number of outputs.
        channels: of the faces, 1 (grey) or 3 (RGB).
        scale: factor of all widths.
        stem_stride: stride of the first convolution: 2 as published, for 112 pixels
            and more; 1 for 48 to 96.
        dropout: probability of dropping a pooled feature.
        pretrained: published weights, a file or URL (see `nets.face.pretrained`).
        sha256: how their digest begins; None: as the file's name says.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    channels: int = 1
    scale: float = 1.0
    stem_stride: int = 1
    dropout: float = 0.2
    pretrained: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class MobileNetV3Config:
    """Shape of `MobileNetV3`.

    Args:
        labels: number of outputs.
        size: the paper's small or large net.
        channels: of the faces, 1 (grey) or 3 (RGB).
        scale: factor of all widths.
        stem_stride: stride of the first convolution: 2 as published, for 112 pixels
            and more; 1 for 48 to 96.
        dropout: probability of dropping a value of the embedding.
        pretrained: published weights, a file or URL (see `nets.face.pretrained`).
        sha256: how their digest begins; None: as the file's name says.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    size: Size = Size.SMALL
    channels: int = 1
    scale: float = 1.0
    stem_stride: int = 1
    dropout: float = 0.2
    pretrained: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", Size(self.size))
        _check(self)


def _check(config: MobileNetV2Config | MobileNetV3Config) -> None:
    check_head(config.labels, config.dropout)
    pretrained.check_pin(config)
    if not config.scale > 0 or config.stem_stride not in (1, 2):
        raise ValueError(f"need scale > 0 and stem_stride 1 or 2, got {config}")


class MobileNetV2(FaceNetBase):
    """Inverted residuals with linear bottlenecks (Sandler et al. 2018, arXiv:1801.04381)."""

    HEAD = ("classifier.",)

    STAGES = (
        # widening, channels, blocks, stride of the first
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, config: MobileNetV2Config) -> None:
        last = rounded(1280 * max(1.0, config.scale))
        super().__init__(config.channels, last)
        inputs = rounded(32 * config.scale)
        layers: list[nn.Module] = [
            _convolution(config.channels, inputs, 3, config.stem_stride, act=nn.ReLU6)
        ]
        for widening, channels, blocks, stride in self.STAGES:
            outputs = rounded(channels * config.scale)
            for i in range(blocks):
                layers.append(_InvertedV2(inputs, outputs, widening, stride if i == 0 else 1))
                inputs = outputs
        layers.append(_convolution(inputs, last, 1, act=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(last, config.labels))
        draw_weights(self)

    def embed(self, faces: Tensor) -> Tensor:
        """Return the pooled features, (batch, width)."""
        return pool(self.features(self.check(faces)))

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.classifier(embedding)
        return logits


class _InvertedV2(nn.Module):
    """Widen, filter, narrow; beside an identity where the sizes allow."""

    def __init__(self, inputs: int, outputs: int, widening: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * widening
        layers: list[nn.Module] = []
        if widening != 1:
            layers.append(_convolution(inputs, hidden, 1, act=nn.ReLU6))
        layers += [
            _convolution(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.beside = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.beside else y


class _Row(NamedTuple):
    """One block of MobileNetV3: a line of the paper's tables 1 and 2."""

    kernel: int
    hidden: int
    outputs: int
    squeeze: bool
    swish: bool
    stride: int


_LARGE = (
    _Row(3, 16, 16, False, False, 1),
    _Row(3, 64, 24, False, False, 2),
    _Row(3, 72, 24, False, False, 1),
    _Row(5, 72, 40, True, False, 2),
    _Row(5, 120, 40, True, False, 1),
    _Row(5, 120, 40, True, False, 1),
    _Row(3, 240, 80, False, True, 2),
    _Row(3, 200, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 480, 112, True, True, 1),
    _Row(3, 672, 112, True, True, 1),
    _Row(5, 672, 160, True, True, 2),
    _Row(5, 960, 160, True, True, 1),
    _Row(5, 960, 160, True, True, 1),
)
_SMALL = (
    _Row(3, 16, 16, True, False, 2),
    _Row(3, 72, 24, False, False, 2),
    _Row(3, 88, 24, False, False, 1),
    _Row(5, 96, 40, True, True, 2),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 120, 48, True, True, 1),
    _Row(5, 144, 48, True, True, 1),
    _Row(5, 288, 96, True, True, 2),
    _Row(5, 576, 96, True, True, 1),
    _Row(5, 576, 96, True, True, 1),
)
_ROWS = {Size.LARGE: (_LARGE, 1280), Size.SMALL: (_SMALL, 1024)}
"""Blocks of each size, and the width of its dense layer."""

_NORM = partial(nn.BatchNorm2d, eps=1e-3)
"""With the paper's eps; its momentum of 0.01 is for millions of steps, ours are thousands."""


class MobileNetV3(FaceNetBase):
    """The net that a search found for mobile phones (Howard et al. 2019, arXiv:1905.02244)."""

    HEAD = ("classifier.",)

    def __init__(self, config: MobileNetV3Config) -> None:
        rows, dense = _ROWS[config.size]
        dense = rounded(dense * config.scale)
        super().__init__(config.channels, dense)
        stem = rounded(16 * config.scale)
        layers: list[nn.Module] = [
            _convolution(config.channels, stem, 3, config.stem_stride, act=nn.Hardswish, norm=_NORM)
        ]
        inputs = stem
        for row in rows:
            layers.append(_InvertedV3(inputs, row, config.scale))
            inputs = rounded(row.outputs * config.scale)
        layers.append(_convolution(inputs, 6 * inputs, 1, act=nn.Hardswish, norm=_NORM))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(6 * inputs, dense),
            nn.Hardswish(),
            nn.Dropout(config.dropout),
            nn.Linear(dense, config.labels),
        )
        draw_weights(self)

    def embed(self, faces: Tensor) -> Tensor:
        """Return what the dense layer makes of the pooled features, (batch, width)."""
        pooled = pool(self.features(self.check(faces)))
        out: Tensor = self.classifier[1](self.classifier[0](pooled))
        return out

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.classifier[3](self.classifier[2](embedding))
        return logits


class _InvertedV3(nn.Module):
    """Widen, filter, weigh the channels, narrow; beside an identity where the sizes allow."""

    def __init__(self, inputs: int, row: _Row, scale: float) -> None:
        super().__init__()
        hidden, outputs = rounded(row.hidden * scale), rounded(row.outputs * scale)
        act = nn.Hardswish if row.swish else nn.ReLU
        layers: list[nn.Module] = []
        if hidden != inputs:
            layers.append(_convolution(inputs, hidden, 1, act=act, norm=_NORM))
        layers.append(
            _convolution(hidden, hidden, row.kernel, row.stride, groups=hidden, act=act, norm=_NORM)
        )
        if row.squeeze:
            layers.append(_Squeeze(hidden, rounded(hidden // 4)))
        layers.append(_convolution(hidden, outputs, 1, norm=_NORM))
        self.block = nn.Sequential(*layers)
        self.beside = row.stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.beside else y


class _Squeeze(nn.Module):
    """Weigh each channel by what all channels hold on average."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        mean = maps.mean(dim=(2, 3), keepdim=True)
        return maps * nn.functional.hardsigmoid(self.fc2(nn.functional.relu(self.fc1(mean))))


def _convolution(
    inputs: int,
    outputs: int,
    size: int,
    stride: int = 1,
    groups: int = 1,
    act: type[nn.Module] | None = None,
    norm: type[nn.BatchNorm2d] | partial[nn.BatchNorm2d] = nn.BatchNorm2d,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        norm(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


def build_v2(config: MobileNetV2Config) -> MobileNetV2:
    """Make the net, from published weights if the config names some."""
    return pretrained.start(MobileNetV2(config), config)


def build_v3(config: MobileNetV3Config) -> MobileNetV3:
    """Make the net, from published weights if the config names some."""
    return pretrained.start(MobileNetV3(config), config)


MOBILENET_V2 = NetKind(
    name="mobilenet-v2",
    title="MobileNetV2, inverted residuals (Sandler et al. 2018, arXiv:1801.04381)",
    config=MobileNetV2Config,
    build=build_v2,
    preparation={"side": 64},
)
"""Kind of `MobileNetV2`."""

MOBILENET_V3 = NetKind(
    name="mobilenet-v3",
    title="MobileNetV3, small or large (Howard et al. 2019, arXiv:1905.02244)",
    config=MobileNetV3Config,
    build=build_v3,
    preparation={"side": 64},
)
"""Kind of `MobileNetV3`."""
