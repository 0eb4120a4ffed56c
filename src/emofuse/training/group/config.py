"""Settings of a group model's training; the defaults are the full recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ...group.streams import Stream, StreamPreparation
from ..core.corpora import CorpusChoice
from ..core.loop import LoopConfig
from ..core.schedules import Schedule
from ..core.targets import TargetConfig
from .nets import ResNetConfig

STAGES = (*(stream.value for stream in Stream), "fusion")
"""Keys of what is trained, one after the other; each has a loop."""

_RESNET101 = (3, 4, 23, 3)


def _loop(epochs: int, every: int) -> LoopConfig:
    return LoopConfig(epochs=epochs, lr=0.01, schedule=Schedule.STEP, every=every, ema=0.0)


class Selection(str, Enum):
    """How keyframes are chosen of a film."""

    SENTIMENT = "sentiment"
    """By the mood of the frames, as in use (`emofuse.group.keyframes`)."""

    EVEN = "even"
    """Evenly spaced: quicker, for tests and comparisons."""


@dataclass(frozen=True, slots=True)
class StreamTraining:
    """How one stream's net is trained.

    Args:
        net: its sizes.
        batch: clips a step.
        loop: how it is trained.

    Raises:
        ValueError: if the batch is too small.
    """

    net: ResNetConfig = field(default_factory=ResNetConfig)
    batch: int = 16
    loop: LoopConfig = field(default_factory=lambda: _loop(50, 20))

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise ValueError(f"need batch >= 2, got {self.batch}")


@dataclass(frozen=True, slots=True)
class HeadTraining:
    """How the head that joins the streams is trained.

    Args:
        batch: clips a step.
        drop: probability of dropping a stream.
        loop: how it is trained.

    Raises:
        ValueError: if a value makes no sense.
    """

    batch: int = 8
    drop: float = 0.25
    loop: LoopConfig = field(default_factory=lambda: _loop(100, 20))

    def __post_init__(self) -> None:
        if self.batch < 2 or not 0 <= self.drop < 1:
            raise ValueError(f"need batch >= 2 and drop in [0, 1), got {self.batch}, {self.drop}")


@dataclass(frozen=True, slots=True)
class GroupTraining:
    """Everything that decides a training of a group model.

    Args:
        id: of the model that is made.
        data: folder of the corpora, where they name none of their own.
        run: folder of the run, with a folder for each stream; it goes on from there if it was
            interrupted.
        out: where the finished model is put; by default ``model/`` in the run's folder.
        clips: folder in which prepared clips are kept; by default ``clips/`` in the run's folder.
        corpora: what is learned from: photos, films or both, with the same labels.
        preparation: what the streams look at. Streams that are not named are not trained; nor
            are those of which no clip has anything.
        selection: how keyframes are chosen.
        scorer: id of the model that scores frames for it; by default the embedded face model.
        visual: the net of the keyframes.
        audio: the net of the sound.
        flow: the net of the motion.
        faces: the net of the faces.
        fusion: the head.
        targets: what is taught.
        skip_unreadable: leave out media that cannot be read (up to 5 %).
        summary: one line about the model for its card.
        licence: of the weights; by default that of the training data.
        notes: for its card, what a user should know.
    """

    id: str = "group"
    data: Path = Path("data")
    run: Path = Path("runs/group")
    out: Path | None = None
    clips: Path | None = None
    corpora: tuple[CorpusChoice, ...] = (CorpusChoice("vgaf"),)
    preparation: StreamPreparation = field(default_factory=StreamPreparation)
    selection: Selection = Selection.SENTIMENT
    scorer: str | None = None
    visual: StreamTraining = field(
        default_factory=lambda: StreamTraining(
            ResNetConfig(_RESNET101, attention=True), 16, _loop(100, 20)
        )
    )
    audio: StreamTraining = field(
        default_factory=lambda: StreamTraining(ResNetConfig(_RESNET101), 32, _loop(30, 10))
    )
    flow: StreamTraining = field(default_factory=StreamTraining)
    faces: StreamTraining = field(default_factory=StreamTraining)
    fusion: HeadTraining = field(default_factory=HeadTraining)
    targets: TargetConfig = field(default_factory=TargetConfig)
    skip_unreadable: bool = False
    summary: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "selection", Selection(self.selection))
        for name in ("corpora", "notes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def model(self) -> Path:
        """Folder of the finished model."""
        return self.out or self.run / "model"

    @property
    def streams(self) -> Mapping[Stream, StreamTraining]:
        """How each stream that is wanted is trained."""
        return {s: getattr(self, s.value) for s in self.preparation.streams}
