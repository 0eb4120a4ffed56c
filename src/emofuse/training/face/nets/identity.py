"""A residual net that starts from what it takes to tell people apart.

Its trunk is the face recognition net of dlib (King 2009, *Dlib-ml*, JMLR 10; the
net of 2017, 29 convolutions, trained on three million faces, public domain)
without the last of its five stages. Faces of strangers teach what a small corpus
of expressions cannot: what stays of a face under any light, pose and camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ...core.nets import NetKind
from .borrowed_norms import LEVELS_PER_DEVIATION, become_affine, calibrate_batchnorm

_STEM = 32
_WIDTHS, _BLOCKS = (32, 64, 128, 256), (3, 4, 3, 3)
_ALL_STAGES = (*zip(_WIDTHS, _BLOCKS, strict=True), (256, 1))
_MEAN, _RANGE = 114.9, 256.0  # dlib takes this mean from a picture and divides by the range


@dataclass(frozen=True, slots=True)
class IdentityNetConfig:
    """Shape of `IdentityNet`.

    Args:
        labels: number of outputs.
        enlarge: side in pixels that a face is enlarged to. dlib's net was trained
            on 150 with wide margins; a tight crop has a face of that size at 120.
        dropout: probability of dropping a pooled feature in training.
        pretrained: file of dlib's weights, see `load_dlib`; None starts from nothing.
    """

    labels: int = 8
    enlarge: int = 99
    dropout: float = 0.3
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        if self.labels < 2 or self.enlarge < 47 or not 0 <= self.dropout < 1:
            raise ValueError(f"need labels >= 2, enlarge >= 47, dropout in [0, 1), got {self}")


class IdentityNet(nn.Module):
    """dlib's residual net on standardised grey faces: (batch, 1, side, side) → logits."""

    def __init__(self, config: IdentityNetConfig) -> None:
        super().__init__()
        self.enlarge = config.enlarge
        self.width = _WIDTHS[-1]
        self.stem = nn.Conv2d(1, _STEM, 7, stride=2)
        self.norm = nn.BatchNorm2d(_STEM)
        blocks, channels = [], _STEM
        for width, count in zip(_WIDTHS, _BLOCKS, strict=True):
            for _ in range(count):
                blocks.append(_Block(channels, width))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.width, config.labels)

    def embed(self, faces: Tensor) -> Tensor:
        """Return the pooled features, (batch, 256)."""
        side = (self.enlarge, self.enlarge)
        large = F.interpolate(faces, size=side, mode="bilinear", align_corners=False)
        maps = F.max_pool2d(torch.relu(self.norm(self.stem(large))), 3, 2)
        pooled: Tensor = self.blocks(maps).mean(dim=(2, 3))
        return pooled

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits of pooled features."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits

    def forward(self, faces: Tensor) -> Tensor:
        """Return logits."""
        return self.classify(self.embed(faces))

    def initialize_from_data(self, faces: Tensor) -> None:
        """Make a net with dlib's weights trainable, from some prepared training faces."""
        calibrate_batchnorm(self, _layers(self), faces)


class _Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut without weights, which dlib's net averages and pads.

    Where the width grows the resolution is halved.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrower = outputs - inputs
        halved = self.narrower > 0
        self.first = nn.Conv2d(inputs, outputs, 3, 2 if halved else 1, padding=0 if halved else 1)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, h, w) to (batch, outputs, h', w')."""
        y = self.second_norm(self.second(torch.relu(self.first_norm(self.first(x)))))
        if self.narrower:
            x = F.avg_pool2d(x, 2)
            # Unpadded convolution and averaging differ by one row where the side is even.
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, self.narrower))
        return torch.relu(x + y)


def load_dlib(net: IdentityNet, path: Path) -> IdentityNet:
    """Copy dlib's weights into a net's trunk; its head stays as it is.

    dlib reads colour; the stem's kernels are summed over the three colours, which
    answers a grey face as the colour net would, and scaled to standardised faces.

    Args:
        net: fresh or trained.
        path: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        InputError: if the file is missing or not that net.
    """
    try:
        tensors = _tensors(path.read_bytes())
    except OSError as e:
        raise InputError(f"cannot read the weights {path}: {e}") from e
    layers = _layers(net)
    expected = [_STEM * (3 * 49 + 1)] + [c.weight.numel() + len(c.bias) for c, _ in layers[1:]]  # type: ignore[arg-type]
    if [len(t) for t in tensors[0 : 2 * len(layers) : 2]] != expected:
        raise InputError(
            f"{path} is not dlib_face_recognition_resnet_model_v1.dat: it holds "
            f"{len(tensors)} arrays of other sizes than that net's"
        )
    with torch.no_grad():
        for (convolution, norm), kernel, affine in zip(
            layers, tensors[0::2], tensors[1::2], strict=False
        ):
            _copy(convolution, norm, torch.from_numpy(kernel), torch.from_numpy(affine))
    return net


def dlib_layers(
    path: Path,
) -> tuple[list[tuple[NDArray[np.float32], NDArray[np.float32]]], NDArray[np.float32]]:
    """Read all of dlib's net, the scales behind its convolutions folded into them.

    Args:
        path: ``dlib_face_recognition_resnet_model_v1.dat``.

    Returns:
        Kernel (outputs, inputs, height, width) and bias (outputs,) of each of the 29
        convolutions, and the matrix (256, 128) that makes the embedding.

    Raises:
        InputError: if the file is missing or not that net.
    """
    try:
        tensors = _tensors(path.read_bytes())
    except OSError as e:
        raise InputError(f"cannot read the weights {path}: {e}") from e
    widths = [_STEM, *(w for w, n in _ALL_STAGES for _ in range(2 * n))]
    inputs = [3, *widths[:-1]]
    sizes = [w * (3 * 49 if i == 3 else i * 9) + w for w, i in zip(widths, inputs, strict=True)]
    expected = [x for w, size in zip(widths, sizes, strict=True) for x in (size, 2 * w)]
    if [len(t) for t in tensors] != [*expected, _WIDTHS[-1] * 128]:
        raise InputError(f"{path} is not dlib_face_recognition_resnet_model_v1.dat")
    layers = []
    for width, i, kernel, affine in zip(widths, inputs, tensors[0::2], tensors[1::2], strict=False):
        gain, shift = affine[:width], affine[width:]
        side = 7 if i == 3 else 3
        weight = kernel[:-width].reshape(width, i, side, side) * gain[:, None, None, None]
        layers.append((weight, kernel[-width:] * gain + shift))
    return layers, tensors[-1].reshape(_WIDTHS[-1], 128)


def _layers(net: IdentityNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return each convolution with the norm behind it, as dlib's file has them."""
    layers = [(net.stem, net.norm)]
    for block in net.blocks:
        assert isinstance(block, _Block)
        layers += [(block.first, block.first_norm), (block.second, block.second_norm)]
    return layers


def _copy(convolution: nn.Conv2d, norm: nn.BatchNorm2d, kernel: Tensor, affine: Tensor) -> None:
    outputs = convolution.out_channels
    weight = kernel[:-outputs].reshape(outputs, -1, *convolution.kernel_size)
    bias = kernel[-outputs:]
    if weight.shape[1] != convolution.in_channels:
        weight = weight.sum(dim=1, keepdim=True)
        bias = bias + weight.sum(dim=(1, 2, 3)) * (127.5 - _MEAN) / _RANGE
        weight = weight * LEVELS_PER_DEVIATION / _RANGE
    convolution.weight.copy_(weight)
    convolution.bias.copy_(bias)  # type: ignore[union-attr]
    become_affine(norm, affine[:outputs], affine[outputs:])


def _tensors(data: bytes) -> list[NDArray[np.float32]]:
    """Find the arrays in a file of dlib's, in order: convolutions and scales by turns.

    dlib writes a tensor as its version (2), four sizes, and little-endian floats;
    an integer is written as its number of bytes and these bytes.
    """
    found, at = [], 0
    while (at := data.find(b"\x01\x02", at)) >= 0:
        sizes, start = _integers(data, at + 2, 4)
        count = int(np.prod(sizes)) if sizes else 0
        if not 16 <= count <= (len(data) - start) // 4:
            at += 1
            continue
        values = np.frombuffer(data, "<f4", count, start)
        if not np.isfinite(values).all() or not 1e-8 < np.abs(values).mean() < 100:
            at += 1
            continue
        found.append(values.copy())
        at = start + 4 * count
    return found


def _integers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    values = []
    for _ in range(count):
        size = data[at] if at < len(data) else 0
        if not 1 <= size <= 4:
            return [], at
        value = int.from_bytes(data[at + 1 : at + 1 + size], "little")
        if not 1 <= value <= 2**24:
            return [], at
        values.append(value)
        at += 1 + size
    return values, at


def _build(config: IdentityNetConfig) -> IdentityNet:
    net = IdentityNet(config)
    return net if config.pretrained is None else load_dlib(net, config.pretrained)


IDENTITY = NetKind(
    "identity",
    "dlib's face recognition net without its last stage (King 2009), 4.4 M parameters",
    IdentityNetConfig,
    _build,
)
"""Kind of `IdentityNet`."""
