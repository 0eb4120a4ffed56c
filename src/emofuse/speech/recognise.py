"""From a voiced waveform to emotion scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from .features import MelConfig, mel_power


@dataclass(frozen=True, slots=True)
class Preparation:
    """What `prepare` makes of a waveform; a card's ``preparation`` holds the same keys.

    Args:
        rate: sampling rate in Hz that the waveform must have.
        seconds: length that fills the model's picture; longer sound is refused.
        range_db: how far below the mean power sound still counts. What is
            fainter (room noise, codec residue) becomes one constant level.
        mel: frame and band sizes.

    Raises:
        ValueError: if a value makes no sense.
    """

    rate: int = 16_000
    seconds: float = 3.0
    range_db: float = 60.0
    mel: MelConfig = field(default_factory=MelConfig)

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.seconds > 0 and self.range_db > 0):
            raise ValueError(f"rate, seconds and range_db must be > 0, got {self}")

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

    The log-mel spectrum is scaled to mean 0 and deviation 1 over the whole
    picture, so loudness does not matter, but the balance between the bands (how
    strained a voice is) stays. Sound shorter than the model's window is
    repeated until the picture is full: pooling over time then sees what it
    would see of the sound alone, and no artificial silence.

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
    floor = max(float(power.mean()) * 10 ** (-preparation.range_db / 10), 1e-20)
    picture: NDArray[np.float32] = np.log(np.maximum(power, np.float32(floor)))
    picture -= picture.mean()
    picture /= max(float(picture.std()), 1e-3)
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
