"""Convolutions and self-attention over features made by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.nets import NetKind
from .base import AttentiveStatistics, SpeechNetBase, check_rows, check_sizes, head


@dataclass(frozen=True, slots=True)
class CnnAttentionConfig:
    """Sizes of `CnnAttention`.

    Args:
        labels: number of classes.
        rows: of the picture: cepstra, their deltas, and the 22 of `features.prosody`.
        width: channels of the convolutions; a multiple of `heads`.
        blocks: residual convolution blocks.
        heads: of the self-attention.
        dropout: probability of dropping a value.
    """

    labels: int
    rows: int = 62
    width: int = 128
    blocks: int = 3
    heads: int = 4
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_sizes(self, "labels", "rows", "width", "blocks", "heads")
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got {self.width}, {self.heads}")


class CnnAttention(SpeechNetBase):
    """Convolutions along time, each moment compared with all others, attentive pooling.

    On MFCC, chroma, spectral contrast, zero-crossing rate and pitch. Self-attention
    over the moments as in Tarantino et al. 2019, "Self-attention for speech emotion
    recognition" (Interspeech); statistics pooled as in Okabe et al. 2018.

    Args:
        config: its sizes.
    """

    def __init__(self, config: CnnAttentionConfig) -> None:
        super().__init__()
        channels = config.width
        self.validation_rows = config.rows
        self.norm = nn.BatchNorm1d(config.rows)
        self.stem = nn.Sequential(
            nn.Conv1d(config.rows, channels, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            *(_Block(channels, 2 if k == 0 else 1, config.dropout) for k in range(config.blocks))
        )
        self.attention = _SelfAttention(channels, config.heads, config.dropout)
        self.pool = AttentiveStatistics(channels)
        self.width = 2 * channels
        self.classify = head(self.width, config.labels, config.dropout)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return embeddings (batch, width) of pictures (batch, rows, frames)."""
        moments = self.blocks(self.stem(self.norm(check_rows(pictures, self.validation_rows))))
        moments = self.attention(moments.transpose(1, 2)).transpose(1, 2)
        pooled: Tensor = self.pool(moments)
        return pooled


class _Block(nn.Module):
    """Two convolutions along time beside an identity; the first block halves the moments."""

    def __init__(self, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.stride = stride
        self.body = nn.Sequential(
            nn.Conv1d(channels, channels, 5, stride=stride, padding=2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout / 2),
            nn.Conv1d(channels, channels, 5, padding=2, bias=False),
            nn.BatchNorm1d(channels),
        )

    def forward(self, moments: Tensor) -> Tensor:
        kept = F.avg_pool1d(moments, self.stride, ceil_mode=True) if self.stride > 1 else moments
        return torch.relu(kept + self.body(moments))


class _SelfAttention(nn.Module):
    """Multi-head attention of each moment to all (Vaswani et al. 2017), added to it."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(channels)
        self.three = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, moments: Tensor) -> Tensor:
        """Attend over (batch, time, channels)."""
        three = self.three(self.norm(moments)).unflatten(2, (3, self.heads, -1))
        query, key, value = three.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        answer: Tensor = moments + self.out(seen.transpose(1, 2).flatten(2))
        return answer


CNN_ATTENTION = NetKind(
    "cnn-attention",
    "convolutions and self-attention on MFCC, chroma, contrast, zero crossings and pitch",
    CnnAttentionConfig,
    CnnAttention,
    {"features": "handcrafted", "coefficients": 20, "deltas": 1},
)
