"""Hybrid fusion: feature-level and score-level results combined.

The logits are a weighed sum of a `FeatureNet`'s and of a log-linear pool's; the rolling
history over slots is the fuser's (`fusion.learned.HybridFuser`). A label that only the
scores know is left to these.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....fusion.config import Strategy
from .base import FusionNet, Sizes
from .feature import FeatureNet


class HybridNet(FusionNet):
    """A feature net and a log-linear pool with learned weights, side by side."""

    strategy = Strategy.HYBRID

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.inner = FeatureNet(sizes)
        self.trust = nn.Parameter(torch.zeros(sizes.modalities))
        self.mix = nn.Parameter(torch.tensor(-1.0))

    def initialize_from_data(self, embeddings: Tensor, seen: Tensor, counts: Tensor) -> None:
        """See `FusionNet.initialize_from_data`."""
        super().initialize_from_data(embeddings, seen, counts)
        self.inner.initialize_from_data(embeddings, seen, counts)

    def forward(
        self, evidence: Tensor, embeddings: Tensor, quality: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `FusionNet`; looks at the last slot."""
        features, gates = self.inner(evidence, embeddings, quality, mask)
        evidence, quality, mask = (x[:, -1] for x in (evidence, quality, mask))
        strengths = mask * quality * self.trust.exp()
        scores = self.log_prior + (strengths[..., None] * evidence).sum(dim=1)
        mix = self.mix.sigmoid() * self.taught  # type: ignore[operator]
        logits = mix * (features * self.taught) + (1 - mix) * scores
        total = strengths.sum(dim=-1, keepdim=True)
        of_scores = torch.where(total > 1e-6, strengths / total.clamp_min(1e-6), gates)
        share = self.mix.sigmoid()
        return logits, share * gates + (1 - share) * of_scores
