"""VGG16 (Simonyan & Zisserman 2014, arXiv:1409.1556), with sizes for small faces."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ...core.nets import NetKind
from . import pretrained
from .base import FaceNetBase, check_head, draw_weights, pool

_STAGES = (2, 2, 3, 3, 3)
"""Convolutions of each stage: the paper's configuration D."""


@dataclass(frozen=True, slots=True)
class VggConfig:
    """Shape of `Vgg16`.

    The published net has ``dense=(4096, 4096), grid=7, last_pool=True, dropout=0.5``
    and faces of 224 pixels; the defaults suit 48 to 112 pixels and have a tenth of
    its parameters.

    Args:
        labels: number of outputs.
        channels: of the faces, 1 (grey) or 3 (RGB).
        widths: channels of the five stages.
        batch_norm: a batch norm behind each convolution, not in the paper; without,
            a net from scratch hardly starts to learn.
        stem_stride: stride of the first convolution; 2 for faces of 224 pixels that
            must be fast.
        last_pool: halve the maps behind the last stage too; a face of 48 pixels
            would be a single cell then.
        grid: cells per side that the last maps are averaged over.
        dense: widths of the dense layers; the last is the embedding.
        dropout: probability of dropping a value of a dense layer.
        pretrained: published weights, a file or URL (see `nets.face.pretrained`).
        sha256: how their digest begins; None: as the file's name says.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    channels: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = True
    stem_stride: int = 1
    last_pool: bool = False
    grid: int = 1
    dense: tuple[int, ...] = (512,)
    dropout: float = 0.5
    pretrained: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "dense", tuple(self.dense))
        check_head(self.labels, self.dropout)
        pretrained.check_pin(self)
        if len(self.widths) != len(_STAGES) or min(*self.widths, *self.dense, self.grid) < 1:
            raise ValueError(f"need {len(_STAGES)} widths, all sizes >= 1, got {self}")
        if self.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2, got {self.stem_stride}")


class Vgg16(FaceNetBase):
    """Thirteen 3×3 convolutions in five stages, then dense layers."""

    HEAD = ("classifier.",)

    def __init__(self, config: VggConfig) -> None:
        flat = config.widths[-1] * config.grid**2
        super().__init__(config.channels, (flat, *config.dense)[-1])
        self.grid = config.grid
        self.features = _features(config)
        layers: list[nn.Module] = []
        for width in config.dense:
            layers += [nn.Linear(flat, width), nn.ReLU(), nn.Dropout(config.dropout)]
            flat = width
        if not layers:
            layers = [nn.Dropout(config.dropout)]
        # As published, one sequence; its last two layers are the classifier proper.
        self.classifier = nn.Sequential(*layers, nn.Linear(flat, config.labels))
        draw_weights(self)
        for layer in self.classifier[:-1]:  # type: ignore[attr-defined]
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def embed(self, faces: Tensor) -> Tensor:
        """Return what the last dense layer makes of the faces, (batch, width)."""
        x = pool(self.features(self.check(faces)), self.grid)
        for layer in self.classifier[:-2]:  # type: ignore[attr-defined]
            x = layer(x)
        return x

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.classifier[-1](self.classifier[-2](embedding))
        return logits


def _features(config: VggConfig) -> nn.Sequential:
    """Lay out the convolutions in one sequence, where the published names count them."""
    layers: list[nn.Module] = []
    inputs, stride = config.channels, config.stem_stride
    for width, convolutions in zip(config.widths, _STAGES, strict=True):
        for _ in range(convolutions):
            layers.append(nn.Conv2d(inputs, width, 3, stride, padding=1))
            layers += [nn.BatchNorm2d(width)] if config.batch_norm else []
            layers.append(nn.ReLU())
            inputs, stride = width, 1
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*(layers if config.last_pool else layers[:-1]))


def build(config: VggConfig) -> Vgg16:
    """Make the net, from published weights if the config names some."""
    return pretrained.start(Vgg16(config), config)


VGG16 = NetKind(
    name="vgg16",
    title="VGG16, thirteen convolutions (Simonyan & Zisserman 2014, arXiv:1409.1556)",
    config=VggConfig,
    build=build,
    preparation={"side": 48},
)
"""Kind of `Vgg16`."""
