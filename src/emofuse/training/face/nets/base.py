"""What the face nets have in common: two halves, and the faces that they take."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class FaceNetBase(nn.Module):
    """A net of two halves: faces → embedding → logits.

    Subclasses write `embed` and `classify`.

    Args:
        channels: of the faces, 1 (grey) or 3 (RGB); must fit the preparation's colour.
        width: size of the embedding.

    Raises:
        ValueError: if there are no such channels.
    """

    HEAD: tuple[str, ...] = ()
    """How the names of those parameters begin that a new set of labels replaces."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"faces have 1 channel (grey) or 3 (RGB), got {channels}")
        self.channels, self.width = channels, width

    def embed(self, faces: Tensor) -> Tensor:
        """Return embeddings (batch, width) of faces (batch, channels, side, side)."""
        raise NotImplementedError

    def classify(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, labels) of embeddings (batch, width)."""
        raise NotImplementedError

    def forward(self, faces: Tensor) -> Tensor:
        """Return logits (batch, labels) of faces (batch, channels, side, side)."""
        return self.classify(self.embed(faces))

    def check(self, faces: Tensor) -> Tensor:
        """Return the faces if they have the channels that the net was made for.

        Raises:
            ValueError: if not: the net and its preparation do not fit.
        """
        if faces.shape[1] != self.channels:
            raise ValueError(
                f"this net was made for faces of {self.channels} channel(s), got "
                f"{faces.shape[1]}: let its `channels` fit the preparation's `colour`"
            )
        return faces


def pool(maps: Tensor, side: int = 1) -> Tensor:
    """Average maps (batch, channels, h, w) over `side` × `side` cells, and lay them in a row."""
    if side == 1:
        return maps.mean(dim=(2, 3))
    if maps.shape[2:] != (side, side):
        maps = F.adaptive_avg_pool2d(maps, side)
    return maps.flatten(1)


def draw_weights(net: nn.Module) -> None:
    """Draw weights for training from scratch.

    Kernels by the size of what they feed (He et al. 2015, arXiv:1502.01852), norms
    as the identity, dense layers small.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def rounded(channels: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of `divisor`, at most a tenth downwards.

    So do both MobileNets (Howard et al. 2019, arXiv:1905.02244) when they are scaled.
    """
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


def check_head(labels: int, dropout: float) -> None:
    """Refuse sizes of a classifier that make no sense.

    Raises:
        ValueError: if so.
    """
    if labels < 2 or not 0 <= dropout < 1:
        raise ValueError(f"need labels >= 2 and dropout in [0, 1), got {labels}, {dropout}")
