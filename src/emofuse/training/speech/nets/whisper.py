"""The first layers of Whisper's encoder: an ear that knows speech, taught or left as it is.

Whisper (Radford et al. 2022, arXiv:2212.04356, MIT) has heard 680,000 hours in all
kinds of rooms. Its lower layers still hold how something was said; the upper ones
keep what was said. Taught further on a few actors (`WhisperNet`), they know these
actors' studios better, and forget the rooms and voices that these do not have: what
only a small head learned from one corpus (`WhisperProbe`) served far better on another.
Halving the tokens behind the stem halves the cost and loses little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ...core.nets import NetKind
from .base import AttentiveStatistics, SpeechNetBase

NATS = 9.21
"""Natural logarithm of power in one unit of the picture: the preparation's `scale`."""

_SOFTNESS = 0.5  # nats: how gently a token stops to count


@dataclass(frozen=True, slots=True)
class WhisperNetConfig:
    """Shape of `WhisperNet`; the defaults are those of whisper-tiny, two layers deep.

    Args:
        labels: number of outputs.
        mels: bands of the picture; Whisper's has 80.
        width: size of a token's vector.
        layers: how many of the encoder's layers are kept.
        heads: attention heads of a layer.
        positions: longest sound in tokens of 20 ms.
        merge: how many tokens behind the stem are averaged into one.
        dropout: probability of dropping a value in training.
        pretrained: file of an encoder's weights, see `load_encoder`; None starts from
            nothing.

    Raises:
        ValueError: if sizes do not fit each other.
    """

    labels: int = 7
    mels: int = 80
    width: int = 384
    layers: int = 2
    heads: int = 6
    positions: int = 400
    merge: int = 2
    dropout: float = 0.2
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        if self.width % self.heads or min(self.layers, self.merge, self.labels) < 1:
            raise ValueError(
                f"need a width that is a multiple of heads, layers and merge >= 1, got {self}"
            )


@dataclass(frozen=True, slots=True)
class WhisperProbeConfig(WhisperNetConfig):
    """Shape of `WhisperProbe`.

    Args:
        dropout: probability of dropping a hidden value in training; values of the
            embedding are dropped less than half as often.
        voiced_db: tokens that are softer than the loudest by more than this do not count.
        hidden: size of the head's hidden layer; 0: the head is linear.

    See `WhisperNetConfig` for the rest.

    Raises:
        ValueError: if sizes do not fit each other or a number is out of range.
    """

    dropout: float = 0.5
    voiced_db: float = 25.0
    hidden: int = 256

    def __post_init__(self) -> None:
        WhisperNetConfig.__post_init__(self)
        if not (self.voiced_db > 0 and self.hidden >= 0 and 0 <= self.dropout < 1):
            raise ValueError(f"need voiced_db > 0, hidden >= 0 and dropout in [0, 1), got {self}")


class _WhisperEar(SpeechNetBase):
    """Stem and first layers, whose parameters have Whisper's names."""

    def __init__(self, config: WhisperNetConfig, dropout: float) -> None:
        super().__init__()
        width = config.width
        self.merge = config.merge
        self.conv1 = nn.Conv1d(config.mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.positions, width)
        self.layers = nn.ModuleList(
            _Layer(width, config.heads, dropout) for _ in range(config.layers)
        )

    def _tokens(self, pictures: Tensor) -> Tensor:
        maps = F.gelu(self.conv2(F.gelu(self.conv1(pictures))))
        x = maps.transpose(1, 2)
        count = x.shape[1] // self.merge * self.merge
        # The last positions: those the weights met with the end of a sound.
        x = (x + self.embed_positions.weight[-x.shape[1] :])[:, :count]
        return x.reshape(x.shape[0], count // self.merge, self.merge, -1).mean(dim=2)


class WhisperNet(_WhisperEar):
    """Whisper's stem and first layers, a learned mix of them, attentive statistics pooling.

    Takes log-mel pictures (batch, mels, frames) with a frame each 10 ms; gives
    logits (batch, labels). Everything learns.
    """

    def __init__(self, config: WhisperNetConfig) -> None:
        super().__init__(config, config.dropout / 2)
        width = config.width
        self.width = 2 * width
        self.mix = nn.Parameter(torch.zeros(config.layers + 1))
        # A few of Whisper's channels are hundreds of times larger than the others, and the
        # same for every sound: each channel is brought to one scale, or nothing is learned.
        self.scales = nn.ModuleList(
            nn.BatchNorm1d(width, affine=False) for _ in range(config.layers + 1)
        )
        self.pool = AttentiveStatistics(width)
        self.norm = nn.BatchNorm1d(self.width)
        self.classify = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(self.width, config.labels)
        )

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the pooled tokens, (batch, 2 * width)."""
        x = self._tokens(pictures)
        seen = [x]
        for layer in self.layers:
            x = layer(x)
            seen.append(x)
        share = self.mix.softmax(dim=0)
        mixed = share[0] * self.scales[0](seen[0].float().transpose(1, 2))
        for i in range(1, len(seen)):
            mixed = mixed + share[i] * self.scales[i](seen[i].float().transpose(1, 2))
        pooled: Tensor = self.norm(self.pool(mixed))
        return pooled


class WhisperProbe(_WhisperEar):
    """Whisper's stem and first layers; mean and deviation of every layer over what is voiced.

    Takes log-mel pictures (batch, mels, frames) with a frame each 10 ms, `NATS` to a
    unit; gives logits (batch, labels). Only the head learns.
    """

    def __init__(self, config: WhisperProbeConfig) -> None:
        super().__init__(config, dropout=0.0)
        self.width = 2 * config.layers * config.width
        self.softest = -config.voiced_db * math.log(10) / 10
        self.frozen_encoder = True
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        # A few of Whisper's channels are hundreds of times larger than the others, and the
        # same for every sound: each is brought to one scale, or nothing is learned.
        self.norm = nn.BatchNorm1d(self.width, affine=False)
        self.classify = _head(self.width, config)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the pooled tokens, each value at one scale, (batch, 2 * layers * width)."""
        return self.embed_encoded(self.encode(pictures))

    def embed_encoded(self, encoded: Tensor) -> Tensor:
        """Bring each value to one scale."""
        normalised: Tensor = self.norm(encoded)
        return normalised

    def encode(self, pictures: Tensor) -> Tensor:
        """Return the pooled tokens, (batch, 2 * layers * width)."""
        with torch.no_grad() if self.training else nullcontext():
            x = self._tokens(pictures)
            weights = self._voiced(pictures, x.shape[1])
            pooled = []
            for layer in self.layers:
                x = layer(x)
                pooled.append(_statistics(x.float(), weights))
        return torch.cat(pooled, dim=1)

    def _voiced(self, pictures: Tensor, tokens: int) -> Tensor:
        """How much each token counts, (batch, tokens): pauses say little, and that of the room."""
        frames = 2 * self.merge
        nats = (NATS * pictures.float())[:, :, : tokens * frames].unflatten(2, (tokens, frames))
        loudness = nats.logsumexp(dim=3).logsumexp(dim=1)
        below = loudness - loudness.amax(dim=1, keepdim=True)
        counts = ((below - self.softest) / _SOFTNESS).sigmoid()
        return counts / counts.sum(dim=1, keepdim=True)


def _head(width: int, config: WhisperProbeConfig) -> nn.Sequential:
    """Make a perceptron of one hidden layer, or of none."""
    layers: list[nn.Module] = [nn.Dropout(0.4 * config.dropout)]
    if config.hidden:
        layers += [
            nn.Linear(width, config.hidden),
            nn.BatchNorm1d(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
        ]
    return nn.Sequential(*layers, nn.Linear(config.hidden or width, config.labels))


def _statistics(x: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean and deviation of tokens (batch, tokens, width): (batch, 2 * width)."""
    mean = (weights.unsqueeze(2) * x).sum(dim=1)
    variance = (weights.unsqueeze(2) * (x - mean.unsqueeze(1)) ** 2).sum(dim=1)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


class _Layer(nn.Module):
    """A transformer layer with its norms in front, as Whisper's."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x)))
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


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


def load_encoder(net: _WhisperEar, path: Path) -> _WhisperEar:
    """Copy a Whisper encoder's stem, positions and first layers into a net.

    Args:
        net: of the encoder's width; may have fewer layers and positions.
        path: ``model.safetensors`` of a Whisper model (names ``model.encoder.…`` or
            ``encoder.…``), or an ONNX file of an encoder that keeps Whisper's
            parameter names, its weights possibly as integers with scales.

    Raises:
        InputError: if the file is missing or holds no encoder of that shape.
    """
    try:
        tensors = _of_onnx(path) if path.suffix == ".onnx" else _of_safetensors(path)
        wanted = {k: v for k, v in net.state_dict().items() if _is_whispers(k)}
        found = {k: tensors[k] for k in wanted}
        found["embed_positions.weight"] = found["embed_positions.weight"][
            -net.embed_positions.num_embeddings :
        ]
        net.load_state_dict(net.state_dict() | found)
    except (OSError, KeyError, ValueError, RuntimeError) as e:
        raise InputError(f"{path} does not hold a Whisper encoder of the wanted shape: {e}") from e
    return net


def _is_whispers(name: str) -> bool:
    return name.startswith(("conv1.", "conv2.", "embed_positions.", "layers."))


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return {name.split("encoder.", 1)[-1]: t.float() for name, t in load_file(path).items()}


def _of_onnx(path: Path) -> dict[str, Tensor]:
    """Read an encoder back from a graph: matrices carry the name of the bias that follows them."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def constant(name: str) -> Any:
        node = makers.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return values.get(name)
        return _dequantised(node, values) if node.input[0] in values else None

    def bias_behind(name: str) -> str | None:
        for user in users.get(name, []):
            if user.op_type == "Add":
                return next((i for i in user.input if i in values), None)
            if user.op_type in ("QuantizeLinear", "DequantizeLinear"):
                return bias_behind(user.output[0])
        return None

    named = {k: v for k, v in values.items() if k.endswith((".weight", ".bias"))}
    tensors = {k.split("encoder.", 1)[-1]: v for k, v in named.items()}
    keys = 0
    for node in graph.node:
        weight = constant(node.input[1]) if node.op_type in ("Conv", "MatMul") else None
        if weight is None or node.input[1] in named:
            continue
        if node.op_type == "Conv":
            stem = "conv2" if weight.shape[0] == weight.shape[1] else "conv1"
            tensors |= {f"{stem}.weight": weight, f"{stem}.bias": constant(node.input[2])}
        elif bias := bias_behind(node.output[0]):
            name = bias.split("encoder.", 1)[-1].removesuffix(".bias")
            tensors[f"{name}.weight"] = weight.T
        elif weight.ndim == 2 and weight.shape[0] == weight.shape[1]:  # keys alone have no bias
            tensors[f"layers.{keys}.self_attn.k_proj.weight"] = weight.T
            keys += 1
    return {k: torch.from_numpy(np.array(v, np.float32)) for k, v in tensors.items()}


def _dequantised(node: Any, values: Mapping[str, Any]) -> Any:
    whole = values[node.input[0]].astype(np.float32)
    scale = np.asarray(values[node.input[1]], np.float32)
    zero = np.asarray(values[node.input[2]] if len(node.input) > 2 else 0, np.float32)
    if scale.size > 1:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if i == axis % whole.ndim else 1 for i in range(whole.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.size > 1 else zero
    return (whole - zero) * scale


def _build(config: WhisperNetConfig) -> _WhisperEar:
    net = WhisperProbe(config) if isinstance(config, WhisperProbeConfig) else WhisperNet(config)
    return net if config.pretrained is None else load_encoder(net, config.pretrained)


_PREPARATION = {
    "mel": {"window": 400, "hop": 160, "mels": 80, "low": 0.0, "high": 8000.0},
    "level": "relative",
    # Trained with 60 dB on one corpus, a net failed on another that is cleaner recorded;
    # whether the noise floor deceived it, and 40 dB is enough, has not been measured.
    "range_db": 40.0,
    "centre": -11.43,
    "scale": NATS,
}
"""Pictures of the level that Whisper knows."""

WHISPER = NetKind(
    "whisper",
    "the first layers of Whisper's encoder (Radford et al. 2022, arXiv:2212.04356)",
    WhisperNetConfig,
    _build,
    _PREPARATION,
)
"""Kind of `WhisperNet`."""

PROBE = NetKind(
    "whisper-probe",
    "a small head on the first layers of Whisper's encoder, which are left as they are",
    WhisperProbeConfig,
    _build,
    _PREPARATION,
)
"""Kind of `WhisperProbe`."""
