"""MobileNet (Howard et al. 2017, arXiv:1704.04861) that starts from knowing faces.

Its weights can come from a MobileNet that learnt people, ages and sexes on VGGFace2
(Savchenko 2019, *Efficient facial representations for age, gender and identity
recognition in organizing photo albums using multi-output ConvNet*, PeerJ CS 5:e197;
Apache-2.0). A net that classifies people keeps more of how a face looks at the
moment than one that was taught to tell them apart by distance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ...core.nets import NetKind
from .base import FaceNetBase, check_head, pool
from .calibrate_norms import LEVELS_PER_DEVIATION, become_affine, settle_norms

_STEM = 32
_BLOCKS = (
    # channels, stride
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)


@dataclass(frozen=True, slots=True)
class MobileNetV1Config:
    """Shape of `MobileNetV1`.

    Args:
        labels: number of outputs.
        channels: of the faces; grey (1) is all that the weights are known to do.
        enlarge: side in pixels that a face is enlarged to; published at 224.
        blocks: how many of the thirteen blocks are kept; eleven see the face at a
            sixteenth of its size, thirteen at a thirty-second.
        dropout: probability of dropping a pooled feature in training.
        pretrained: ``faceres-deep.json`` with its ``.bin`` beside it, see
            `load_faceres`; None starts from nothing.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    channels: int = 1
    enlarge: int = 104
    blocks: int = 11
    dropout: float = 0.2
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        check_head(self.labels, self.dropout)
        if self.enlarge < 32 or not 1 <= self.blocks <= len(_BLOCKS):
            raise ValueError(
                f"need enlarge >= 32 and 1 to {len(_BLOCKS)} blocks, got "
                f"{self.enlarge}, {self.blocks}"
            )


class MobileNetV1(FaceNetBase):
    """Filters per channel and 1×1 convolutions by turns, then an average.

    Takes standardised faces (batch, channels, side, side); gives logits (batch, labels).
    """

    HEAD = ("head.",)

    def __init__(self, config: MobileNetV1Config) -> None:
        kept = _BLOCKS[: config.blocks]
        super().__init__(config.channels, kept[-1][0])
        self.enlarge = config.enlarge
        layers, inputs = [_Layer(config.channels, _STEM, 3, 2)], _STEM
        for outputs, stride in kept:
            layers += [_Layer(inputs, inputs, 3, stride, groups=inputs), _Layer(inputs, outputs, 1)]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.width, config.labels)

    def embed(self, faces: Tensor) -> Tensor:
        """Return the pooled features, (batch, width)."""
        side = (self.enlarge, self.enlarge)
        large = F.interpolate(self.check(faces), size=side, mode="bilinear", align_corners=False)
        return pool(self.layers(large))

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits

    def initialize_from_data(self, faces: Tensor) -> None:
        """Make a net with borrowed weights trainable, from some prepared training faces."""
        settle_norms(self, _convolutions(self), faces)


class _Layer(nn.Module):
    """Convolution, norm, ReLU6; padded as TensorFlow does ("same")."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, h, w) to (batch, outputs, h', w')."""
        return F.relu6(self.norm(self._filter(self._pad(x))))

    def _pad(self, x: Tensor) -> Tensor:
        size, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        if size == 1:
            return x
        if stride == 1:
            return F.pad(x, (1, 1, 1, 1))
        top, left = x.shape[2] % 2, x.shape[3] % 2  # where the side is even, at the end alone
        return F.pad(x, (left, 1, top, 1))

    def _filter(self, x: Tensor) -> Tensor:
        if self.training and self.convolution.groups > 1 and self.convolution.stride[0] > 1:
            # On CPUs the gradient of just this convolution takes ten times longer in bfloat16.
            with torch.autocast(x.device.type, enabled=False):
                strided: Tensor = self.convolution(x.float())
                return strided
        filtered: Tensor = self.convolution(x)
        return filtered


def load_faceres(net: MobileNetV1, path: Path) -> MobileNetV1:
    """Copy the face net's weights into a net's trunk; its head stays as it is.

    That net reads colour; the first kernels are summed over the three colours and
    scaled to standardised faces.

    Args:
        net: fresh or trained.
        path: ``faceres-deep.json`` (or ``faceres.json``), a TensorFlow.js graph model,
            with its weights beside it.

    Raises:
        InputError: if a file is missing or holds another net.
    """
    try:
        tensors = _tensors(path)
        with torch.no_grad():
            for name, (convolution, norm) in zip(_names(), _convolutions(net), strict=False):
                _copy(convolution, norm, *_folded(tensors, name))
    except (OSError, KeyError, ValueError, RuntimeError) as e:
        raise InputError(f"{path} does not hold the MobileNet of faces: {e}") from e
    return net


def _convolutions(net: MobileNetV1) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    found = []
    for layer in net.layers:
        assert isinstance(layer, _Layer)
        found.append((layer.convolution, layer.norm))
    return found


def _names() -> list[str]:
    """Return what the file calls the convolutions, in order."""
    blocks = range(1, len(_BLOCKS) + 1)
    return ["conv1", *(f"conv_{part}_{i}" for i in blocks for part in ("dw", "pw"))]


def _folded(
    tensors: Mapping[str, NDArray[np.float32]], name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel, scale and shift; the file has scales in the kernels where it can."""
    shift = tensors[f"{name}_bn/batchnorm_1/sub"].reshape(-1)
    if "_dw_" in name:
        kernel = tensors[f"{name}/depthwise_kernel"].transpose(2, 3, 0, 1)
        return kernel, tensors[f"{name}_bn/batchnorm_1/mul"].reshape(-1), shift
    kernel = tensors[f"{name}/convolution/merged_input"].transpose(3, 2, 0, 1)
    return kernel, np.ones_like(shift), shift


def _copy(
    convolution: nn.Conv2d,
    norm: nn.BatchNorm2d,
    kernel: NDArray[np.float32],
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> None:
    if kernel.shape[1] == 3 and convolution.in_channels == 1:
        # The mean that the net expects to be taken away is near enough that of a face.
        kernel = kernel.sum(axis=1, keepdims=True) * np.float32(LEVELS_PER_DEVIATION)
    convolution.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
    become_affine(norm, torch.from_numpy(scale), torch.from_numpy(shift))


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a TensorFlow.js graph model, float16 or float32."""
    tensors = {}
    for group in json.loads(path.read_text())["weightsManifest"]:
        at = 0
        data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        for weight in group["weights"]:
            stored = weight.get("quantization", {}).get("dtype", weight["dtype"])
            kind = np.dtype({"float16": "<f2", "bool": "?"}.get(stored, stored))
            count = int(np.prod(weight["shape"]))
            values = np.frombuffer(data, kind, count, at).reshape(weight["shape"])
            tensors[weight["name"]] = values.astype(np.float32)
            at += values.nbytes
    return tensors


def _build(config: MobileNetV1Config) -> MobileNetV1:
    net = MobileNetV1(config)
    return net if config.pretrained is None else load_faceres(net, config.pretrained)


MOBILENET_V1 = NetKind(
    "mobilenet-v1",
    "MobileNet (Howard et al. 2017), from VGGFace2 (Savchenko 2019), 1.6 M parameters",
    MobileNetV1Config,
    _build,
)
"""Kind of `MobileNetV1`."""
