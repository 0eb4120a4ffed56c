"""Cross-modal attention: what each modality weighs depends on what all of them say.

Modalities' tokens attend to each other (Tsai et al. 2019, "Multimodal transformer for
unaligned multimodal language sequences"); then attention pooling gives every one a weight
for this moment. The weights scale the modalities' evidence in a log-linear pool, to which
a small correction from the weighed tokens is added: alone, a modality starts out from its
own answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....fusion.config import Strategy
from .base import Attention, FusionNet, Sizes, Tokens, masked_softmax


class AttentionNet(FusionNet):
    """One layer of attention between modalities, then attention pooling of evidence."""

    strategy = Strategy.ATTENTION

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.tokens = Tokens(sizes)
        self.kinds = nn.Parameter(0.02 * torch.randn(sizes.modalities, sizes.width))
        self.attend = Attention(sizes.width)
        self.norm = nn.LayerNorm(sizes.width)
        self.score = nn.Linear(sizes.width, 1)
        self.trust = nn.Parameter(torch.zeros(sizes.modalities))
        self.correct = nn.Linear(sizes.width, sizes.labels)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    def forward(
        self, evidence: Tensor, embeddings: Tensor, quality: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `FusionNet`; looks at the last slot."""
        evidence, embeddings, quality, mask = (
            x[:, -1] for x in (evidence, embeddings, quality, mask)
        )
        tokens = self.tokens(self.features(embeddings, mask), evidence, quality, mask) + self.kinds
        tokens = self.norm(tokens + self.attend(tokens, mask))
        shares = masked_softmax(self.score(torch.tanh(tokens)).squeeze(-1), mask)
        strengths = mask.sum(dim=-1, keepdim=True) * shares * self.trust.exp()
        pooled = (strengths[..., None] * evidence).sum(dim=1)
        context = (shares[..., None] * tokens).sum(dim=1)
        return self.log_prior + pooled + self.taught * self.correct(context), shares
