"""Where to look, and at which features: the attention before the visual stream's pool."""

from __future__ import annotations

from torch import Tensor, nn


class DualAttention(nn.Module):
    """Weighs places and channels of maps, adds both views up and pools them.

    Spatial attention is a 1×1 convolution and a softmax over the places; channel attention is the
    same on the transposed maps, a softmax over the channels. Weights have the mean 1, and a fresh
    net weighs all alike: it begins as a mean over the places.

    Args:
        channels: of the maps.
        places: how many places they have, time included.
    """

    def __init__(self, channels: int, places: int) -> None:
        super().__init__()
        self.spatial = nn.Conv1d(channels, 1, 1)
        self.channel = nn.Conv1d(places, 1, 1)
        for layer in (self.spatial, self.channel):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def weights(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of places (batch, 1, places) and of channels (batch, channels, 1)."""
        transposed = maps.transpose(1, 2)
        places = self.spatial(maps).softmax(dim=2) * maps.shape[2]
        channels = self.channel(transposed).softmax(dim=2) * maps.shape[1]
        return places, channels.transpose(1, 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return features (batch, channels) of maps (batch, channels, places)."""
        places, channels = self.weights(maps)
        return (maps * (places + channels) / 2).mean(dim=2)
