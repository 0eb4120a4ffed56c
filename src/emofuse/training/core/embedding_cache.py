"""The output of a frozen encoder: computed once, learned from again and again.

A pretrained encoder takes nearly all of an epoch's time. Where it is frozen, each clip
is augmented a few times (by other rooms, noises, cuts), the encoder's output for these
copies is kept, and epochs draw from them: hundreds of epochs of the head then take no
longer than a few of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..speech.nets.base import SpeechNetBase
from .samples import Samples

Floats = NDArray[np.float32]

_AT_ONCE = 16  # more do not fit the processor's cache and take half as long again


class FrozenEncoderCache:
    """What a frozen encoder gives for augmented copies of training samples.

    Copies are made when they are first wanted; which one a copy is decides all that is
    random in it, so that an interrupted training makes the same ones again.

    Args:
        net: with a frozen encoder.
        learn: the samples, a corpus each.
        change: changes a medium and prepares it for the net.
        seed: of the training.
        bf16: let torch compute in bfloat16 where it thinks that safe.
    """

    def __init__(
        self,
        net: SpeechNetBase,
        learn: Sequence[Samples[Any]],
        change: Callable[[Any, np.random.Generator], NDArray[np.float32]],
        seed: int,
        bf16: bool,
    ) -> None:
        self._net, self._learn, self._change = net.eval(), learn, change
        self._seed, self._bf16 = seed, bf16
        self._copies: list[list[Floats]] = []

    def grow(self, copies: int) -> None:
        """Make copies until there are so many."""
        while len(self._copies) < copies:
            rng = np.random.default_rng((self._seed, len(self._copies), 1))
            self._copies.append(
                [
                    self.encode(self._change(medium, rng) for medium in samples.media)
                    for samples in self._learn
                ]
            )

    def draw(self, places: Sequence[tuple[int, int]], rng: np.random.Generator) -> Floats:
        """Return the encoder's output for one copy each of (which corpus, which sample)."""
        which = rng.integers(len(self._copies), size=len(places))
        return np.stack([self._copies[c][k][i] for c, (k, i) in zip(which, places, strict=True)])

    def encode(self, rows: Iterable[NDArray[np.float32]]) -> Floats:
        """Return the encoder's output for prepared sounds, (n, values)."""
        return np.concatenate(list(self._parts(iter(rows))))

    def _parts(self, rows: Iterator[NDArray[np.float32]]) -> Iterator[Floats]:
        device = next(self._net.parameters()).device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self._bf16)
        while some := list(islice(rows, _AT_ONCE)):
            sound = torch.from_numpy(np.stack(some)).to(device)
            with torch.inference_mode(), autocast:
                yield self._net.encode(sound).float().cpu().numpy()
