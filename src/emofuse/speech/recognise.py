"""From a voiced waveform to emotion scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from .features import MelConfig, mel_power

_FAINTEST = 1e-20  # power that counts as none: its logarithm is still a number


class Level(str, Enum):
    """How the logarithm of the power is brought to a common level.

    ``CLIP``: to mean 0 and deviation 1 over the picture, whatever it holds.
    ``RELATIVE``: the logarithm relative to that of the picture's mean power, then
    a fixed centre and scale. Loudness does not matter either, but how far loud
    and faint lie apart stays, and is alike for short and long sounds.
    """

    CLIP = "clip"
    RELATIVE = "relative"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Preparation:
    """What `prepare` makes of a waveform; a card's ``preparation`` holds the same keys.

    Args:
        rate: sampling rate in Hz that the waveform must have.
        seconds: length that fills the model's picture; longer sound is refused.
        range_db: how far below the mean power sound still counts. What is
            fainter (room noise, codec residue) becomes one constant level.
        mel: frame and band sizes.
        level: how the power is brought to a common level.
        centre: subtracted from the logarithm of the power relative to its mean,
            in nepers of power (``Level.RELATIVE`` only).
        scale: what that is then divided by (``Level.RELATIVE`` only).

    Raises:
        ValueError: if a value makes no sense.
    """

    rate: int = 16_000
    seconds: float = 3.0
    range_db: float = 60.0
    mel: MelConfig = field(default_factory=MelConfig)
    level: Level = Level.CLIP
    centre: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", Level(self.level))
        if not (self.rate > 0 and self.seconds > 0 and self.range_db > 0 and self.scale > 0):
            raise ValueError(f"rate, seconds, range_db and scale must be > 0, got {self}")

    @property
    def samples(self) -> int:
        """Most samples of one waveform."""
        return round(self.rate * self.seconds)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a prepared row: (mels, frames)."""
        return self.mel.mels, self.mel.frames(self.samples)

    @classmethod
    def of_card(cls, card: Card) -> Preparation:
        """Read the preparation from a card.

        Raises:
            ModelError: if the card's keys or values are not those of a speech model.
        """
        try:
            raw = dict(card.preparation)
            return cls(mel=MelConfig(**raw.pop("mel", {})), **raw)
        except (TypeError, ValueError) as e:
            raise ModelError(
                f"card {card.id!r}: the preparation does not fit a speech model: {e}"
            ) from e


def prepare(
    waveform: NDArray[np.float32], preparation: Preparation = Preparation()
) -> NDArray[np.float32]:
    """Turn a waveform into the picture that a speech model looks at. Pure.

    The log-mel spectrum is brought to a common `Level`, so loudness does not
    matter, but the balance between the bands (how strained a voice is) stays.
    Sound shorter than the model's window is repeated until the picture is full:
    pooling over time then sees what it would see of the sound alone, and no
    artificial silence.

    Args:
        waveform: mono, float32, shape (n,) with 1 <= n <= `preparation.samples`.
        preparation: sizes, normally those of a card.

    Returns:
        float32, shape `preparation.shape`.

    Raises:
        ValueError: if the waveform is empty, too long or not one-dimensional.
    """
    if waveform.size > preparation.samples:
        raise ValueError(
            f"a waveform of at most {preparation.samples} samples ({preparation.seconds:g} s) "
            f"is expected, got {waveform.size}: cut it into windows"
        )
    power = mel_power(waveform, preparation.rate, preparation.mel)
    mean = float(power.mean())
    floor = max(mean * 10 ** (-preparation.range_db / 10), _FAINTEST)
    picture: NDArray[np.float32] = np.log(np.maximum(power, np.float32(floor)))
    if preparation.level is Level.CLIP:
        picture -= picture.mean()
        picture /= max(float(picture.std()), 1e-3)
    else:
        picture -= np.float32(np.log(max(mean, _FAINTEST)) + preparation.centre)
        picture /= np.float32(preparation.scale)
    repeated = np.arange(preparation.shape[1]) % picture.shape[1]
    return np.ascontiguousarray(picture[:, repeated])


class SpeechRecogniser(OnnxRecogniser):
    """Scores voiced waveforms of up to the card's window.

    Args:
        card: the model's card; its ``preparation`` has the keys of `Preparation`.
        files: paths of its files by role.
        threads: intra-op threads.

    Raises:
        ModelError: if the weights cannot be loaded or the preparation is not one.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        super().__init__(card, files, threads)
        self.preparation = Preparation.of_card(card)

    def prepare(self, sample: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a waveform at the card's rate, shape (n,), into a row: see `prepare`."""
        return prepare(sample, self.preparation)
