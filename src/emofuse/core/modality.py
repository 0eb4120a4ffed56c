"""The modalities: one table that everything iterates.

Built-in modalities are rows of `BUILT_IN`. Another package adds one by registering a
`ModalitySpec` in the entry-point group ``emofuse.modalities``; it is then analyzed, fused,
exported and served like the others.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar

from ..errors import EmofuseError
from .details import Details, FaceDetails, SpeechDetails, TextDetails
from .registry import Registry


class Track(str, Enum):
    """A kind of stream inside a media file."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


class SubjectKind(str, Enum):
    """What a subject is.

    A face followed through the picture, a voice, everybody in the frame, or a person: all
    the faces, and the voice, that are one human being's. A `VOICE` is told apart from others while
    it is heard, in live sessions only; results know it as a speaker's or a person's.
    """

    FACE = "face"
    SPEAKER = "speaker"
    GROUP = "group"
    PERSON = "person"
    VOICE = "voice"

    @property
    def has_face(self) -> bool:
        """Whether it is seen rather than only heard."""
        return self in (SubjectKind.FACE, SubjectKind.PERSON)


class Modality(str):
    """Where an estimate comes from: the id of a row in the table of modalities.

    There is one object for each id, so ``is`` compares. `FUSED` is the combination of
    the others and has no row.

    Raises:
        ValueError: if no modality of that id is registered.

    Example:
        >>> Modality("face") is Modality.FACE
        True
        >>> Modality.SPEECH.spec.name
        'voice'
        >>> Modality("smell")
        Traceback (most recent call last):
        ...
        ValueError: no modality 'smell'; there are face, speech, text
    """

    __slots__ = ()

    FACE: ClassVar[Modality]
    SPEECH: ClassVar[Modality]
    TEXT: ClassVar[Modality]
    FUSED: ClassVar[Modality]

    _known: ClassVar[dict[str, Modality]] = {}

    def __new__(cls, id: str) -> Modality:
        """Return the modality of an id."""
        known = cls._known.get(id)
        if known is None or id not in _OWN_IDS:
            known = next((m for m in specs() if m == id), None)
        if known is None:
            raise ValueError(f"no modality {id!r}; there are {', '.join(specs())}{_broken()}")
        return known

    @classmethod
    def _intern(cls, id: str) -> Modality:
        return cls._known.setdefault(id, str.__new__(cls, id))

    @property
    def value(self) -> str:
        """The id as a plain string, for files."""
        return str(self)

    @property
    def spec(self) -> ModalitySpec:
        """The modality's row. `FUSED` has none."""
        return specs()[self]

    def __repr__(self) -> str:
        return f"Modality({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[[str], Modality], tuple[str]]:
        return Modality, (str(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let configurations name it. A core schema is plain data, so core needs no pydantic."""
        make = {"type": "no-info", "function": cls}
        return {"type": "function-after", "function": make, "schema": handler(str)}


@dataclass(frozen=True, slots=True)
class ModalitySpec:
    """A row of the table of modalities.

    Args:
        id: as in files and settings; lower-case letters, digits and hyphens.
        name: as people read it.
        tracks: what it can be read from, the best first. A modality that reads `Track.AUDIO`
            is given voiced regions, mono at 16 kHz.
        front_end: ``module:attribute`` of its `FrontEnd`, which makes samples of a track.
        model: id of the model that is used unless another is chosen.
        color: ``#rrggbb``, for charts and the live window.
        details: what its estimates keep of their evidence.
        order: place among the others, ascending.
        subject: whom it tells of. What tells of a speaker is given to the face that speaks.
        pooled: whether its estimates are finer than a slot and are averaged into it.
        weight: how much it can tell beside the others, in the log-linear pool; ≥ 0.
        neutral_discount: how much less it tells where it says *neutral*, in [0, 1].
        linear_weight: default weight in the linear opinion pools, ≥ 0.
        quality_exponent: γ in the reliability quality ** γ of its evidence, ≥ 0.

    Raises:
        ValueError: if a value makes no sense.
    """

    id: str
    name: str
    tracks: tuple[Track, ...]
    front_end: str
    model: str
    color: str
    details: type[Details] = Details
    order: int = 100
    subject: SubjectKind = SubjectKind.SPEAKER
    pooled: bool = False
    weight: float = 0.5
    neutral_discount: float = 0.5
    linear_weight: float = 0.3
    quality_exponent: float = 1.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.id) or self.id == "fused":
            raise ValueError(f"a modality's id is made of a-z, 0-9 and -, got {self.id!r}")
        if not re.fullmatch(r"#[0-9a-f]{6}", self.color) or not self.tracks:
            raise ValueError(f"need a color like #7aa2f7 and at least one track, got {self}")
        if min(self.weight, self.linear_weight, self.quality_exponent) < 0:
            raise ValueError(f"weights and exponent must be >= 0, got {self}")
        if not 0 <= self.neutral_discount <= 1:
            raise ValueError(f"neutral_discount must lie in [0, 1], got {self}")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The color as red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


BUILT_IN = (
    ModalitySpec(
        "face",
        name="face",
        tracks=(Track.VIDEO,),
        front_end="emofuse.face.front_end:FRONT_END",
        model="face-v4",
        color="#7aa2f7",
        details=FaceDetails,
        order=0,
        subject=SubjectKind.FACE,
        pooled=True,
        weight=1.0,
        neutral_discount=0.12,
        linear_weight=0.45,
        quality_exponent=0.1,
    ),
    ModalitySpec(
        "speech",
        name="voice",
        tracks=(Track.AUDIO,),
        front_end="emofuse.speech.front_end:FRONT_END",
        model="speech-v4",
        color="#9ece6a",
        details=SpeechDetails,
        order=1,
        weight=1.1,
        neutral_discount=0.12,
        linear_weight=0.30,
        quality_exponent=0.1,
    ),
    ModalitySpec(
        "text",
        name="words",
        tracks=(Track.TEXT, Track.AUDIO),
        front_end="emofuse.text.front_end:FRONT_END",
        model="text-minilm-v3",
        color="#e0af68",
        details=TextDetails,
        order=2,
        weight=0.6,
        neutral_discount=1.0,
        linear_weight=0.25,
    ),
)
"""The rows of the modalities that come with emofuse."""

MODALITIES: Registry[ModalitySpec] = Registry("emofuse.modalities", "modality")
"""The rows that other packages add."""

_OWN_IDS = (*(row.id for row in BUILT_IN), "fused")

Modality.FACE, Modality.SPEECH, Modality.TEXT = (Modality._intern(row.id) for row in BUILT_IN)
Modality.FUSED = Modality._intern("fused")


def modalities() -> tuple[Modality, ...]:
    """Return all registered modalities in order, without `Modality.FUSED`.

    Example:
        >>> [modality.value for modality in modalities()]
        ['face', 'speech', 'text']
    """
    return tuple(specs())


def specs() -> dict[Modality, ModalitySpec]:
    """Return the table: every registered modality's row, in order."""
    return _table(tuple(sys.path))[0]


def name_of(modality: Modality) -> str:
    """Return how a modality is called before people.

    Example:
        >>> name_of(Modality.TEXT), name_of(Modality.FUSED)
        ('words', 'result')
    """
    return "result" if modality is Modality.FUSED else modality.spec.name


def parse_weights(text: str) -> dict[Modality, float]:
    """Read a list of weights; modalities that it does not name get 0.

    Raises:
        ValueError: if it is not such a list.

    Example:
        >>> parse_weights("face=.6, speech=.4")[Modality.SPEECH]
        0.4
    """
    read = dict.fromkeys(modalities(), 0.0)
    for part in text.split(","):
        name, equals, value = (x.strip() for x in part.partition("="))
        try:
            if name not in {m.value for m in read} or not equals:
                raise ValueError
            read[Modality(name)] = float(value)
        except ValueError:
            raise ValueError(
                f"got {part.strip()!r}, expected a list such as face=.6,speech=.4 of "
                f"{', '.join(m.value for m in read)}"
            ) from None
    return read


def _broken() -> str:
    return "".join(f"; {message}" for message in _table(tuple(sys.path))[1].values())


@lru_cache(maxsize=8)
def _table(path: tuple[str, ...]) -> tuple[dict[Modality, ModalitySpec], dict[str, str]]:
    """Read the rows of all packages once; what cannot be read is told once and left out."""
    rows, broken = list(BUILT_IN), {}
    for name in MODALITIES:
        try:
            row = MODALITIES.load(name)
            if row.id in _OWN_IDS:
                raise ValueError(f"there is a modality {row.id!r} already")
            rows.append(row)
        except (EmofuseError, ValueError, AttributeError) as e:
            broken[name] = str(e)
            warnings.warn(f"the modality {name!r} is left out: {e}", RuntimeWarning, stacklevel=2)
    rows.sort(key=lambda row: row.order)
    return {Modality._intern(row.id): row for row in rows}, broken
