"""What a training of the face detector depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..core.loop import LoopConfig, Optimizer
from .net import DetectorNetConfig
from .scenes import SceneConfig


@dataclass(frozen=True, slots=True)
class Faces:
    """Where photos and their faces are.

    Args:
        table: CSV, see `emofuse.training.detector.photos`.
        folder: holds the pictures.
        times: how often each photo counts.
    """

    table: Path
    folder: Path
    times: int = 1


@dataclass(frozen=True, slots=True)
class DetectorLossConfig:
    """How cells are assigned to faces, and what weighs how much.

    Args:
        cells: most cells that answer for one face.
        score_power, overlap_power: a cell's fitness is score^a · IoU^b.
        score, box, landmarks: weights of the three losses.
    """

    cells: int = 9
    score_power: float = 0.5
    overlap_power: float = 4.0
    score: float = 1.0
    box: float = 2.5
    landmarks: float = 2.5


def _default_loop() -> LoopConfig:
    return LoopConfig(
        epochs=40,
        lr=3e-3,
        warmup=0.08,
        optimizer=Optimizer.ADAMW,
        weight_decay=0.02,
        ema=0.999,
        grad_clip=10.0,
    )


@dataclass(frozen=True, slots=True)
class DetectorTraining:
    """Everything a training of the face detector depends on.

    Args:
        id: of the model that is made.
        faces: the photos.
        teacher: the published file of YuNet, whose answer for every cell is a target beside
            the faces of the photos' tables; None: these alone.
        init: ``best.safetensors`` of another run, whose weights this one starts from.
        run: folder of the training, to go on from when it was interrupted.
        out: where the finished model is put; by default ``model/`` in the run's folder.
        steps_per_epoch: an epoch is so many batches; after each, the run is saved.
        batch: scenes per step.
        workers: processes that make scenes.
        scenes: how scenes vary.
        net: shape of the net.
        loss: weights of the losses.
        loop: how it is trained; the last epoch is kept.

    Raises:
        ValueError: if a number is out of range.
    """

    id: str = "face-detector-v2"
    faces: tuple[Faces, ...] = ()
    teacher: Path | None = None
    init: Path | None = None
    run: Path = Path("runs/detector")
    out: Path | None = None
    steps_per_epoch: int = 250
    batch: int = 32
    workers: int = 1
    scenes: SceneConfig = field(default_factory=SceneConfig)
    net: DetectorNetConfig = field(default_factory=DetectorNetConfig)
    loss: DetectorLossConfig = field(default_factory=DetectorLossConfig)
    loop: LoopConfig = field(default_factory=_default_loop)

    def __post_init__(self) -> None:
        if min(self.steps_per_epoch, self.batch, self.workers) < 1:
            raise ValueError(f"steps_per_epoch, batch, workers must be >= 1: {self}")

    @property
    def model(self) -> Path:
        """Folder of the finished model."""
        return self.out or self.run / "model"

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.loop.epochs * self.steps_per_epoch
