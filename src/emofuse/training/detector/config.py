"""What a training of the face detector depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class DetectorTraining:
    """Everything a training of the face detector depends on.

    Args:
        id: of the model that is made.
        faces: the photos.
        teacher: the published file of YuNet, whose word on every cell is taught beside
            the faces of the photos' tables; None: these alone.
        init: ``state.safetensors`` of a finished run, whose averaged weights this one
            begins with.
        run: folder of the training, to go on from when it was interrupted.
        out: where the finished model is put.
        steps: of the whole training.
        batch: scenes per step.
        lr: peak learning rate of AdamW under a one-cycle schedule.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: on kernels.
        ema: decay per step of the averaged weights, which are those that are kept.
        save_every: steps between saves.
        seed: of everything random.
        threads: CPU threads of torch.
        workers: processes that make scenes.
        bf16: compute in bfloat16 where torch thinks it safe.
        scenes: how scenes vary.
        net: shape of the net.
        loss: weights of the losses.

    Raises:
        ValueError: if a number is out of range.
    """

    id: str = "face-detector-v2"
    faces: tuple[Faces, ...] = ()
    teacher: Path | None = None
    init: Path | None = None
    run: Path = Path("runs/detector")
    out: Path = Path("runs/detector/model")
    steps: int = 10_000
    batch: int = 32
    lr: float = 3e-3
    warmup: float = 0.08
    weight_decay: float = 0.02
    ema: float = 0.999
    save_every: int = 250
    seed: int = 1
    threads: int = 1
    workers: int = 1
    bf16: bool = True
    scenes: SceneConfig = field(default_factory=SceneConfig)
    net: DetectorNetConfig = field(default_factory=DetectorNetConfig)
    loss: DetectorLossConfig = field(default_factory=DetectorLossConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.save_every, self.threads, self.workers) < 1:
            raise ValueError(f"steps, batch, save_every, threads, workers must be >= 1: {self}")
        if not (self.lr > 0 and 0 < self.warmup < 1 and 0 <= self.ema < 1):
            raise ValueError(f"need lr > 0, warmup in (0, 1), ema in [0, 1), got {self}")
