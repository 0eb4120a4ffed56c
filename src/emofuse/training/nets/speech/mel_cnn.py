"""A small convolutional net over log-mel pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpeechNet(nn.Module):
    """Residual convolutions over time and frequency, then attentive statistics pooling.

    The picture shrinks eightfold in time and sixteenfold in frequency; what is
    left of frequency is folded into channels, for where a formant lies matters.
    A learned attention weighs the moments, and their weighted mean and standard
    deviation go to the classifier (Okabe et al. 2018, arXiv:1803.10963).

    Args:
        labels: number of classes.
        mels: bands of the picture, a multiple of 16.
        widths: channels of the four stages.
        embedding: width of what is pooled.
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
        self.trunk = nn.Sequential(
            _convolution(1, a, stride=(2, 2), size=5),
            _convolution(a, b, stride=(2, 2)),
            _Residual(b),
            _convolution(b, c, stride=(2, 2)),
            _Residual(c),
            _convolution(c, d, stride=(2, 1)),
            _Residual(d),
        )
        self.fold = nn.Sequential(
            nn.Conv1d(d * (mels // 16), embedding, 1, bias=False),
            nn.BatchNorm1d(embedding),
            nn.ReLU(inplace=True),
        )
        self.pool = AttentiveStatistics(embedding)
        self.classify = nn.Sequential(
            nn.BatchNorm1d(2 * embedding), nn.Dropout(dropout), nn.Linear(2 * embedding, labels)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits (batch, labels) of pictures (batch, mels, frames)."""
        maps = self.trunk(pictures.unsqueeze(1))
        moments = self.fold(maps.flatten(1, 2))
        logits: Tensor = self.classify(self.pool(moments))
        return logits


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by learned attention per channel."""

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1)
        )

    def forward(self, moments: Tensor) -> Tensor:
        """Pool (batch, channels, time) to (batch, 2 * channels)."""
        moments = moments.float()  # a variance needs the digits
        weights = self.attend(moments).float().softmax(dim=2)
        mean = (weights * moments).sum(dim=2)
        variance = (weights * (moments - mean.unsqueeze(2)) ** 2).sum(dim=2)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


class _Residual(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        nn.init.zeros_(self.body[-1].weight)  # starts as the identity

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.body(maps))


def _convolution(
    inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), size: int = 3
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
