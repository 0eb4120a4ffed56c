"""What the speech nets have in common: two halves, pooling over time, checks of sizes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpeechNetBase(nn.Module):
    """A net of two halves: prepared audio → embedding → logits.

    Subclasses write `embed` and set `classify` (a module) and `width`. Those with an
    encoder that is not trained say so (`frozen_encoder`): its output, which is most of the
    work, may then be cached and learned from again and again.
    """

    width: int
    """Size of the embedding."""

    frozen_encoder: bool = False
    """Whether `encode` stays the same however long the net is trained."""

    takes_encoded: bool = False
    """Whether `forward` is given the output of `encode` instead of audio."""

    classify: nn.Module
    """Turns embeddings (batch, width) into logits (batch, labels)."""

    def embed(self, sound: Tensor) -> Tensor:
        """Return embeddings (batch, width) of what `speech.recognise.prepare` makes."""
        raise NotImplementedError

    def encode(self, sound: Tensor) -> Tensor:
        """Return the encoder's output, (batch, values), before anything that is trained."""
        return self.embed(sound)

    def embed_encoded(self, encoded: Tensor) -> Tensor:
        """Turn the output of `encode` into the embedding."""
        return encoded

    def forward(self, sound: Tensor) -> Tensor:
        """Return logits (batch, labels) of what `speech.recognise.prepare` makes."""
        embedding = self.embed_encoded(sound) if self.takes_encoded else self.embed(sound)
        logits: Tensor = self.classify(embedding)
        return logits


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by learned attention per channel.

    Okabe et al. 2018, "Attentive statistics pooling for deep speaker embedding",
    arXiv:1803.10963.
    """

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


class AttentivePooling(nn.Module):
    """Mean over time, weighted by one learned attention for all channels.

    Mirsamadi et al. 2017, "Automatic speech emotion recognition using recurrent
    neural networks with local attention", ICASSP.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attend = nn.Linear(channels, 1)

    def forward(self, moments: Tensor) -> Tensor:
        """Pool (batch, time, channels) to (batch, channels)."""
        moments = moments.float()
        weights = self.attend(moments).float().softmax(dim=1)
        pooled: Tensor = (weights * moments).sum(dim=1)
        return pooled


def head(width: int, labels: int, dropout: float) -> nn.Sequential:
    """Make a linear classifier of embeddings, which it normalises first."""
    return nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(dropout), nn.Linear(width, labels))


def convolution(
    inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), size: int = 3
) -> nn.Sequential:
    """Make a 2-D convolution with norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def check_rows(picture: Tensor, rows: int) -> Tensor:
    """Return a picture (batch, rows, frames) if it has the rows that the net was made for.

    Raises:
        ValueError: if not: the net and its preparation do not fit.
    """
    if picture.ndim != 3 or picture.shape[1] != rows:
        raise ValueError(
            f"this net was made for pictures of {rows} rows, got the shape "
            f"{tuple(picture.shape)}: let its `rows` or `mels` fit the preparation's `features`"
        )
    return picture


def check_rate(rate: int) -> None:
    """Refuse a rate that a net was not pretrained at.

    Raises:
        ValueError: if it is not 16 kHz.
    """
    if rate != 16_000:
        raise ValueError(f"its weights were made for a rate of 16000 Hz, got {rate}")


def check_sizes(sizes: object, *names: str) -> None:
    """Refuse sizes that are not positive, and a `dropout` outside [0, 1).

    Raises:
        ValueError: naming the first that is wrong.
    """
    for name in names:
        value = getattr(sizes, name)
        if not all(v > 0 for v in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} must be > 0, got {value}")
    dropout = getattr(sizes, "dropout", 0.0)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}")
