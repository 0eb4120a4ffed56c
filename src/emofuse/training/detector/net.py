"""The embedded face detector's net: separable convolutions, a pyramid, one cell one face.

Anchor-free and single-class as YuNet (Wu, Peng & Yu 2023) and FCOS (Tian et al.
2019) are: each cell of three grids (strides 8, 16 and 32) says whether a face is
there, where its box lies and where its five landmarks are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
"""Pixels from cell to cell of the three grids."""

CHANNELS = 15
"""A cell's answers: score logit, box (4), landmarks (10)."""

MEAN, SPREAD = 127.5, 64.0
"""What pixels are centred by and divided by, within the net."""


@dataclass(frozen=True, slots=True)
class DetectorNetConfig:
    """Shape of the net.

    Args:
        widths: channels at strides 4, 8, 16 and 32.
        blocks: residual blocks at strides 4, 8, 16 and 32.
        features: channels of the pyramid.

    Raises:
        ValueError: if there are not four widths and four numbers of blocks.
    """

    widths: tuple[int, ...] = (32, 64, 112, 160)
    blocks: tuple[int, ...] = (0, 2, 3, 3)
    features: int = 48

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.widths) != 4 or len(self.blocks) != 4 or min(*self.widths, self.features) < 1:
            raise ValueError(f"need four positive widths and four numbers of blocks, got {self}")


class DetectorNet(nn.Module):
    """uint8 RGB pictures (batch, height, width, 3) → for each stride (batch, 15, h, w).

    Height and width must be multiples of 32. Channel 0 is the logit of the score; 1
    and 2 are the offset of the box's centre from the cell's centre in strides, 3 and
    4 the logarithms of its width and height in strides; 5 to 14 are x and y of the
    landmarks, from the cell's centre in strides.
    """

    def __init__(self, config: DetectorNetConfig) -> None:
        super().__init__()
        widths = config.widths
        # Straight to stride 4: half of the work would else be done at stride 2.
        self.stem = _conv(3, widths[0], 6, stride=4, padding=1)
        self.stages = nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(widths, config.blocks, strict=True)):
            layers: list[nn.Module] = [_Separable(widths[i - 1], width, stride=2)] if i else []
            layers += [_Residual(width) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*layers))
        size = config.features
        self.lateral = nn.ModuleList(_conv(w, size, 1, act=False) for w in widths[1:])
        self.smooth = nn.ModuleList(_Separable(size, size) for _ in STRIDES)
        self.heads = nn.ModuleList(
            nn.Sequential(_Separable(size, size), nn.Conv2d(size, CHANNELS, 1)) for _ in STRIDES
        )
        for head in self.heads:
            nn.init.normal_(head[1].weight, std=0.01)  # type: ignore[index]
            nn.init.zeros_(head[1].bias)  # type: ignore[index]
            with torch.no_grad():
                head[1].bias[0] = -4.6  # type: ignore[index]  # a score of 0.01: nearly every cell is empty
                head[1].bias[3:5] = 1.0  # type: ignore[index]  # boxes of 2.7 strides

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the cells' answers, finest grid first."""
        return self.answers((pictures.permute(0, 3, 1, 2).float() - MEAN) / SPREAD)

    def answers(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the cells' answers to centred and scaled pixels (batch, 3, height, width)."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = [lateral(x) for lateral, x in zip(self.lateral, maps[1:], strict=True)]
        for i in (1, 0):
            maps[i] = maps[i] + functional.interpolate(maps[i + 1], scale_factor=2.0)
        layers = zip(self.heads, self.smooth, maps, strict=True)
        return tuple(head(smooth(x)) for head, smooth, x in layers)


class _Separable(nn.Sequential):
    """Depthwise 3×3, then pointwise (Howard et al. 2017)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            _conv(inputs, inputs, 3, stride=stride, groups=inputs), _conv(inputs, outputs, 1)
        )


class _Residual(nn.Module):
    """x + pointwise(depthwise(x)), rectified."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = _conv(width, width, 3, groups=width)
        self.mix = _conv(width, width, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.mix(self.spatial(x)))


def _conv(
    inputs: int,
    outputs: int,
    size: int,
    stride: int = 1,
    groups: int = 1,
    act: bool = True,
    padding: int | None = None,
) -> nn.Sequential:
    kind = _StridedDepthwise if groups > 1 and stride > 1 else nn.Conv2d
    padding = size // 2 if padding is None else padding
    layers: list[nn.Module] = [
        kind(inputs, outputs, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class _StridedDepthwise(nn.Conv2d):
    """Always in float32: its gradient in bfloat16 takes a CPU three times as long."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())
