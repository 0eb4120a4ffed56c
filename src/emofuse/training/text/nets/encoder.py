"""Transformer encoders for sentences, with the weights of pretrained ones.

MiniLM and DistilBERT are both BERT encoders (Devlin et al. 2019, arXiv:1810.04805)
that were distilled from larger ones, and differ in size and in the names of their
published parameters.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ...core.nets import NetKind

PADDING = 0
"""Token id that fills up short rows; BERT's ``[PAD]``."""


@dataclass(frozen=True, slots=True)
class TextNetConfig:
    """Shape of `TextNet`; the defaults are those of MiniLM-L6-H384.

    Wang et al. 2020, arXiv:2002.10957.

    Args:
        labels: number of outputs.
        vocabulary: number of word pieces.
        tokens: longest input, special tokens included.
        width: size of a token's vector.
        depth: number of layers.
        heads: attention heads of a layer.
        hidden: size of the feed-forward layer.
        dropout: probability of dropping a value in training.
        pretrained: folder or file of a pretrained encoder to start from (see
            `load_encoder`); None: from scratch.

    Raises:
        ValueError: if the heads cannot share the width.
    """

    labels: int = 28
    vocabulary: int = 30522
    tokens: int = 64
    width: int = 384
    depth: int = 6
    heads: int = 12
    hidden: int = 1536
    dropout: float = 0.1
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got {self.width}, {self.heads}")


@dataclass(frozen=True, slots=True)
class DistilBertConfig(TextNetConfig):
    """Shape of `TextNet` with the sizes of DistilBERT (Sanh et al. 2019, arXiv:1910.01108).

    Twice as wide as MiniLM and as deep: 66 million parameters, 24 of them words.
    """

    width: int = 768
    hidden: int = 3072


class TextNet(nn.Module):
    """A BERT encoder (Devlin et al. 2019), its mean over the tokens, and a linear head.

    Takes token ids, int64 (batch, tokens), short rows filled up with `PADDING`;
    gives logits (batch, labels).
    """

    def __init__(self, config: TextNetConfig) -> None:
        super().__init__()
        self.width = config.width
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.tokens, config.width))
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.head = nn.Linear(config.width, config.labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the mean of the tokens' last states, (batch, width)."""
        known = ids != PADDING
        # Padding is hidden from attention by a bias far below any score.
        hidden_bias = (~known)[:, None, None, :].float() * -1e4
        x = self.dropout(self.norm(self.words(ids) + self.positions[: ids.shape[1]]))
        for layer in self.layers:
            x = layer(x, hidden_bias)
        weight = known[:, :, None].to(x.dtype)
        return (x * weight).sum(dim=1) / weight.sum(dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (batch, labels) of token ids (batch, tokens)."""
        return self.classify(self.embed(ids))


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


def load_encoder(net: TextNet, path: Path) -> TextNet:
    """Copy the weights of a pretrained BERT encoder into a net; its head stays as it is.

    Args:
        net: of the encoder's shape; may take fewer tokens.
        path: weights in the layout of Hugging Face's ``BertModel`` or
            ``DistilBertModel``, with or without heads for pretraining:
            ``model.safetensors``, ``pytorch_model.bin`` (tensors only, no code is
            run), or a folder that holds one of them.

    Raises:
        InputError: if the file is missing or of another shape.
    """
    try:
        file = _weights_in(path)
        source = _bare(_read(file))
        tensors = _renamed(source, len(net.layers))
        tensors["positions"] = tensors["positions"][: net.positions.shape[0]]
        net.load_state_dict(net.state_dict() | tensors)
    except _UNREADABLE as e:
        reason = f"it has no {e}" if isinstance(e, KeyError) else e
        raise InputError(
            f"{path} does not hold a BERT encoder of the wanted shape: {reason}"
        ) from e
    return net


_UNREADABLE = (
    *(OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(SafetensorError, pickle.UnpicklingError),
)
"""What reading a file of another kind or shape raises."""


def _weights_in(path: Path) -> Path:
    """Return the file with the weights: `path` itself or, in a folder, the safer format."""
    names = ("model.safetensors", "pytorch_model.bin")
    return next((path / n for n in names if (path / n).is_file()), path)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    return dict(torch.load(path, map_location="cpu", weights_only=True))


def _bare(source: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the encoder out of a checkpoint with heads; give norms of old files today's names."""
    for prefix in ("bert.", "distilbert."):
        inner = {k.removeprefix(prefix): v for k, v in source.items() if k.startswith(prefix)}
        source = inner or source
    old = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    return {_replaced(name, old): tensor for name, tensor in source.items()}


def _replaced(name: str, endings: Mapping[str, str]) -> str:
    for old, new in endings.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


_BERT = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "norm": "output.LayerNorm",
}
_DISTILBERT = {
    "q": "attention.q_lin",
    "k": "attention.k_lin",
    "v": "attention.v_lin",
    "out": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "expand": "ffn.lin1",
    "contract": "ffn.lin2",
    "norm": "output_layer_norm",
}
"""Our names of a layer's parts, and theirs."""


def _renamed(source: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Translate the names; queries, keys and values become one matrix."""
    distilled = any(name.startswith("transformer.layer.") for name in source)
    parts = _DISTILBERT if distilled else _BERT
    layers = "transformer.layer" if distilled else "encoder.layer"
    positions = source["embeddings.position_embeddings.weight"]
    if not distilled:
        # There is only one kind of segment here: its vector goes into the positions.
        positions = positions + source["embeddings.token_type_embeddings.weight"][0]
    if f"{layers}.{depth}.{parts['out']}.weight" in source:
        raise KeyError(f"end at {depth} layers: it is deeper")
    out = {"words.weight": source["embeddings.word_embeddings.weight"], "positions": positions}
    for kind in ("weight", "bias"):
        out[f"norm.{kind}"] = source[f"embeddings.LayerNorm.{kind}"]
        for i in range(depth):
            theirs = {ours: f"{layers}.{i}.{name}.{kind}" for ours, name in parts.items()}
            attention = [source[theirs.pop(p)] for p in "qkv"]
            out[f"layers.{i}.qkv.{kind}"] = torch.cat(attention)
            out |= {f"layers.{i}.{ours}.{kind}": source[name] for ours, name in theirs.items()}
    return out


def draw_weights(net: TextNet) -> TextNet:
    """Draw weights as BERT's authors do, for training from scratch: normal, deviation 0.02."""
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    nn.init.normal_(net.positions, std=0.02)
    return net


def build(config: TextNetConfig) -> TextNet:
    """Make the net, from a pretrained encoder if the config names one."""
    net = draw_weights(TextNet(config))
    return load_encoder(net, Path(config.pretrained)) if config.pretrained else net


MINILM = NetKind(
    name="minilm",
    title="MiniLM-L6-H384, a BERT encoder of 22 M parameters (Wang et al. 2020, arXiv:2002.10957)",
    config=TextNetConfig,
    build=build,
)
"""Kind of `TextNet` with MiniLM's sizes."""

DISTILBERT = NetKind(
    name="distilbert",
    title="DistilBERT, a BERT encoder of 66 M parameters (Sanh et al. 2019, arXiv:1910.01108)",
    config=DistilBertConfig,
    build=build,
)
"""Kind of `TextNet` with DistilBERT's sizes."""
