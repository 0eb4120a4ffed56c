"""Convolutions over log-mel pictures, then an LSTM over time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ...core.nets import NetKind
from .base import SpeechNetBase, check_rows, check_sizes, head


@dataclass(frozen=True, slots=True)
class CnnLstmConfig:
    """Sizes of `CnnLstm`.

    Args:
        labels: number of classes.
        mels: bands of the picture, a multiple of 16.
        widths: channels of the four blocks.
        hidden: cells of the LSTM.
        dropout: probability of dropping a value before the classifier.
    """

    labels: int
    mels: int = 64
    widths: tuple[int, int, int, int] = (32, 48, 64, 96)
    hidden: int = 160
    dropout: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_sizes(self, "labels", "mels", "widths", "hidden")
        if len(self.widths) != 4 or self.mels % 16:
            raise ValueError(f"need the widths of four blocks and mels in 16s, got {self}")


class CnnLstm(SpeechNetBase):
    """Four local feature learning blocks, then what an LSTM remembers at the end.

    Zhao, Mao and Chen 2019, "Speech emotion recognition using deep 1D & 2D CNN LSTM
    networks" (Biomedical Signal Processing and Control 47): each block is a
    convolution, a norm, an ELU and max pooling.

    Args:
        config: its sizes.
    """

    def __init__(self, config: CnnLstmConfig) -> None:
        super().__init__()
        a, b, c, d = config.widths
        self.mels = config.mels
        self.blocks = nn.Sequential(
            _block(1, a, (2, 2)), _block(a, b, (2, 2)), _block(b, c, (2, 2)), _block(c, d, (2, 1))
        )
        self.lstm = nn.LSTM(d * (config.mels // 16), config.hidden, batch_first=True)
        self.width = config.hidden
        self.classify = head(self.width, config.labels, config.dropout)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return embeddings (batch, width) of pictures (batch, mels, frames)."""
        maps = self.blocks(check_rows(pictures, self.mels).unsqueeze(1))
        steps, _ = self.lstm(maps.flatten(1, 2).transpose(1, 2))
        last: Tensor = steps[:, -1].float()
        return last


def _block(inputs: int, outputs: int, pool: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ELU(inplace=True),
        nn.MaxPool2d(pool),
    )


CNN_LSTM = NetKind(
    "cnn-lstm",
    "four convolution blocks and an LSTM on log-mel pictures (Zhao et al. 2019)",
    CnnLstmConfig,
    CnnLstm,
    {"features": "logmel"},
)
