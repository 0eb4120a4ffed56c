"""Feature-level fusion: embeddings side by side, then a perceptron.

Each modality's part of the first layer is weighed by a gate that sees all of them, as in
the gated multimodal unit (Arevalo et al. 2017, "Gated multimodal units for information
fusion"): the layer then does without what is missing, and the gates say who had the say.
A modality without embedding gives its scores instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....fusion.config import Strategy
from .base import FAR, FusionNet, Sizes, Tokens, masked_softmax


class FeatureNet(FusionNet):
    """Gated embeddings, one hidden layer, logits."""

    strategy = Strategy.FEATURE

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.tokens = Tokens(sizes, evidence=False)
        self.gate = nn.Linear(sizes.width, 1)
        self.hidden = nn.Linear(sizes.width, sizes.width)
        self.answer = nn.Linear(sizes.width, sizes.labels)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(
        self, evidence: Tensor, embeddings: Tensor, quality: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `FusionNet`; looks at the last slot."""
        evidence, embeddings, quality, mask = (
            x[:, -1] for x in (evidence, embeddings, quality, mask)
        )
        tokens = self.tokens(self.features(embeddings, mask), evidence, quality, mask)
        shares = masked_softmax(self.gate(torch.tanh(tokens)).squeeze(-1), mask)
        present = mask.sum(dim=-1, keepdim=True)
        summed = present * (shares[..., None] * tokens).sum(dim=1)
        logits = self.answer(self.drop(torch.relu(self.hidden(torch.relu(summed)))))
        return logits + self.log_prior + FAR * (1 - self.taught), shares  # type: ignore[operator]
