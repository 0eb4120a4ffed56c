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
from .features import MelConfig, dct, deltas, mel_power, prosody, prosody_rows

_FAINTEST = 1e-20  # power that counts as none: its logarithm is still a number


class Features(str, Enum):
    """What a model looks at.

    ``LOGMEL``: the logarithm of the power in mel bands; a row a band.
    ``MFCC``: its cosine transform over the bands (cepstra), with their deltas.
    ``HANDCRAFTED``: the same, then chroma, spectral contrast, zero-crossing rate,
    pitch and periodicity (see `features.prosody`).
    ``WAVEFORM``: the samples themselves, of mean 0 and deviation 1.
    """

    LOGMEL = "logmel"
    MFCC = "mfcc"
    HANDCRAFTED = "handcrafted"
    WAVEFORM = "waveform"

    def __str__(self) -> str:
        return self.value


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


class Fill(str, Enum):
    """What is done with sound that is shorter than a model's window.

    ``REPEAT``: it is repeated until the window is full.
    ``NONE``: it stays as long as it is, for models that take any length (waveforms only).
    """

    REPEAT = "repeat"
    NONE = "none"

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
        features: what the model looks at.
        coefficients: how many cepstra, from the 0th; at most `mel.mels`.
        deltas: 1 adds the cepstra's change over time, 2 the change of that too.
        fill: what is done with sound that is shorter than `seconds`.
        raw: leave the samples as they are (``Features.WAVEFORM`` only); else they are
            brought to mean 0 and deviation 1.

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
    features: Features = Features.LOGMEL
    coefficients: int = 20
    deltas: int = 0
    fill: Fill = Fill.REPEAT
    raw: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", Level(self.level))
        object.__setattr__(self, "fill", Fill(self.fill))
        object.__setattr__(self, "features", Features(self.features))
        if not (self.rate > 0 and self.seconds > 0 and self.range_db > 0 and self.scale > 0):
            raise ValueError(f"rate, seconds, range_db and scale must be > 0, got {self}")
        if self.features in (Features.LOGMEL, Features.WAVEFORM):
            return
        if not (0 < self.coefficients <= self.mel.mels and 0 <= self.deltas <= 2):
            raise ValueError(
                f"need 0 < coefficients <= {self.mel.mels} (the mel bands) and 0, 1 or 2 deltas, "
                f"got {self.coefficients} and {self.deltas}"
            )
        if self.features is Features.HANDCRAFTED:
            prosody_rows(self.rate, self.mel)  # refuses frames that are too short

    @property
    def samples(self) -> int:
        """Most samples of one waveform."""
        return round(self.rate * self.seconds)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what `prepare` returns: (rows, frames), or (samples,) of a waveform."""
        if self.features is Features.WAVEFORM:
            return (self.samples,)
        rows = self.mel.mels
        if self.features is not Features.LOGMEL:
            rows = self.coefficients * (1 + self.deltas)
        if self.features is Features.HANDCRAFTED:
            rows += prosody_rows(self.rate, self.mel)
        return rows, self.mel.frames(self.samples)

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
    """Turn a waveform into what a speech model looks at. Pure.

    Loudness does not matter, whatever the `Features`: the log-mel spectrum is
    brought to a common `Level`, and the cepstra are that picture's. The balance
    between the bands (how strained a voice is) stays. Sound shorter than the
    model's window is repeated until the window is full: pooling over time then
    sees what it would see of the sound alone, and no artificial silence.

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
    if waveform.ndim != 1 or waveform.size == 0:
        raise ValueError(f"need at least one sample in shape (n,), got {waveform.shape}")
    if preparation.features is Features.WAVEFORM:
        x = waveform if preparation.raw else _standardised(waveform)
        return x if preparation.fill is Fill.NONE else np.resize(x, preparation.samples)
    picture = _log_mel(waveform, preparation)
    if preparation.features is not Features.LOGMEL:
        picture = _cepstra(picture, preparation)
    if preparation.features is Features.HANDCRAFTED:
        spoken = prosody(waveform, preparation.rate, preparation.mel)
        picture = np.concatenate((picture, spoken))
    repeated = np.arange(preparation.shape[1]) % picture.shape[1]
    return np.ascontiguousarray(picture[:, repeated])


def _log_mel(waveform: NDArray[np.float32], preparation: Preparation) -> NDArray[np.float32]:
    """The log-mel spectrum at its level: (mels, frames)."""
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
    return picture


def _cepstra(picture: NDArray[np.float32], preparation: Preparation) -> NDArray[np.float32]:
    """Cepstra of a log-mel picture, then their deltas: (coefficients * (1 + deltas), frames)."""
    cepstra = dct(picture, preparation.coefficients)
    parts = [cepstra]
    for _ in range(preparation.deltas):
        parts.append(deltas(parts[-1]))
    return np.concatenate(parts)


def _standardised(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """The waveform at mean 0 and deviation 1."""
    x: NDArray[np.float64] = waveform - waveform.mean(dtype=np.float64)
    x /= max(float(x.std()), 1e-7)
    return x.astype(np.float32)


class SpeechRecogniser(OnnxRecogniser):
    """Estimates the emotion of voiced waveforms of up to the card's window.

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
