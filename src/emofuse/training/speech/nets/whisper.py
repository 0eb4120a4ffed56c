"""The first layers of Whisper's encoder: an ear that knows speech, taught or left as it is.

Whisper (Radford et al. 2022, arXiv:2212.04356, MIT) has heard 680,000 hours in all
kinds of rooms. Its lower layers still hold how something was said; the upper ones
keep what was said. Taught further on a few actors of one corpus, they forget the rooms
and voices that these do not have: teach them gently, and several corpora at once, or
leave them as they are (`frozen`). Halving the tokens behind the stem halves the cost and
loses little.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ...core.nets import NetKind
from .base import SpeechNetBase, check_sizes

NATS = 9.21
"""Natural logarithm of power in one unit of the picture: the preparation's `scale`."""

_SOFTNESS = 0.5  # nats: how gently a token stops to count


@dataclass(frozen=True, slots=True)
class WhisperNetConfig:
    """Shape of `WhisperNet`; the defaults are those of whisper-base, three layers deep.

    Args:
        labels: number of outputs.
        mels: bands of the picture; Whisper's has 80.
        width: size of a token's vector.
        layers: how many of the encoder's layers are kept.
        heads: attention heads of a layer.
        positions: longest sound in tokens of 20 ms.
        merge: how many tokens behind the stem are averaged into one.
        voiced_db: tokens that are softer than the loudest by more than this do not count.
        hidden: size of the head's hidden layer, which is the embedding; 0: the head is
            linear, and what is pooled is the embedding.
        dropout: probability of dropping a value of the embedding in training; what is
            pooled is dropped half as often.
        frozen: whether only the head learns. It then sees every layer's statistics side
            by side; else those of a learned mix of the layers.
        pretrained: file of an encoder's weights, see `load_encoder`; None starts from
            nothing.

    Raises:
        ValueError: if sizes do not fit each other or a number is out of range.
    """

    labels: int = 7
    mels: int = 80
    width: int = 512
    layers: int = 3
    heads: int = 8
    positions: int = 150
    merge: int = 2
    voiced_db: float = 25.0
    hidden: int = 256
    dropout: float = 0.3
    frozen: bool = False
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "width", "layers", "merge", "labels", "voiced_db")
        if self.width % self.heads or self.hidden < 0:
            raise ValueError(f"need a width that is a multiple of heads, hidden >= 0, got {self}")


class WhisperNet(SpeechNetBase):
    """Whisper's stem and first layers; mean and deviation over what is voiced; a small head.

    Takes log-mel pictures (batch, mels, frames) with a frame each 10 ms, `NATS` to a
    unit; gives logits (batch, labels). Parameters of the encoder have Whisper's names.
    """

    def __init__(self, config: WhisperNetConfig) -> None:
        super().__init__()
        width, states = config.width, config.layers + 1
        self.frozen_encoder = config.frozen
        self.merge = config.merge
        self.softest = -config.voiced_db * math.log(10) / 10
        self.conv1 = nn.Conv1d(config.mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.positions, width)
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        # A few of Whisper's channels are hundreds of times larger than the others, and the
        # same for every sound: each is brought to one scale, or nothing is learned.
        if config.frozen:
            for parameter in self.parameters():
                parameter.requires_grad_(False)
        else:
            self.mix = nn.Parameter(torch.zeros(states))
            self.scales = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for _ in range(states))
        pooled = 2 * width * (config.layers if config.frozen else 1)
        self.norm = nn.BatchNorm1d(pooled, affine=False)
        self.hide = nn.Sequential(nn.Dropout(0.5 * config.dropout))
        if config.hidden:
            self.hide.extend(
                (nn.Linear(pooled, config.hidden), nn.BatchNorm1d(config.hidden), nn.GELU())
            )
        self.width = config.hidden or pooled
        self.classify = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(self.width, config.labels)
        )

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the hidden layer, (batch, width)."""
        return self.embed_encoded(self.encode(pictures))

    def embed_encoded(self, encoded: Tensor) -> Tensor:
        """Turn what is pooled into the embedding."""
        embedding: Tensor = self.hide(self.norm(encoded))
        return embedding

    def encode(self, pictures: Tensor) -> Tensor:
        """Return the pooled tokens, (batch, 2 * width), or of each layer if `frozen`."""
        with torch.no_grad() if self.frozen_encoder and self.training else nullcontext():
            states = [self._tokens(pictures)]
            weights = self._voiced(pictures, states[0].shape[1])
            for layer in self.layers:
                states.append(layer(states[-1]))
            if self.frozen_encoder:
                pooled = [_statistics(x.float(), weights) for x in states[1:]]
                return torch.cat(pooled, dim=1)
            return _statistics(self._mixed(states), weights)

    def _tokens(self, pictures: Tensor) -> Tensor:
        maps = F.gelu(self.conv2(F.gelu(self.conv1(pictures))))
        x = maps.transpose(1, 2)
        count = x.shape[1] // self.merge * self.merge
        x = (x + self.embed_positions.weight[: x.shape[1]])[:, :count]
        return x.reshape(x.shape[0], count // self.merge, self.merge, -1).mean(dim=2)

    def _mixed(self, states: list[Tensor]) -> Tensor:
        shares = self.mix.softmax(dim=0)
        scaled = [
            share * scale(x.float().transpose(1, 2))
            for share, scale, x in zip(shares, self.scales, states, strict=True)
        ]
        return torch.stack(scaled).sum(dim=0).transpose(1, 2)

    def _voiced(self, pictures: Tensor, tokens: int) -> Tensor:
        """How much each token counts, (batch, tokens): pauses say little, and that of the room."""
        frames = 2 * self.merge
        nats = (NATS * pictures.float())[:, :, : tokens * frames].unflatten(2, (tokens, frames))
        loudness = nats.logsumexp(dim=3).logsumexp(dim=1)
        below = loudness - loudness.amax(dim=1, keepdim=True)
        counts = ((below - self.softest) / _SOFTNESS).sigmoid()
        return counts / counts.sum(dim=1, keepdim=True)


def _statistics(x: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean and deviation of tokens (batch, tokens, width): (batch, 2 * width)."""
    mean = (weights.unsqueeze(2) * x).sum(dim=1)
    variance = (weights.unsqueeze(2) * (x - mean.unsqueeze(1)) ** 2).sum(dim=1)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


class _Layer(nn.Module):
    """A transformer layer with its norms in front, as Whisper's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = (
            project(x).view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


def load_encoder(net: WhisperNet, path: Path) -> WhisperNet:
    """Copy a Whisper encoder's stem, first positions and first layers into a net.

    Args:
        net: of the encoder's width; may have fewer layers and positions.
        path: ``model.safetensors`` of a Whisper model (names ``model.encoder.…``,
            ``encoder.…`` or without either).

    Raises:
        InputError: if the file is missing or holds no encoder of that shape.
    """
    from safetensors.torch import load_file

    try:
        tensors = {name.split("encoder.", 1)[-1]: t for name, t in load_file(path).items()}
        wanted = [k for k in net.state_dict() if k.startswith(_WHISPERS)]
        found = {k: tensors[k] for k in wanted}
        positions = found["embed_positions.weight"]
        found["embed_positions.weight"] = positions[: net.embed_positions.num_embeddings]
        net.load_state_dict(net.state_dict() | found)
    except (OSError, KeyError, ValueError, RuntimeError) as e:
        raise InputError(f"{path} does not hold a Whisper encoder of the wanted shape: {e}") from e
    return net


_WHISPERS = ("conv1.", "conv2.", "embed_positions.", "layers.")


def _build(config: WhisperNetConfig) -> WhisperNet:
    net = WhisperNet(config)
    return net if config.pretrained is None else load_encoder(net, config.pretrained)


WHISPER = NetKind(
    "whisper",
    "the first layers of Whisper's encoder (Radford et al. 2022, arXiv:2212.04356)",
    WhisperNetConfig,
    _build,
    {
        "mel": {"window": 400, "hop": 160, "mels": 80, "low": 0.0, "high": 8000.0},
        "level": "relative",
        "range_db": 40.0,
        # Speech at -20 dBFS, which Whisper was taught; at this level its pictures have the
        # mean that its own preparation gives them.
        "centre": -6.83,
        "scale": NATS,
    },
)
"""Kind of `WhisperNet`."""
