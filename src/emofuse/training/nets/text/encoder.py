"""A small transformer encoder for sentences, with the weights of a pretrained one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError

PADDING = 0
"""Token id that fills up short rows; BERT's ``[PAD]``."""


@dataclass(frozen=True, slots=True)
class TextNetConfig:
    """Shape of `TextNet`; the defaults are those of MiniLM-L6-H384 (Wang et al. 2020).

    Args:
        labels: number of outputs.
        vocabulary: number of word pieces.
        tokens: longest input, special tokens included.
        width: size of a token's vector.
        depth: number of layers.
        heads: attention heads of a layer.
        hidden: size of the feed-forward layer.
        dropout: probability of dropping a value in training.
    """

    labels: int = 28
    vocabulary: int = 30522
    tokens: int = 64
    width: int = 384
    depth: int = 6
    heads: int = 12
    hidden: int = 1536
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got {self.width}, {self.heads}")


class TextNet(nn.Module):
    """A BERT encoder (Devlin et al. 2019), its mean over the tokens, and a linear head.

    Takes token ids, int64 (batch, tokens), short rows filled up with `PADDING`;
    gives logits (batch, labels).
    """

    def __init__(self, config: TextNetConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.tokens, config.width))
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.head = nn.Linear(config.width, config.labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits."""
        known = ids != PADDING
        # Padding is hidden from attention by a bias far below any score.
        hidden_bias = (~known)[:, None, None, :].float() * -1e4
        x = self.dropout(self.norm(self.words(ids) + self.positions[: ids.shape[1]]))
        for layer in self.layers:
            x = layer(x, hidden_bias)
        weight = known[:, :, None].to(x.dtype)
        return self.head(self.dropout((x * weight).sum(dim=1) / weight.sum(dim=1)))


class Layer(nn.Module):
    """Self-attention and a feed-forward net; each is added to its input and normalised."""

    def __init__(self, config: TextNetConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = 1 / math.sqrt(config.width // config.heads)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-12)
        self.expand = nn.Linear(config.width, config.hidden)
        self.contract = nn.Linear(config.hidden, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape; `bias` is added to attention scores."""
        x = self.attention_norm(x + self.dropout(self.attend(x, bias)))
        return self.norm(x + self.dropout(self.contract(F.gelu(self.expand(x)))))

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return multi-head self-attention of (batch, tokens, width)."""
        batch, tokens, width = x.shape
        q, k, v = (
            part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        # Written out: for short sentences on a CPU torch's fused kernel is slower.
        weights = (q @ k.transpose(2, 3) * self.scale + bias).softmax(dim=3)
        return self.out((weights.to(v.dtype) @ v).transpose(1, 2).reshape(batch, tokens, width))


class Folded(nn.Module):
    """A net whose fine labels are summed into coarse ones: logits → log probabilities.

    Args:
        net: gives logits (batch, fine labels).
        fold: share of each fine label that goes to each coarse one, (fine, coarse).
    """

    def __init__(self, net: nn.Module, fold: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("fold", fold.float())

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logarithms of the coarse labels' probabilities."""
        return (self.net(ids).softmax(dim=1) @ self.fold).clamp_min(1e-9).log()


def load_encoder(net: TextNet, path: Path) -> TextNet:
    """Copy the weights of a pretrained BERT encoder into a net; its head stays as it is.

    Args:
        net: of the encoder's shape; may take fewer tokens.
        path: ``model.safetensors`` in the layout of Hugging Face's ``BertModel``.

    Raises:
        InputError: if the file is missing or of another shape.
    """
    try:
        source = load_file(path)
        tensors = _renamed(source, len(net.layers))
        tensors["positions"] = tensors["positions"][: net.positions.shape[0]]
        net.load_state_dict(net.state_dict() | tensors)
    except (OSError, KeyError, RuntimeError) as e:
        raise InputError(f"{path} does not hold a BERT encoder of the wanted shape: {e}") from e
    return net


def _renamed(source: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Translate the names of ``BertModel``; queries, keys and values become one matrix."""
    # There is only one kind of segment here: its vector goes into the positions.
    segment = source["embeddings.token_type_embeddings.weight"][0]
    out = {
        "words.weight": source["embeddings.word_embeddings.weight"],
        "positions": source["embeddings.position_embeddings.weight"] + segment,
    }
    names = {
        "out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "expand": "intermediate.dense",
        "contract": "output.dense",
        "norm": "output.LayerNorm",
    }
    for kind in ("weight", "bias"):
        out[f"norm.{kind}"] = source[f"embeddings.LayerNorm.{kind}"]
        for i in range(depth):
            layer = f"encoder.layer.{i}"
            parts = [
                source[f"{layer}.attention.self.{p}.{kind}"] for p in ("query", "key", "value")
            ]
            out[f"layers.{i}.qkv.{kind}"] = torch.cat(parts)
            for ours, theirs in names.items():
                out[f"layers.{i}.{ours}.{kind}"] = source[f"{layer}.{theirs}.{kind}"]
    return out
