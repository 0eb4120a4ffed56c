"""From a face crop to scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser


class Colour(str, Enum):
    """What of a crop's colours a model sees."""

    GREY = "grey"
    RGB = "rgb"
    BGR = "bgr"
    """The order in which OpenCV reads pictures, and models that were trained on such."""

    @property
    def channels(self) -> int:
        """Number of a prepared face's channels."""
        return 1 if self is Colour.GREY else 3


class Standard(str, Enum):
    """What the levels of a prepared face are measured against."""

    SELF = "self"
    """Each face's own mean and deviation: exposure and gain of a camera drop out."""

    IMAGENET = "imagenet"
    """The mean and deviation of ImageNet's pictures, as its pretrained nets expect."""

    UNIT = "unit"
    """Black and white themselves: levels from 0 to 1."""

    SIGNED = "signed"
    """Middle grey: levels from -1 to 1."""

    RAW = "raw"
    """Nothing: levels from 0 to 255, for nets that scale them inside."""

    SET = "set"
    """The mean and deviation of the training faces, which the card names."""


class Layout(str, Enum):
    """The order of a prepared face's axes."""

    NCHW = "nchw"
    """Channels, rows, columns: PyTorch's."""
    NHWC = "nhwc"
    """Rows, columns, channels: TensorFlow's."""
    NHW = "nhw"
    """Rows, columns: grey without an axis for it."""


IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, in fractions of white."""

IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Their deviation."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601's weights of red, green and blue


@dataclass(frozen=True, slots=True)
class FacePreparation:
    """How a face crop becomes a row of numbers; training and inference share it.

    The crop is made grey unless the model sees colours, brought to `side` × `side`
    and standardised.

    Args:
        side: side of the prepared face in pixels.
        floor: smallest deviation (in grey levels of 0-255) that is divided by, so
            that the noise of a flat crop is not blown up; `Standard.SELF` only.
        colour: one grey channel, or red, green and blue.
        standard: what the levels are measured against. With `Standard.SELF` and
            colours, one mean and one deviation over all three channels keep the
            balance between them.
        layout: order of the axes.
        mean: subtracted from levels of 0 to 1, one for all channels or one each;
            `Standard.SET` only.
        deviation: what they are then divided by, > 0, likewise.

    Raises:
        ValueError: if a value makes no sense.
    """

    side: int = 48
    floor: float = 8.0
    colour: Colour = Colour.GREY
    standard: Standard = Standard.SELF
    layout: Layout = Layout.NCHW
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, kind in (("colour", Colour), ("standard", Standard), ("layout", Layout)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        for name in ("mean", "deviation"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
            if len(getattr(self, name)) not in (1, self.colour.channels):
                raise ValueError(f"need one {name} for all channels or one each, got {self}")
        if self.side < 8 or not (self.floor > 0 and min(self.deviation) > 0):
            raise ValueError(f"need side >= 8, floor > 0 and deviation > 0, got {self}")
        if self.layout is Layout.NHW and self.colour is not Colour.GREY:
            raise ValueError(f"without an axis for channels a face is grey, got {self}")

    @classmethod
    def of_card(cls, card: Card) -> FacePreparation:
        """Read the preparation from a card; what is not ours (``crop``, remarks) is left.

        Raises:
            ModelError: if a value is missing or makes no sense.
        """
        known = {f.name for f in fields(cls)}
        try:
            p = card.preparation
            given = {k: v for k, v in p.items() if k in known}
            return cls(**{**given, "side": int(p["side"]), "floor": float(p.get("floor", 8.0))})
        except KeyError as e:
            raise ModelError(
                f"card {card.id!r}: the preparation of a face model needs {e}; export it again"
            ) from e
        except (TypeError, ValueError) as e:
            raise ModelError(
                f"card {card.id!r}: the preparation does not fit a face model: {e}"
            ) from e

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a prepared face: (channels, side, side), or as `layout` has it."""
        square = (self.side, self.side)
        channels = (self.colour.channels,)
        return {
            Layout.NCHW: channels + square,
            Layout.NHWC: square + channels,
            Layout.NHW: square,
        }[self.layout]

    def __call__(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepare one crop: RGB uint8, (side', side', 3) → float32, `shape`.

        Raises:
            InputError: if it is not an RGB uint8 image.
        """
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or crop.size == 0:
            raise InputError(
                f"a face crop must be RGB uint8 of shape (H, W, 3), got {crop.dtype} {crop.shape}"
            )
        row: NDArray[np.float32] = self.normalise(crop[None])[0]
        return row

    def recolour(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Make a crop (H, W) if the model sees grey (Rec. 601 luma), else RGB, (H, W, 3)."""
        import cv2

        out: Any = crop
        if self.colour is Colour.GREY and crop.ndim == 3:
            out = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        elif self.colour is not Colour.GREY and crop.ndim == 2:
            out = cv2.cvtColor(crop, cv2.COLOR_GRAY2RGB)
        pixels: NDArray[np.uint8] = out
        return pixels

    def resize(self, face: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a face, (H, W) or (H, W, 3), to `side` × `side`."""
        import cv2

        if face.shape[:2] == (self.side, self.side):
            return face
        # Area averaging does not alias when it shrinks, and is blocky when it grows.
        how = cv2.INTER_AREA if min(face.shape[:2]) > self.side else cv2.INTER_LINEAR
        out: Any = cv2.resize(face, (self.side, self.side), interpolation=how)
        resized: NDArray[np.uint8] = out
        return resized

    def normalise(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepare many faces of one size, grey (n, H, W) or RGB (n, H, W, 3): (n, *shape).

        Row by row the same as calling it on each face as an RGB crop.
        """
        if faces.shape[1:] != self._pixels:
            faces = np.stack([self.resize(self.recolour(face)) for face in faces])
        levels = faces.astype(np.float32)
        levels = levels[:, None] if faces.ndim == 3 else levels.transpose(0, 3, 1, 2)
        if self.colour is Colour.BGR:
            levels = levels[:, ::-1]
        scaled = self._by_itself if self.standard is Standard.SELF else self._by_constants
        return self._laid_out(scaled(levels))

    def _laid_out(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring (n, channels, side, side) to the order of `layout`."""
        if self.layout is Layout.NHWC:
            return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
        return levels[:, 0] if self.layout is Layout.NHW else levels

    @property
    def _pixels(self) -> tuple[int, ...]:
        """Shape of a face that needs no resizing nor recolouring."""
        return (self.side, self.side, 3)[: 2 if self.colour is Colour.GREY else 3]

    def _by_itself(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        axes = (2, 3) if self.colour is Colour.GREY else (1, 2, 3)
        levels = np.ascontiguousarray(levels)
        levels -= levels.mean(axis=axes, keepdims=True)
        deviation = levels.std(axis=axes, keepdims=True)
        levels /= np.maximum(deviation, np.float32(self.floor))
        return levels

    def _by_constants(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        mean, deviation = (np.asarray(x, np.float64).reshape(-1, 1, 1) for x in self._constants)
        scale, shift = (1 / (255 * deviation)).astype(np.float32), mean / deviation
        out: NDArray[np.float32] = np.ascontiguousarray(levels * scale - shift.astype(np.float32))
        return out

    @property
    def _constants(self) -> tuple[Any, Any]:
        """Mean and deviation in fractions of white, one for all channels or one each."""
        fixed = {
            Standard.UNIT: ((0.0,), (1.0,)),
            Standard.SIGNED: ((0.5,), (0.5,)),
            Standard.RAW: ((0.0,), (1 / 255,)),
            Standard.SET: (self.mean, self.deviation),
        }
        if self.standard in fixed:
            return fixed[self.standard]
        mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
        if self.colour is Colour.GREY:  # what a grey picture's luma would have
            return _LUMA @ mean[:, None], _LUMA @ deviation[:, None]
        order = slice(None, None, -1 if self.colour is Colour.BGR else 1)
        return mean[order], deviation[order]


class FaceRecogniser(OnnxRecogniser):
    """Reads the expression of one face.

    Its card's `preparation` holds the keys of `FacePreparation` and ``crop``, the
    name of the crop geometry the model was trained with.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        super().__init__(card, files, threads)
        self.preparation = FacePreparation.of_card(card)

    def prepare(self, sample: Any) -> NDArray[np.float32]:
        """Turn an aligned RGB uint8 crop into a row, float32, shape `FacePreparation.shape`."""
        return self.preparation(sample)
