"""What the nets that fuse have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ....fusion.config import Strategy

FAR = -1e4
"""Added to what is masked: nothing after a softmax, and still a number in any precision."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a net.

    Args:
        widths: of each modality's embedding; 0: it has none.
        labels: how many.
        width: of a modality's token.
        dropout: of tokens, in [0, 1).

    Raises:
        ValueError: if a size makes no sense.
    """

    widths: tuple[int, ...]
    labels: int = 8
    width: int = 32
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not (self.widths and self.labels > 1 and self.width >= 4 and 0 <= self.dropout < 1):
            raise ValueError(f"no net has the sizes {self}")

    @property
    def modalities(self) -> int:
        """How many."""
        return len(self.widths)


class FusionNet(nn.Module):
    """A net that fuses.

    ``forward(evidence, embeddings, quality, mask)`` takes tensors of shapes (batch,
    slots, modalities, labels), (batch, slots, embeddings), (batch, slots, modalities)
    twice, and gives logits (batch, labels) and shares (batch, modalities), which sum
    to 1. What is masked must be 0.
    """

    strategy: ClassVar[Strategy]

    slots: int = 1
    """How many slots it looks at, the last one being the one that is answered for."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.log_prior = nn.Parameter(torch.zeros(sizes.labels))
        total = max(sum(sizes.widths), 1)
        self.register_buffer("centre", torch.zeros(total))
        self.register_buffer("spread", torch.ones(total))
        # Labels that were never right in training must not be learned to be wrong.
        self.register_buffer("taught", torch.ones(sizes.labels))

    def initialize_from_data(self, embeddings: Tensor, seen: Tensor, counts: Tensor) -> None:
        """Take mean and deviation of embeddings, and the frequencies of labels, from data.

        Args:
            embeddings: (samples, embeddings), 0 where there is none.
            seen: (samples, embeddings), 1 where there is one.
            counts: how often each label is right, (labels,).
        """
        n = seen.sum(dim=0).clamp_min(1)
        mean = (embeddings * seen).sum(dim=0) / n
        variance = (((embeddings - mean) * seen) ** 2).sum(dim=0) / n
        self.centre.copy_(mean)  # type: ignore[operator]
        self.spread.copy_(variance.sqrt().clamp_min(1e-3))  # type: ignore[operator]
        self.taught.copy_((counts > 0).float())  # type: ignore[operator]
        share = counts.clamp_min(0.5) / counts.sum()
        self.log_prior.data.copy_(share.log())

    def features(self, embeddings: Tensor, mask: Tensor) -> list[Tensor | None]:
        """Return each modality's embeddings at mean 0 and deviation 1; None: it has none."""
        level = (embeddings - self.centre) / self.spread  # type: ignore[operator]
        parts = level.split([w for w in self.sizes.widths if w] or [1], dim=-1)
        found = iter(parts)
        out: list[Tensor | None] = []
        for i, width in enumerate(self.sizes.widths):
            out.append(next(found).clamp(-6, 6) * mask[..., i : i + 1] if width else None)
        return out


class Tokens(nn.Module):
    """One token a modality: of its embedding (if it has one), its evidence and quality.

    Args:
        sizes: of the net.
        evidence: whether evidence is looked at where there is an embedding.
    """

    def __init__(self, sizes: Sizes, evidence: bool = True) -> None:
        super().__init__()
        self.evidence = evidence
        insides = [w + (sizes.labels if evidence or not w else 0) + 1 for w in sizes.widths]
        self.project = nn.ModuleList(nn.Linear(inside, sizes.width) for inside in insides)
        self.norm = nn.LayerNorm(sizes.width)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(
        self, features: list[Tensor | None], evidence: Tensor, quality: Tensor, mask: Tensor
    ) -> Tensor:
        """Return tokens, (…, modalities, width); what is masked is 0."""
        tokens = []
        for i, project in enumerate(self.project):
            embedding, parts = features[i], [quality[..., i : i + 1]]
            if embedding is not None:
                parts.append(embedding)
            if self.evidence or embedding is None:
                parts.append(evidence[..., i, :] / 4)  # logarithms of ratios: of size 1 then
            tokens.append(self.drop(self.norm(project(torch.cat(parts, dim=-1)))))
        return torch.stack(tokens, dim=-2) * mask[..., None]


class Attention(nn.Module):
    """Multi-head attention of tokens to tokens (Vaswani et al. 2017), before a residual sum."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what tokens (batch, n, width) learn from those that mask (batch, n) lets."""
        batch, n, width = x.shape
        q, k, v = (
            part.reshape(batch, n, self.heads, width // self.heads).transpose(1, 2)
            for part in self.into(x).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5
        weights = (scores + FAR * (1 - mask[:, None, None, :])).softmax(dim=-1)
        out: Tensor = self.out((weights @ v).transpose(1, 2).reshape(batch, n, width))
        return out


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return softmax over the last axis among what the mask lets; uniform if that is nothing."""
    weights: Tensor = (scores + FAR * (1 - mask)).softmax(dim=-1)
    return weights
