"""A recurrent net that reads a sentence in both directions and attends to what it read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.nets import NetKind
from .encoder import PADDING


@dataclass(frozen=True, slots=True)
class BiGruConfig:
    """Shape of `BiGru`.

    Args:
        labels: number of outputs.
        vocabulary: number of word pieces.
        words: size of a word piece's vector.
        hidden: size of the recurrent state, of each direction.
        attention: size of the layer that weighs the tokens.
        word_dropout: probability of hiding a whole word piece in training.
        dropout: probability of dropping a value of vectors and embedding.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 28
    vocabulary: int = 30522
    words: int = 128
    hidden: int = 128
    attention: int = 64
    word_dropout: float = 0.1
    dropout: float = 0.3

    def __post_init__(self) -> None:
        sizes = (self.vocabulary, self.words, self.hidden, self.attention)
        if self.labels < 2 or min(sizes) < 1:
            raise ValueError(f"need labels >= 2 and sizes >= 1, got {self}")
        if not (0 <= self.dropout < 1 and 0 <= self.word_dropout < 1):
            raise ValueError(f"dropout must lie in [0, 1), got {self}")


class BiGru(nn.Module):
    """Word vectors, a GRU in either direction (Cho et al. 2014, arXiv:1406.1078), attention.

    The states of all tokens are pooled by a learned attention (Yang et al. 2016,
    *Hierarchical attention networks*, NAACL). Takes token ids, int64 (batch,
    tokens), short rows filled up with `PADDING`, which changes nothing.
    """

    def __init__(self, config: BiGruConfig) -> None:
        super().__init__()
        self.width = 2 * config.hidden
        self.words = nn.Embedding(config.vocabulary, config.words, padding_idx=PADDING)
        self.word_dropout = config.word_dropout
        self.forwards = nn.GRU(config.words, config.hidden, batch_first=True)
        self.backwards = nn.GRU(config.words, config.hidden, batch_first=True)
        self.attend = nn.Sequential(
            nn.Linear(self.width, config.attention), nn.Tanh(), nn.Linear(config.attention, 1)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.width, config.labels)
        nn.init.normal_(self.words.weight, std=0.1)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the pooled states, (batch, 2 · hidden)."""
        known = ids != PADDING
        vectors = self.dropout(self._hide(self.words(ids)))
        there, _ = self.forwards(vectors)
        # A sentence is turned round within its own length, so that either GRU meets
        # padding after everything else: one bidirectional GRU would start with it.
        turned = _turned(known)
        back, _ = self.backwards(_taken(vectors, turned))
        states = torch.cat([there, _taken(back, turned)], dim=2)
        scores = self.attend(states).squeeze(2).float().masked_fill(~known, -1e4)
        weights = scores.softmax(dim=1).to(states.dtype)
        return (weights.unsqueeze(2) * states).sum(dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (batch, labels) of token ids (batch, tokens)."""
        return self.classify(self.embed(ids))

    def _hide(self, vectors: Tensor) -> Tensor:
        if not self.training or self.word_dropout == 0:
            return vectors
        kept = torch.rand(vectors.shape[:2], device=vectors.device) >= self.word_dropout
        return vectors * kept.unsqueeze(2)


def _turned(known: Tensor) -> Tensor:
    """Return the place that each token has when rows are read backwards: int64 (batch, tokens)."""
    places = torch.arange(known.shape[1], device=known.device).unsqueeze(0)
    mirrored = known.sum(dim=1, keepdim=True) - 1 - places
    return torch.where(known, mirrored, places)


def _taken(states: Tensor, places: Tensor) -> Tensor:
    """Take the states (batch, tokens, size) at places (batch, tokens)."""
    return states.gather(1, places.unsqueeze(2).expand(-1, -1, states.shape[2]))


BIGRU = NetKind(
    name="bigru",
    title="word vectors, a bidirectional GRU (Cho et al. 2014, arXiv:1406.1078) and attention",
    config=BiGruConfig,
    build=BiGru,
)
"""Kind of `BiGru`."""
