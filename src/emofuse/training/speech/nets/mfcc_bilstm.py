"""A bidirectional LSTM over cepstra."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.nets import NetKind
from .base import AttentivePooling, SpeechNetBase, check_rows, check_sizes, head


@dataclass(frozen=True, slots=True)
class MfccBiLstmConfig:
    """Sizes of `MfccBiLstm`.

    Args:
        labels: number of classes.
        rows: of the picture: cepstra and their deltas.
        hidden: cells of a layer, each way.
        depth: layers.
        every: frames that are averaged to one step, as neighbours say much the same.
        dropout: probability of dropping a value between layers and before the classifier.
    """

    labels: int
    rows: int = 40
    hidden: int = 96
    depth: int = 2
    every: int = 2
    dropout: float = 0.3

    def __post_init__(self) -> None:
        check_sizes(self, "labels", "rows", "hidden", "depth", "every")


class MfccBiLstm(SpeechNetBase):
    """An LSTM each way over cepstra and their deltas, then a learned weighted mean over time.

    Graves and Schmidhuber 2005 (bidirectional LSTM); the attention that weighs the
    moments is that of Mirsamadi et al. 2017 (ICASSP). Rows come in units of their
    own, so a norm learns their scales first.

    Args:
        config: its sizes.
    """

    def __init__(self, config: MfccBiLstmConfig) -> None:
        super().__init__()
        self.validation_rows, self.every = config.rows, config.every
        self.norm = nn.BatchNorm1d(config.rows)
        self.lstm = nn.LSTM(
            config.rows,
            config.hidden,
            config.depth,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.depth > 1 else 0.0,
        )
        self.width = 2 * config.hidden
        self.pool = AttentivePooling(self.width)
        self.classify = head(self.width, config.labels, config.dropout)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return embeddings (batch, width) of cepstra (batch, rows, frames)."""
        rows = self.norm(check_rows(pictures, self.validation_rows))
        slow = F.avg_pool1d(rows, self.every).transpose(1, 2)
        with torch.autocast(slow.device.type, enabled=False):  # not every CPU has a bf16 LSTM
            steps, _ = self.lstm(slow.float())
        pooled: Tensor = self.pool(steps)
        return pooled


MFCC_BILSTM = NetKind(
    "mfcc-bilstm",
    "bidirectional LSTM on cepstra with local attention (Mirsamadi et al. 2017)",
    MfccBiLstmConfig,
    MfccBiLstm,
    {"features": "mfcc", "coefficients": 20, "deltas": 1},
)
