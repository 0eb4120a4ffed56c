"""The plain convolutional net of many FER papers: four blocks and a dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ...core.nets import NetKind
from .base import FaceNetBase, check_head, draw_weights, pool


@dataclass(frozen=True, slots=True)
class Cnn4Config:
    """Shape of `Cnn4`.

    Args:
        labels: number of outputs.
        channels: of the faces, 1 (grey) or 3 (RGB).
        widths: channels of the four blocks.
        dense: width of the dense layer, which is the embedding.
        grid: cells per side that the last maps are averaged over before it; 3 is
            all there is of a face of 48 pixels.
        block_dropout: probability of dropping a whole channel behind each block.
        dropout: probability of dropping a value of the embedding.

    Raises:
        ValueError: if a value makes no sense.
    """

    labels: int = 8
    channels: int = 1
    widths: tuple[int, int, int, int] = (64, 128, 256, 256)
    dense: int = 256
    grid: int = 3
    block_dropout: float = 0.1
    dropout: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_head(self.labels, self.dropout)
        if len(self.widths) != 4 or min(*self.widths, self.dense, self.grid) < 1:
            raise ValueError(f"need four widths, dense and grid, all >= 1, got {self}")
        if not 0 <= self.block_dropout < 1:
            raise ValueError(f"block_dropout must lie in [0, 1), got {self.block_dropout}")


class Cnn4(FaceNetBase):
    """Four blocks of two 3×3 convolutions with batch norm, each halving the picture; a dense layer.

    The custom CNN that papers on FER2013 compare with (such as Khaireddin & Chen
    2021, arXiv:2105.03588, a four-block net of the VGG kind).
    """

    HEAD = ("head.",)

    def __init__(self, config: Cnn4Config) -> None:
        super().__init__(config.channels, config.dense)
        self.grid = config.grid
        ends = (config.channels, *config.widths)
        self.blocks = nn.Sequential(
            *(_block(a, b, config.block_dropout) for a, b in pairwise(ends))
        )
        self.dense = nn.Sequential(
            nn.Linear(config.widths[-1] * config.grid**2, config.dense, bias=False),
            nn.BatchNorm1d(config.dense),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.dense, config.labels)
        draw_weights(self)
        nn.init.kaiming_normal_(self.dense[0].weight, nonlinearity="relu")  # type: ignore[arg-type]

    def embed(self, faces: Tensor) -> Tensor:
        """Return what the dense layer makes of the faces, (batch, dense)."""
        maps = self.blocks(self.check(faces))
        out: Tensor = self.dense(pool(maps, self.grid))
        return out

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(embedding))
        return logits


def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
    )


CNN4 = NetKind(
    name="cnn4",
    title="four convolutional blocks with batch norm, dropout and a dense layer",
    config=Cnn4Config,
    build=Cnn4,
    preparation={"side": 48},
)
"""Kind of `Cnn4`."""
