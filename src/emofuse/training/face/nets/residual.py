"""A compact residual network for small grey faces, with one head or with two."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
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


@dataclass(frozen=True, slots=True)
class TwoHeadedConfig(FaceNetConfig):
    """Shape of `TwoHeadedFaceNet`, and how its heads become one answer.

    Args:
        primary: share of the head of the corpus' own labels in the answer.
        adjustment: how much of the training prior is taken off the other head's logits,
            0 (nothing) to 1 (as if all labels were equally frequent).

    See `FaceNetConfig` for the rest.
    """

    primary: float = 0.5
    adjustment: float = 0.0

    def __post_init__(self) -> None:
        FaceNetConfig.__post_init__(self)
        if not (0 <= self.primary <= 1 and 0 <= self.adjustment <= 1):
            raise ValueError(f"need primary and adjustment in [0, 1], got {self}")


class TwoHeadedFaceNet(FaceNet):
    """`FaceNet` that learns two labellings of the same faces, each with a head of its own.

    Two groups of people label by different standards (FER2013's one searcher, FER+'s ten
    taggers); a single head can only learn their average. In training it gives the logits
    of both, (batch, 2, labels): of the corpus' labels and of the secondary ones. Its
    answer, (batch, labels), is the logarithm of a mixture of the two distributions; the
    secondary one, whose labels are the rarer, is adjusted for the prior (Menon et al. 2021,
    arXiv:2007.07314).
    """

    def __init__(self, config: TwoHeadedConfig) -> None:
        super().__init__(replace(config, labels=2 * config.labels))
        self.primary, self.adjustment = config.primary, config.adjustment
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(2, config.labels))

    def set_priors(self, priors: NDArray[np.floating]) -> None:
        """Take the labels' frequencies in the training data, (2, labels), a row a head.

        A head never answers what its row says is never met.
        """
        prior = torch.as_tensor(priors, dtype=torch.float32)
        offset = torch.stack([torch.zeros_like(prior[0]), -self.adjustment * prior[1].log()])
        self.offset.copy_(torch.where(prior > 0, offset, -1e4))

    def forward(self, faces: Tensor) -> Tensor:
        """Return the heads' logits (batch, 2, labels) in training, else the answer."""
        return self.heads(self.embed(faces)) if self.training else super().forward(faces)

    def heads(self, embedding: Tensor) -> Tensor:
        """Return the logits of both heads, (batch, 2, labels)."""
        both = super().classify(embedding)
        return both.reshape(len(both), 2, -1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return the answer's logits (batch, labels)."""
        own, secondary = (self.heads(embedding).float() + self.offset).softmax(dim=2).unbind(1)
        return (self.primary * own + (1 - self.primary) * secondary).clamp_min(1e-9).log()


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

TWO_HEADED = NetKind(
    name="two-headed",
    title="a compact residual net for small grey faces that learns two labellings",
    config=TwoHeadedConfig,
    build=TwoHeadedFaceNet,
    preparation={"side": 48},
    heads=2,
)
"""Kind of `TwoHeadedFaceNet`."""
