"""What of a model is evaluated, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...face.config import FaceConfig
from ..metrics.bootstrap import N_RESAMPLES
from ..predict.scenes import Faces
from ..predict.segmentation import Segmentation
from ..protocol.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated, and how.

    Args:
        protocol: on which samples.
        segmentations: which part of each clip a speech model gets; the first is the headline.
        faces: whether images are face crops, or faces have to be found in videos and scenes.
        detector: name of the face detector that finds them.
        robustness: also evaluate on corrupted samples.
        noise: folder of recorded noises and rooms, see `robustness.corruptions`.
        refit: also predict validation data, to show what a refitted temperature would give.
        limit: evaluate at most this many samples, drawn by `seed`; 0: all.
        n_resamples: bootstrap samples for the intervals; at least 1000 is advised.
        seed: random seed.
        despite_leaks: turn a refused leak into a warning at the top of the report.
        command: what was run, for the report.
        reproduce: how anyone can run it again, for cards: without this machine's paths.
        label_map: maps the corpus' own labels, see `emofuse.corpora.labels.map_of`.

    Raises:
        ValueError: if a value makes no sense.
    """

    protocol: Protocol = field(default_factory=Protocol)
    segmentations: tuple[Segmentation, ...] = tuple(Segmentation)
    faces: Faces = Faces.AUTO
    detector: str = FaceConfig().detector
    robustness: bool = False
    noise: Path | None = None
    refit: bool = True
    limit: int = 0
    n_resamples: int = N_RESAMPLES
    seed: int = 0
    despite_leaks: bool = False
    command: str = ""
    reproduce: str = ""
    label_map: Path | None = None

    def __post_init__(self) -> None:
        if not self.segmentations or self.limit < 0 or self.n_resamples < 1 or self.seed < 0:
            raise ValueError(
                f"need a segmentation, limit >= 0, n_resamples >= 1 and seed >= 0, got {self}"
            )
