"""Voice features as others compute them: for speech models that were trained elsewhere.

Most such models look at what librosa gives by default (centred frames, decibels, 22.05 kHz),
or at the samples themselves, as the encoders of the Transformers library do. Other than our
own preparation (`recognise.prepare`), nothing is brought to a common level unless the
training did so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from .features import dct, hz_to_mel, mel_to_hz

_SOURCE_RATE = 16_000  # what recognisers of the voice are given
_REACH = 9  # frames that a delta looks at, as in librosa


class Pooling(str, Enum):
    """What becomes of the frames."""

    NONE = "none"
    MEAN = "mean"
    """Their mean: a vector instead of a picture."""


class Padding(str, Enum):
    """How what is shorter than the model's input is brought to its length."""

    ZEROS = "zeros"
    REPEAT = "repeat"


class Standardising(str, Enum):
    """What the features are brought to."""

    NONE = "none"
    CLIP = "clip"
    """Mean 0 and deviation 1 over the clip."""
    ROWS = "rows"
    """Mean 0 and deviation 1 of each row over time."""
    SET = "set"
    """Less the mean and divided by the deviation of the training data, which the card names."""


PARTS = ("waveform", "logmel", "mfcc", "mel", "zcr", "rms")
"""What a model may look at, one or several below each other."""


@dataclass(frozen=True, slots=True)
class ExternalPreparation:
    """What a speech model of others looks at; a card's ``preparation`` holds the same keys.

    Args:
        features: some of `PARTS`, in order; ``waveform`` stands alone. ``logmel`` is in
            decibels below the loudest, ``mel`` the power itself.
        rate: sampling rate in Hz that the model expects.
        samples: length of the waveform that is looked at; longer ones are cut, shorter ones
            padded. None: as long as it is.
        frames: likewise of the picture, in frames.
        window: samples of a frame.
        hop: samples from one frame's start to the next one's.
        mels: number of mel bands.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz; None: half the rate.
        coefficients: how many cepstra, from the 0th.
        deltas: 1 adds the cepstra's change over time, 2 the change of that too.
        centred: whether frames are centred on multiples of the hop (padded with zeros), as
            librosa does, or begin there.
        pooling: what becomes of the frames.
        padding: how short ones are filled up.
        standard: what the features are brought to.
        mean: for `Standardising.SET`, one or one a row.
        deviation: likewise, > 0.
        time_first: whether the first axis is time, as recurrent nets expect, or the features.
        channel: where an axis of length 1 is added: ``""``, ``"first"`` or ``"last"``.

    Raises:
        ValueError: if a value makes no sense.
    """

    features: tuple[str, ...] = ("mfcc",)
    rate: int = 22_050
    samples: int | None = None
    frames: int | None = None
    window: int = 2048
    hop: int = 512
    mels: int = 128
    low: float = 0.0
    high: float | None = None
    coefficients: int = 40
    deltas: int = 0
    centred: bool = True
    pooling: Pooling = Pooling.NONE
    padding: Padding = Padding.ZEROS
    standard: Standardising = Standardising.NONE
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    time_first: bool = False
    channel: str = ""

    def __post_init__(self) -> None:
        for name, kind in (
            ("pooling", Pooling),
            ("padding", Padding),
            ("standard", Standardising),
        ):
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("features", "mean", "deviation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        unknown = [f for f in self.features if f not in PARTS]
        if unknown or not self.features or ("waveform" in self.features and len(self.features) > 1):
            raise ValueError(
                f"features are waveform alone, or some of {', '.join(PARTS[1:])}; got "
                f"{', '.join(self.features) or 'none'}"
            )
        if self.channel not in ("", "first", "last"):
            raise ValueError(f"channel is '', first or last, got {self.channel!r}")
        if not (self.hop > 0 and self.window >= 8 and 0 < self.coefficients <= self.mels):
            raise ValueError(f"need hop > 0, window >= 8, 0 < coefficients <= mels, got {self}")
        if not (self.rate > 0 and 0 <= self.deltas <= 2 and min(self.deviation) > 0):
            raise ValueError(f"need rate > 0, 0 to 2 deltas and deviation > 0, got {self}")
        if not 0 <= self.low < (self.high or self.rate / 2) <= self.rate / 2:
            raise ValueError(f"need 0 <= low < high <= half the rate, got {self}")

    @classmethod
    def of_card(cls, card: Card) -> ExternalPreparation:
        """Read the preparation from a card.

        Raises:
            ModelError: if the card's keys or values are not those of such a model.
        """
        try:
            return cls(**card.preparation)
        except (TypeError, ValueError) as e:
            raise ModelError(
                f"card {card.id!r}: the preparation does not fit a speech model: {e}; it has "
                f"{', '.join(f.name for f in fields(cls))}"
            ) from e

    @property
    def rows(self) -> int:
        """How many features a frame has."""
        each = {
            "mfcc": self.coefficients * (1 + self.deltas),
            "logmel": self.mels,
            "mel": self.mels,
        }
        return sum(each.get(part, 1) for part in self.features)

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a waveform at 16 kHz, (n,), into a row of the model's input, float32. Pure."""
        x = self._resampled(waveform)
        if self.samples is not None:
            x = _fitted(x[None], self.samples, self.padding)[0]
        if self.features == ("waveform",):
            return self._shaped(self._standardised(x[None])[0])
        picture = np.concatenate([self._part(name, x) for name in self.features])
        if self.pooling is Pooling.MEAN:
            vector = picture.mean(axis=1, keepdims=True)
            return self._shaped(self._standardised(vector)[:, 0])
        picture = self._standardised(picture)
        if self.frames is not None:
            picture = _fitted(picture, self.frames, self.padding)
        return self._shaped(picture.T if self.time_first else picture)

    def _resampled(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        x = np.ascontiguousarray(waveform, np.float32)
        if self.rate == _SOURCE_RATE:
            return x
        import soxr

        resampled: NDArray[np.float32] = soxr.resample(x, _SOURCE_RATE, self.rate, "HQ")
        return resampled

    def _part(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if name == "mfcc":
            return self._mfcc(x)
        if name == "logmel":
            return _decibels(self._mel(x), relative=True)
        if name == "mel":
            return self._mel(x)
        frames = self._frames(x, "edge" if name == "zcr" else "constant")
        if name == "rms":
            row: NDArray[Any] = np.sqrt(np.mean(frames**2, axis=1))
        else:
            negative = frames < 0
            row = (negative[:, 1:] != negative[:, :-1]).sum(axis=1) / self.window
        return row[None].astype(np.float32)

    def _mfcc(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        level = _decibels(self._mel(x), relative=False)
        cepstra = dct(level, self.coefficients)
        parts = [cepstra]
        for order in range(1, self.deltas + 1):
            parts.append(_delta(cepstra, order))
        return np.concatenate(parts).astype(np.float32)

    def _mel(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        hann = np.hanning(self.window + 1)[:-1].astype(np.float32)
        bins = np.fft.rfft(self._frames(x, "constant") * hann, axis=1)
        power = (bins.real**2 + bins.imag**2).T
        high = self.high or self.rate / 2
        bank = _mel_bank(self.rate, self.window, self.mels, self.low, high)
        mel: NDArray[np.float32] = (bank @ power).astype(np.float32)
        return mel

    def _frames(self, x: NDArray[np.float32], beyond: Any) -> NDArray[np.float32]:
        if self.centred:
            x = np.pad(x, self.window // 2, mode=beyond)
        if len(x) < self.window:
            x = np.pad(x, (0, self.window - len(x)))
        return np.lib.stride_tricks.sliding_window_view(x, self.window)[:: self.hop]

    def _standardised(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.standard is Standardising.SET:
            mean, deviation = (np.array(v, np.float32) for v in (self.mean, self.deviation))
            out: NDArray[np.float32] = (picture - mean[:, None]) / deviation[:, None]
            return out
        if self.standard is Standardising.NONE:
            return picture
        axis = 1 if self.standard is Standardising.ROWS else None
        mean = picture.mean(axis=axis, keepdims=True, dtype=np.float64)
        variance = picture.var(axis=axis, keepdims=True, dtype=np.float64)
        scaled: NDArray[np.float32] = ((picture - mean) / np.sqrt(variance + 1e-7)).astype("f4")
        return scaled

    def _shaped(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.channel:
            row = row[None] if self.channel == "first" else row[..., None]
        return np.ascontiguousarray(row, np.float32)


class ExternalSpeechRecogniser(OnnxRecogniser):
    """Reads emotion from a voice with a model that was trained elsewhere.

    Args:
        card: the model's card; its ``preparation`` has the keys of `ExternalPreparation`.
        files: paths of its files by role.
        threads: intra-op threads.

    Raises:
        ModelError: if the weights cannot be loaded or the preparation is not one.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        super().__init__(card, files, threads)
        self.preparation = ExternalPreparation.of_card(card)

    def prepare(self, sample: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a waveform at 16 kHz, shape (n,), into a row: see `ExternalPreparation`."""
        return self.preparation(sample)


def _fitted(rows: NDArray[np.float32], length: int, padding: Padding) -> NDArray[np.float32]:
    """Cut or pad rows, (rows, n), to (rows, length)."""
    missing = length - rows.shape[1]
    if missing <= 0:
        return rows[:, :length]
    mode: Any = "constant" if padding is Padding.ZEROS else "wrap"
    return np.pad(rows, ((0, 0), (0, missing)), mode=mode)


def _decibels(power: NDArray[np.float32], relative: bool) -> NDArray[np.float32]:
    """Power in decibels, at most 80 below the loudest, which is 0 if `relative`."""
    level = 10 * np.log10(np.maximum(power, np.float32(1e-10)))
    if relative:
        level -= 10 * np.log10(max(float(power.max()), 1e-10))
    out: NDArray[np.float32] = np.maximum(level, level.max() - 80).astype(np.float32)
    return out


def _delta(rows: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """Change over time, of the first or second order, from a polynomial through nine frames."""
    width = min(_REACH, rows.shape[1] - (rows.shape[1] + 1) % 2)
    if width < 3:
        return np.zeros_like(rows)
    return _slopes(rows, width, order, at_ends=width == _REACH).astype(np.float32)


def _slopes(
    rows: NDArray[np.float32], width: int, order: int, *, at_ends: bool
) -> NDArray[np.float64]:
    """Derivative, of some order, of a polynomial of that order through `width` frames around each.

    Savitzky & Golay 1964, doi:10.1021/ac60214a047. The frames at either end take the polynomial
    of the first or last `width` frames, or, if not `at_ends`, the ends go on as they are.
    """
    half = width // 2
    powers = np.vander(np.arange(-half, half + 1.0), order + 1, increasing=True)
    # Of a polynomial of this order the derivative of the same order is one number.
    weights = np.linalg.pinv(powers)[order] * math.factorial(order)
    wide = rows if at_ends else np.pad(rows, ((0, 0), (half, half)), mode="edge")
    inner = np.lib.stride_tricks.sliding_window_view(wide, width, axis=1) @ weights
    return np.pad(inner, ((0, 0), (half, half)), mode="edge") if at_ends else inner


@lru_cache(maxsize=8)
def _mel_bank(rate: int, window: int, mels: int, low: float, high: float) -> NDArray[np.float32]:
    """Slaney's triangles of equal area: (mels, window / 2 + 1)."""
    edges = mel_to_hz(np.linspace(hz_to_mel(low), hz_to_mel(high), mels + 2))
    bins = np.fft.rfftfreq(window, 1.0 / rate)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    bank *= 2.0 / (edges[2:] - edges[:-2])[:, None]
    return bank.astype(np.float32)
