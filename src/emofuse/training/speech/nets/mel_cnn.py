"""A small convolutional net over log-mel pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.nets import NetKind
from .base import AttentiveStatistics, SpeechNetBase, check_rows, check_sizes, convolution, head


@dataclass(frozen=True, slots=True)
class MelCnnConfig:
    """Sizes of `SpeechNet`.

    Args:
        labels: number of classes.
        mels: bands of the picture, a multiple of 16.
        widths: channels of the four stages.
        embedding: width of what is pooled.
        dropout: probability of dropping a pooled statistic.
    """

    labels: int
    mels: int = 64
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    embedding: int = 192
    dropout: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_sizes(self, "labels", "mels", "widths", "embedding")
        if len(self.widths) != 4:
            raise ValueError(f"need the widths of four stages, got {self.widths}")


class SpeechNet(SpeechNetBase):
    """Residual convolutions over time and frequency, then attentive statistics pooling.

    The picture shrinks eightfold in time and sixteenfold in frequency; what is
    left of frequency is folded into channels, for where a formant lies matters.
    A learned attention weighs the moments, and their weighted mean and standard
    deviation go to the classifier (Okabe et al. 2018, arXiv:1803.10963).

    Args:
        labels: number of classes.
        mels: bands of the picture, a multiple of 16.
        widths: channels of the four stages.
        embedding: width of what is pooled; `width` is twice that.
        dropout: probability of dropping a pooled statistic.

    Raises:
        ValueError: if `mels` is not a multiple of 16.
    """

    def __init__(
        self,
        labels: int,
        mels: int = 64,
        widths: tuple[int, int, int, int] = (32, 64, 96, 128),
        embedding: int = 192,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if mels % 16:
            raise ValueError(f"mels must be a multiple of 16, got {mels}")
        a, b, c, d = widths
        self.mels = mels
        self.trunk = nn.Sequential(
            convolution(1, a, stride=(2, 2), size=5),
            convolution(a, b, stride=(2, 2)),
            _Residual(b),
            convolution(b, c, stride=(2, 2)),
            _Residual(c),
            convolution(c, d, stride=(2, 1)),
            _Residual(d),
        )
        self.fold = nn.Sequential(
            nn.Conv1d(d * (mels // 16), embedding, 1, bias=False),
            nn.BatchNorm1d(embedding),
            nn.ReLU(inplace=True),
        )
        self.pool = AttentiveStatistics(embedding)
        self.width = 2 * embedding
        self.classify = head(self.width, labels, dropout)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return embeddings (batch, width) of pictures (batch, mels, frames)."""
        maps = self.trunk(check_rows(pictures, self.mels).unsqueeze(1))
        pooled: Tensor = self.pool(self.fold(maps.flatten(1, 2)))
        return pooled


class _Residual(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]  # starts as the identity

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.body(maps))


MEL_CNN = NetKind(
    "mel-cnn",
    "residual convolutions on log-mel pictures, attentive statistics pooling",
    MelCnnConfig,
    lambda c: SpeechNet(c.labels, c.mels, c.widths, c.embedding, c.dropout),
    {"features": "logmel"},
)
