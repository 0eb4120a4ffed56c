"""A bottleneck transformer over a few seconds of all modalities' tokens.

Attention bottlenecks (Nagrani et al. 2021, "Attention bottlenecks for multimodal fusion"):
in each layer a modality's tokens attend to each other and to a few bottleneck tokens, the
only way between modalities; the bottlenecks that come out of the modalities are averaged.
Attention pooling over all tokens then weighs their evidence, as in `AttentionNet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....fusion.config import Strategy
from .base import Attention, FusionNet, Sizes, Tokens, masked_softmax

LAYERS, BOTTLENECKS = 2, 4


class TransformerNet(FusionNet):
    """Two layers of a transformer a modality, joined by four bottleneck tokens."""

    strategy = Strategy.TRANSFORMER

    slots = 6
    """Over how many slots it looks: three seconds of half a second each."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = sizes.width
        self.tokens = Tokens(sizes)
        self.kinds = nn.Parameter(0.02 * torch.randn(sizes.modalities, width))
        self.times = nn.Parameter(0.02 * torch.randn(self.slots, 1, width))
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(BOTTLENECKS, width))
        count = range(LAYERS * sizes.modalities)
        self.attend = nn.ModuleList(Attention(width) for _ in count)
        self.feed = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU()) for _ in count
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in count)
        self.ask = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.trust = nn.Parameter(torch.zeros(sizes.modalities))
        # To begin with, what was just seen counts e times as much as what is a second old.
        self.recency = nn.Parameter(torch.linspace(-(self.slots - 1) / 2, 0, self.slots))
        self.correct = nn.Linear(width, sizes.labels)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    def forward(
        self, evidence: Tensor, embeddings: Tensor, quality: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `FusionNet`."""
        batch, m = evidence.shape[0], self.sizes.modalities
        tokens = self.tokens(self.features(embeddings, mask), evidence, quality, mask)
        tokens = tokens + self.kinds + self.times  # (batch, slots, modalities, width)
        tracks = list(tokens.unbind(dim=2))
        bottlenecks = self.bottlenecks.expand(batch, -1, -1)
        here = torch.ones(batch, BOTTLENECKS, device=mask.device)
        speaks = mask.amax(dim=1)
        for layer in range(LAYERS):
            out = []
            for i in range(m):
                k = layer * m + i
                x = torch.cat((bottlenecks, tracks[i]), dim=1)
                x = x + self.attend[k](self.norms[k](x), torch.cat((here, mask[:, :, i]), dim=1))
                x = x + self.feed[k](x)
                out.append(x[:, :BOTTLENECKS])
                tracks[i] = x[:, BOTTLENECKS:]
            weights = speaks / speaks.sum(dim=1, keepdim=True).clamp_min(1)
            bottlenecks = (torch.stack(out, dim=1) * weights[:, :, None, None]).sum(dim=1)
        context = bottlenecks.mean(dim=1)
        tokens = torch.stack(tracks, dim=2)
        scores = self.score(torch.tanh(tokens + self.ask(context)[:, None, None])).squeeze(-1)
        scores = (scores + self.recency[:, None]).reshape(batch, -1)
        attention = masked_softmax(scores, mask.reshape(batch, -1)).reshape(mask.shape)
        strengths = speaks.sum(dim=1)[:, None, None] * attention * self.trust.exp()
        pooled = (strengths[..., None] * evidence).sum(dim=(1, 2))
        logits = self.log_prior + pooled + self.taught * self.correct(context)
        return logits, attention.sum(dim=1)
