"""What joins the streams: their features side by side, one fully connected layer, a softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FusionHead(nn.Module):
    """A fully connected layer over the features of all streams.

    A missing stream's features are 0, and the layer is told which are here. In training, streams
    are dropped at random, so that it learns to do without any of them.

    Args:
        widths: number of features of each stream.
        labels: number of outputs.
        drop: probability of dropping a stream that is here, in training; one is always kept.
    """

    def __init__(self, widths: Sequence[int], labels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.widths, self.drop = tuple(widths), drop
        self.fc = nn.Linear(sum(widths) + len(widths), labels)
        self.register_buffer("centre", torch.zeros(sum(widths)))
        self.register_buffer("spread", torch.ones(sum(widths)))

    def initialize_from_data(self, features: Tensor, here: Tensor) -> None:
        """Take mean and deviation of the features of what is here.

        Args:
            features: (clips, width), 0 where a stream is missing.
            here: (clips, streams), 1 where it is here.
        """
        seen = self._wide(here)
        n = seen.sum(dim=0).clamp_min(1)
        mean = (features * seen).sum(dim=0) / n
        variance = (((features - mean) * seen) ** 2).sum(dim=0) / n
        self.centre.copy_(mean)  # type: ignore[operator]
        self.spread.copy_(variance.sqrt().clamp_min(1e-3))  # type: ignore[operator]

    def forward(self, features: Tensor, here: Tensor) -> Tensor:
        """Return logits (batch, labels) of features (batch, width) and here (batch, streams)."""
        if self.training and self.drop:
            kept = here * (torch.rand_like(here) >= self.drop)
            here = torch.where(kept.sum(dim=1, keepdim=True) > 0, kept, here)
        level = ((features - self.centre) / self.spread).clamp(-6, 6)  # type: ignore[operator]
        logits: Tensor = self.fc(torch.cat([level * self._wide(here), here], dim=1))
        return logits

    def _wide(self, here: Tensor) -> Tensor:
        """Repeat what is said of a stream for each of its features, (batch, width)."""
        parts = [here[:, i : i + 1].expand(-1, width) for i, width in enumerate(self.widths)]
        return torch.cat(parts, dim=1)
