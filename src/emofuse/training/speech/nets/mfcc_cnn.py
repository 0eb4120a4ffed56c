"""A one-dimensional convolutional net over cepstra."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...core.nets import NetKind
from .base import SpeechNetBase, check_rows, check_sizes, head


@dataclass(frozen=True, slots=True)
class MfccCnnConfig:
    """Sizes of `MfccCnn`.

    Args:
        labels: number of classes.
        rows: of the picture: cepstra and their deltas.
        widths: channels of each stage; each halves the frames.
        size: frames that a kernel spans, odd.
        dropout: probability of dropping a value after each stage (half of it) and
            before the classifier.
    """

    labels: int
    rows: int = 40
    widths: tuple[int, ...] = (128, 128, 192, 256)
    size: int = 5
    dropout: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_sizes(self, "labels", "rows", "widths", "size")
        if not self.widths or self.size % 2 == 0:
            raise ValueError(f"need at least one stage and an odd size, got {self}")


class MfccCnn(SpeechNetBase):
    """Convolutions along time, with cepstra as channels, then mean and deviation over time.

    In the manner of Issa et al. 2020, "Speech emotion recognition with deep
    convolutional neural networks" (Biomedical Signal Processing and Control 59),
    but over the frames instead of over their averages.

    Args:
        config: its sizes.
    """

    def __init__(self, config: MfccCnnConfig) -> None:
        super().__init__()
        self.validation_rows = config.rows
        self.norm = nn.BatchNorm1d(config.rows)
        sizes = (config.rows, *config.widths)
        self.stages = nn.Sequential(
            *(_stage(a, b, config.size, config.dropout / 2) for a, b in pairwise(sizes))
        )
        self.width = 2 * sizes[-1]
        self.classify = head(self.width, config.labels, config.dropout)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return embeddings (batch, width) of cepstra (batch, rows, frames)."""
        moments = self.stages(self.norm(check_rows(pictures, self.validation_rows))).float()
        mean = moments.mean(dim=2, keepdim=True)
        variance = ((moments - mean) ** 2).mean(dim=2)
        return torch.cat([mean.squeeze(2), (variance + 1e-5).sqrt()], dim=1)


def _stage(inputs: int, outputs: int, size: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, size, padding=size // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(2),
        nn.Dropout(dropout),
    )


MFCC_CNN = NetKind(
    "mfcc-cnn",
    "1-D convolutions on cepstra (after Issa et al. 2020)",
    MfccCnnConfig,
    MfccCnn,
    {"features": "mfcc", "coefficients": 20, "deltas": 1},
)
