"""What estimates keep of their evidence: a small frozen dataclass a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

D = TypeVar("D", bound="Details")


@dataclass(frozen=True, slots=True)
class Details:
    """What an estimate keeps of its evidence, for those who draw or doubt it.

    Each modality has a frozen dataclass of its own that extends this one; fields that are
    not known are None. Files have the known ones by name, under ``details``.

    Example:
        >>> SpeechDetails(voiced=1.2, snr=14.0).to_mapping()
        {'voiced': 1.2, 'snr': 14.0}
    """

    def to_mapping(self) -> dict[str, Any]:
        """Return the known fields by name."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value is not None}

    def in_fused(self: D) -> D:
        """Return what a fused estimate keeps of it: all that does not grow with the evidence."""
        return self

    @classmethod
    def of_mapping(cls: type[D], raw: Mapping[str, Any]) -> D:
        """Read what `to_mapping` made; keys of other modalities are left.

        Example:
            >>> TextDetails.of_mapping({"text": "Well.", "snr": 14.0})
            TextDetails(text='Well.', speaker=None, language=None)
        """
        known = {f.name: raw[f.name] for f in fields(cls) if f.name in raw}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})


@dataclass(frozen=True, slots=True)
class FaceDetails(Details):
    """Of a face.

    Args:
        box: left, top, width and height in fractions of the frame.
        side: pixels of the frame across the face.
        sharpness: in [0, 1]: 0 blurred, 1 as sharp as a face of that many pixels is.
        mouth: how much the mouth moved; see `face.mouth.MouthMotion`.
    """

    box: tuple[float, float, float, float] | None = None
    side: float | None = None
    sharpness: float | None = None
    mouth: float | None = None


@dataclass(frozen=True, slots=True)
class SpeechDetails(Details):
    """Of a voice: seconds of it in the evidence, and the signal-to-noise ratio in dB."""

    voiced: float | None = None
    snr: float | None = None


@dataclass(frozen=True, slots=True)
class TextDetails(Details):
    """Of words.

    Args:
        text: what was said.
        speaker: by whom, if a transcript tells.
        language: ISO 639-1 code of a language that the model does not read: then the
            estimate has no say.
    """

    text: str | None = None
    speaker: str | None = None
    language: str | None = None

    def in_fused(self) -> TextDetails:
        """Leave the words to the estimate of the words: each stands in a result once."""
        return replace(self, text=None)


@dataclass(frozen=True, slots=True)
class GroupDetails(Details):
    """Of a group.

    Args:
        faces: how many were found.
        read: how many of them are large and clear enough to be read.
        dispersion: how far people differ, in [0, 1]: 0 if all show the same, 1 if one half is
            surely positive and the other surely negative; None below two faces.
        voice: whether a voice had a say.
        scene: number of the scene, from 1; it grows with each cut.
    """

    faces: int | None = None
    read: int | None = None
    dispersion: float | None = None
    voice: bool | None = None
    scene: int | None = None
