"""emotion2vec+ base as an ONNX graph, of its published checkpoint: `models pull` asks.

Ma et al. 2024, emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation
(ACL Findings); the net is data2vec 2.0's (Baevski et al. 2023). Names of the modules are those
of the checkpoint, of which tensors alone are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError
from ..models.card import Card
from .hub import read_tensors, write_graph

_CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))  # kernel, stride


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the net; the defaults are those of emotion2vec+ base.

    Args:
        width: of the transformer.
        features: channels of the convolutions.
        heads: of attention.
        before: blocks of the audio encoder.
        depth: blocks after it.
        extra: tokens put before the sound.
        positions: convolutions that tell positions.
        groups: of these.
    """

    width: int = 768
    features: int = 512
    heads: int = 12
    before: int = 4
    depth: int = 8
    extra: int = 10
    positions: int = 5
    groups: int = 16

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Sizes:
        """Read the sizes from a checkpoint's tensors.

        Raises:
            KeyError: if it lacks one that tells a size.
        """
        audio = "modality_encoders.AUDIO."
        features, width = state[f"{audio}project_features.2.weight"].shape[::-1]
        kernel = state[f"{audio}relative_positional_encoder.1.0.weight"]
        return cls(
            width=width,
            features=features,
            heads=state[f"{audio}alibi_scale"].shape[-3],
            before=_count(state, f"{audio}context_encoder.blocks."),
            depth=_count(state, "blocks."),
            extra=state[f"{audio}extra_tokens"].shape[1],
            positions=_count(state, f"{audio}relative_positional_encoder."),
            groups=width // kernel.shape[1],
        )


class Emotion2vec(nn.Module):
    """From waveforms, (batch, samples) at 16 kHz of mean 0 and deviation 1, to logits.

    Args:
        sizes: of the net.
        labels: number of them.
    """

    def __init__(self, sizes: Sizes, labels: int) -> None:
        super().__init__()
        self.modality_encoders = nn.ModuleDict({"AUDIO": _Audio(sizes)})
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))
        self.proj = nn.Linear(sizes.width, labels)
        self._extra = sizes.extra

    def forward(self, waveform: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        x, bias = self.modality_encoders["AUDIO"](waveform)
        for block in self.blocks:
            x = block(x, bias)
        logits: Tensor = self.proj(x[:, self._extra :].mean(dim=1))
        return logits


class _Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(-2, -1)


class _Convolutions(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(1 if i == 0 else width, width, kernel, stride, bias=False),
                nn.Identity(),
                nn.Sequential(_Transposed(), nn.LayerNorm(width), _Transposed()),
                nn.GELU(),
            )
            for i, (kernel, stride) in enumerate(_CONVOLUTIONS)
        )

    def forward(self, waveform: Tensor) -> Tensor:
        x = waveform[:, None]
        for layer in self.conv_layers:
            x = layer(x)
        return x


class _Position(nn.Sequential):
    """A convolution that tells where in the sound a frame is; its norm has no weights."""

    def __init__(self, width: int, groups: int, kernel: int) -> None:
        super().__init__(nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=groups))

    def forward(self, x: Tensor) -> Tensor:
        x = self[0](x).transpose(1, 2)
        return F.gelu(F.layer_norm(x, x.shape[-1:]).transpose(1, 2))


class _Audio(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, kernel = sizes.width, max(3, 95 // sizes.positions)
        self.local_encoder = _Convolutions(sizes.features)
        self.project_features = nn.Sequential(
            _Transposed(), nn.LayerNorm(sizes.features), nn.Linear(sizes.features, width)
        )
        positions = (_Position(width, sizes.groups, kernel) for _ in range(sizes.positions))
        self.relative_positional_encoder = nn.Sequential(_Transposed(), *positions, _Transposed())
        self.context_encoder = _Context(sizes)
        self.extra_tokens = nn.Parameter(torch.zeros(1, sizes.extra, width))
        self.alibi_scale = nn.Parameter(torch.ones(1, 1, sizes.heads, 1, 1))
        self.slopes: Tensor
        self.register_buffer("slopes", torch.tensor(_slopes(sizes.heads)), persistent=False)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames, (batch, extra + frames, width), and what attention adds to them."""
        x = self.project_features(self.local_encoder(waveform))
        x = x + self.relative_positional_encoder(x)
        at = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
        distance = -(at[None, :] - at[:, None]).abs()
        bias = self.slopes[:, None, None] * distance * self.alibi_scale.clamp_min(0)[0]
        extra = self.extra_tokens.shape[1]
        bias = F.pad(bias, (extra, 0, extra, 0))
        x = torch.cat((self.extra_tokens.expand(len(x), -1, -1), x), dim=1)
        return self.context_encoder(x, bias), bias


class _Context(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.width)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.before))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, bias)
        return x


class _Attention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, frames, width = x.shape
        parts = self.qkv(x).reshape(batch, frames, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads) + bias
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, frames, width)
        out: Tensor = self.proj(mixed)
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.attn, self.mlp = _Attention(sizes), _Mlp(sizes.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x, bias))
        out: Tensor = self.norm2(x + self.mlp(x))
        return out


def _slopes(heads: int) -> list[float]:
    """Attention's slopes over distance (Press et al. 2022, ALiBi), for any number of heads."""
    power = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return first if power == heads else first + _slopes(2 * power)[0::2][: heads - power]


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    rest = (key.removeprefix(prefix) for key in state if key.startswith(prefix))
    return len({key.split(".")[0] for key in rest})


def convert(card: Card, files: Mapping[str, Path], out: Path) -> None:
    """Make the ONNX graph of a checkpoint.

    Args:
        card: its labels.
        files: role ``checkpoint``: ``model.pt``.
        out: where the graph goes.

    Raises:
        ModelError: if it is no such checkpoint, or the graph answers otherwise.
    """
    try:
        state = read_tensors(files["checkpoint"])
        net = Emotion2vec(Sizes.of_state(state), len(card.taxonomy))
        missing, _ = net.load_state_dict(state, strict=False)  # its decoder is for pretraining
        if missing:
            raise ValueError(f"it has no weights for {', '.join(missing[:3])}")
    except (KeyError, ValueError, RuntimeError, OSError) as e:
        raise ModelError(
            f"{files['checkpoint'].name} of {card.id!r} is not what its card describes: "
            f"{str(e).splitlines()[0]}"
        ) from e
    write_graph(card, net, out)
