"""YAMNet, pretrained on AudioSet, with a dense head for emotions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import InputError
from ....io.download import download, file_digest
from ....models.store import Store
from ...core.nets import NetKind
from .base import SpeechNetBase, check_rate, check_sizes
from .tflite_weights import Layer, read_layers

URL = (
    "https://storage.googleapis.com/download.tensorflow.org/models/tflite/task_library/"
    "audio_classification/android/lite-model_yamnet_classification_tflite_1.tflite"
)
"""Where TensorFlow Hub keeps YAMNet's classifier for TensorFlow Lite (Apache-2.0)."""

SHA256 = "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de"
"""Of that file; another one is refused."""

WIDTH = 1024
"""Size of YAMNet's embedding."""

_FRAME, _HOP, _FOURIER = 400, 160, 512  # samples at 16 kHz: 25 ms every 10 ms
_PATCH, _PATCH_HOP = 96, 48  # frames: 0.96 s every 0.48 s
_SHORTEST = _FRAME + (_PATCH - 1) * _HOP  # samples
_OFFSET = 0.001  # added to the mel magnitude before its logarithm
_LOUDNESS = 0.1  # effective value of the voice that YAMNet is given; full scale is 1
# Of MobileNet v1: channels, and the stride of the depthwise convolution before them.
_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


@dataclass(frozen=True, slots=True)
class YamnetConfig:
    """Sizes of `YamnetClassifier`.

    Args:
        labels: number of classes.
        weights: path of ``yamnet.tflite``; None fetches it once (4 MB).
        frozen: leave YAMNet as it is and train the head alone.
        hidden: width of the dense layer before the classifier.
        dropout: probability of dropping a value before each layer of the head.
        rate: of the waveforms in Hz; there is YAMNet for 16 kHz only.
        samples: of a waveform; at least one patch, 0.975 s.
    """

    labels: int
    weights: Path | None = None
    frozen: bool = True
    hidden: int = 256
    dropout: float = 0.3
    rate: int = 16_000
    samples: int = 48_000

    def __post_init__(self) -> None:
        check_sizes(self, "labels", "hidden")
        check_rate(self.rate)
        if self.samples < _SHORTEST:
            raise ValueError(f"YAMNet needs windows of {_SHORTEST} samples, got {self.samples}")
        if self.weights is not None:
            object.__setattr__(self, "weights", Path(self.weights))


class Yamnet(nn.Module):
    """YAMNet from the waveform to embeddings: log-mel patches through MobileNet v1.

    Plakal and Ellis, YAMNet (TensorFlow models, research/audioset, 2020); Howard et
    al. 2017, MobileNets, arXiv:1704.04861; Gemmeke et al. 2017, Audio Set. The Fourier
    transform is a convolution, so that the whole exports as one graph. Norms are
    folded into the convolutions, and activations end at 6, as in the published file.
    There, weights and activations are int8; here the weights have the same values as
    float32, and activations are not rounded. The log-mel patches are the same to 1e-5,
    the embeddings to a cosine of 0.999; with each activation rounded as there, layers
    are equal but for ties in rounding.

    Args:
        layers: of ``yamnet.tflite``, see `read_yamnet`.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        by_kind = {kind: [x for x in layers if x.operation == kind] for kind in _NEEDED}
        taper = by_kind["MUL"][0].constants[0]
        matrix = by_kind["FULLY_CONNECTED"][0].constants[0]
        self.register_buffer("fourier", torch.from_numpy(_fourier(taper)))
        self.register_buffer("mel", torch.from_numpy(matrix)[:, :, None].clone())
        convolutions = [x for x in layers if x.operation in ("CONV_2D", "DEPTHWISE_CONV_2D")]
        strides = [2] + [s for _, stride in _BLOCKS for s in (stride, 1)]
        self.layers = nn.ModuleList(
            _convolution(layer, stride) for layer, stride in zip(convolutions, strides, strict=True)
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Return embeddings (batch, patches, 1024) of waveforms (batch, samples) in [-1, 1].

        A patch is 0.975 s; what is left over at the end is not looked at. At least one
        patch is needed.
        """
        return self.embed_patches(self.patches(waveform))

    def patches(self, waveform: Tensor) -> Tensor:
        """Return log-mel patches (batch, patches, 96, 64) of waveforms (batch, samples).

        Raises:
            ValueError: if the waveform is shorter than a patch.
        """
        if waveform.shape[-1] < _SHORTEST:
            raise ValueError(f"YAMNet needs {_SHORTEST} samples, got {waveform.shape[-1]}")
        waves = F.conv1d(waveform.float()[:, None], self.fourier, stride=_HOP)  # type: ignore[arg-type]
        cosines, sines = waves.chunk(2, dim=1)
        # A square root has no slope at 0, where silence is.
        magnitude = (cosines**2 + sines**2).clamp_min(1e-12).sqrt()
        log_mel = torch.log(F.conv1d(magnitude, self.mel) + _OFFSET)  # type: ignore[arg-type]  # (batch, 64, frames)
        starts = range(0, log_mel.shape[2] - _PATCH + 1, _PATCH_HOP)
        cut = [log_mel[:, :, start : start + _PATCH] for start in starts]
        return torch.stack(cut, dim=1).transpose(2, 3)

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Return embeddings (batch, patches, 1024) of log-mel patches."""
        maps = patches.flatten(0, 1)[:, None]
        for layer in self.layers:
            maps = F.relu6(layer(maps))
        return maps.mean(dim=(2, 3)).unflatten(0, (-1, patches.shape[1]))


class YamnetClassifier(SpeechNetBase):
    """YAMNet's embeddings, averaged over a window, and two dense layers.

    Takes standardised waveforms of 16 kHz (`Features.WAVEFORM`).

    Args:
        config: its sizes.
        yamnet: with its weights; None reads them as the config says.

    Raises:
        InputError: if YAMNet's weights cannot be had.
    """

    def __init__(self, config: YamnetConfig, yamnet: Yamnet | None = None) -> None:
        super().__init__()
        self.yamnet = yamnet or Yamnet(read_yamnet(config.weights or fetch_yamnet()))
        self.yamnet.requires_grad_(not config.frozen)
        self.width, self.frozen_encoder = WIDTH, config.frozen
        self.classify = nn.Sequential(
            nn.BatchNorm1d(WIDTH),
            nn.Dropout(config.dropout),
            nn.Linear(WIDTH, config.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.labels),
        )

    def embed(self, waveforms: Tensor) -> Tensor:
        """Return embeddings (batch, 1024) of standardised waveforms (batch, samples)."""
        pooled: Tensor = self.yamnet(_LOUDNESS * waveforms).float().mean(dim=1)
        return pooled


_NEEDED = {"MUL": 1, "CONV_2D": 14, "DEPTHWISE_CONV_2D": 13, "FULLY_CONNECTED": 2}


def read_yamnet(path: Path) -> tuple[Layer, ...]:
    """Read ``yamnet.tflite``.

    Raises:
        InputError: if it is not there, or not the file that is pinned by `SHA256`.
        MissingExtra: if the package that reads the format is not installed.
    """
    if not path.is_file():
        raise InputError(f"no YAMNet at {path}; leave `weights` out to fetch it from {URL}")
    if file_digest(path) != SHA256:
        raise InputError(
            f"{path} is not the YAMNet that is expected: its sha256 begins with "
            f"{file_digest(path)[:16]}, expected {SHA256[:16]}; get it from {URL}"
        )
    return read_graph(path)


def read_graph(path: Path) -> tuple[Layer, ...]:
    """Read the layers of YAMNet from a file whose digest was checked before.

    Raises:
        InputError: if it is not of the format, or has other layers than YAMNet.
        MissingExtra: if the package that reads the format is not installed.
    """
    layers = tuple(x for x in read_layers(path) if x.operation in _NEEDED)
    if Counter(x.operation for x in layers) != _NEEDED:
        raise InputError(f"{path} has other layers than YAMNet; get it from {URL}")
    return layers


def fetch_yamnet() -> Path:
    """Return ``yamnet.tflite`` from the cache; fetch it if it is not there yet.

    ``EMOFUSE_CACHE``, ``EMOFUSE_MIRROR`` and ``EMOFUSE_OFFLINE`` count as for models.

    Raises:
        InputError: if it cannot be fetched.
    """
    store = Store()
    path = store.cache_dir / "pretrained" / SHA256[:16] / "yamnet.tflite"
    if path.is_file():
        return path
    by_hand = f"fetch {URL} by other means and put it at {path}, or name it as `weights`"
    if store.offline:
        raise InputError(f"YAMNet is not on this machine and downloads are off; {by_hand}")
    download(URL, path, f"sha256:{SHA256}", what="YAMNet")
    return path


def _fourier(taper: np.ndarray) -> np.ndarray:
    """Kernels of the tapered Fourier transform, cosines then sines: (2 * 257, 1, 400)."""
    angle = np.outer(np.arange(_FOURIER // 2 + 1), np.arange(_FRAME)) * (2 * np.pi / _FOURIER)
    waves = np.concatenate((np.cos(angle), np.sin(angle))) * taper.astype(np.float64)
    return waves[:, None].astype(np.float32)


def _convolution(layer: Layer, stride: int) -> nn.Module:
    """A convolution as TensorFlow does it: ``SAME`` padding, more of it at the end."""
    kernel, bias = layer.constants
    depthwise = layer.operation == "DEPTHWISE_CONV_2D"
    # (out, h, w, in) or, depthwise, (1, h, w, out) → (out, in of a group, h, w)
    weight = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
    outputs, inputs, size, _ = weight.shape
    groups = outputs if depthwise else 1
    padding = size // 2 if stride == 1 else 0
    made = nn.Conv2d(inputs * groups, outputs, size, stride, padding, groups=groups)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        made.bias.copy_(torch.from_numpy(bias))  # type: ignore[union-attr]
    return made if stride == 1 else nn.Sequential(_PadSame(), made)


class _PadSame(nn.Module):
    """Pads for a kernel of 3 at stride 2: only the end if the size is even."""

    def forward(self, maps: Tensor) -> Tensor:
        height, width = (x % 2 for x in maps.shape[2:])
        return F.pad(maps, (width, 1, height, 1))


YAMNET = NetKind(
    "yamnet",
    "YAMNet's AudioSet embedding (MobileNet v1) with a dense head",
    YamnetConfig,
    YamnetClassifier,
    {"features": "waveform"},
)
