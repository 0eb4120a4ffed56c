"""Trains the face model on FER2013 with FER+'s votes.

Each face is taught half by FER+'s votes, half by FER2013's own label; where FER+
has no votes, the label stands alone and contempt, which FER2013 does not know,
is left out of that face's loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..core.labels import CANONICAL
from ..corpora.labels import load_map, soft_targets
from ..corpora.manifest import Manifest, Split
from ..corpora.recipes import fer2013
from ..evaluation import metrics
from ..face.recognise import FacePreparation
from .augment import FaceAugmentation, Faces, mixup
from .data import read_grey_images, shuffled
from .loop import Batch, LoopConfig, Task, fit
from .nets.face import FaceNet, FaceNetConfig

ID = "face-compact-v1"


@dataclass(frozen=True, slots=True)
class FaceTraining:
    """Everything a training of the face model depends on.

    Args:
        data: folder of the corpus, see `emofuse.corpora.recipes.fer2013`.
        run: folder of the training, to go on from when it was interrupted.
        batch: faces per step.
        votes: share of FER+'s votes in the target; the rest is FER2013's label.
        mixup: parameter of the Beta distribution; 0 does not mix.
        preparation: how a crop becomes a row.
        augmentation: how training faces are changed before that.
        net: shape of the net.
        loop: how it is trained.
    """

    data: Path = Path("../shared/data")
    run: Path = Path("runs/face")
    batch: int = 128
    votes: float = 0.5
    mixup: float = 0.2
    preparation: FacePreparation = field(default_factory=FacePreparation)
    augmentation: FaceAugmentation = field(default_factory=FaceAugmentation)
    net: FaceNetConfig = field(default_factory=FaceNetConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if self.batch < 2 or not 0 <= self.votes <= 1 or self.mixup < 0:
            raise ValueError(f"need batch >= 2, votes in [0, 1], mixup >= 0, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Faces of one split with both labellings.

    Args:
        faces: grey uint8, (n, side, side).
        labels: FER2013's label in canonical classes, one-hot, (n, 8).
        votes: FER+'s votes in canonical classes, summing to 1, or 0 where there
            are none, (n, 8).
    """

    faces: Faces
    labels: NDArray[np.float32]
    votes: NDArray[np.float32]

    def target(self, share: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Mix both labellings: targets (n, 8) and which of their labels are known."""
        voted = self.votes.any(axis=1, keepdims=True)
        mixed = share * self.votes + (1 - share) * self.labels
        known = voted | load_map("fer2013").covered
        return np.where(voted, mixed, self.labels), known


def read_samples(root: Path, split: Split, *leave_out: str) -> Samples:
    """Read one split, without the faces that carry one of the flags `leave_out`."""

    def part(manifest: Manifest) -> Manifest:
        return manifest.of(split).without(*leave_out)

    labelled, voted = part(fer2013.load(root)), part(fer2013.load_votes(root))
    return Samples(
        read_grey_images(e.path for e in labelled),
        soft_targets(labelled, load_map("fer2013")),
        soft_targets(voted, load_map("ferplus")),
    )


def train(config: FaceTraining) -> Path:
    """Train the face net, or go on where an interrupted training stopped.

    Returns:
        Path of the weights of the epoch that is best on `validation`.
    """
    torch.manual_seed(config.loop.seed)
    net = FaceNet(config.net).to(memory_format=torch.channels_last)
    return fit(make_task(net, config), config.loop, config.run)


def make_task(net: nn.Module, config: FaceTraining) -> Task:
    """Put together what `fit` needs: training batches and a measure on `validation`."""
    learn = read_samples(config.data, Split.TRAIN, fer2013.BLANK)
    choose = read_samples(config.data, Split.VALIDATION, fer2013.BLANK, fer2013.DUPLICATE)
    target, known = learn.target(config.votes)

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        for index in shuffled(len(target), config.batch, rng):
            faces = config.augmentation(learn.faces[index], rng)
            inputs = torch.from_numpy(config.preparation.normalise(faces))
            batch = Batch(
                (inputs.contiguous(memory_format=torch.channels_last),),
                torch.from_numpy(target[index]),
                torch.from_numpy(known[index]),
            )
            yield mixup(batch, config.mixup, rng)

    def validate(net: nn.Module) -> dict[str, float]:
        logits = logits_of(net, config.preparation.normalise(choose.faces), config.loop)
        return figures(logits, choose)

    return Task(net, batches, len(target) // config.batch, validate, select="accuracy")


def logits_of(
    net: nn.Module, prepared: NDArray[np.float32], loop: LoopConfig
) -> NDArray[np.float32]:
    """Run a net on prepared faces, (n, 1, side, side) → (n, labels)."""
    with (
        torch.inference_mode(),
        torch.autocast(torch.device(loop.device).type, torch.bfloat16, enabled=loop.bf16),
    ):
        rows = torch.from_numpy(prepared).contiguous(memory_format=torch.channels_last).split(256)
        return torch.cat([net(x.to(loop.device)).float().cpu() for x in rows]).numpy()


def figures(logits: NDArray[np.float32], samples: Samples) -> dict[str, float]:
    """Measure logits against both labellings.

    Returns:
        ``accuracy``: against FER2013's label; the answer is the best of FER2013's
        seven classes, that is, contempt is left out. ``macro_f1``: the same over
        seven classes. ``ferplus_accuracy``: against the class with most FER+ votes,
        eight classes, over the faces where one class has more votes than any other.
    """
    seven = load_map("fer2013").covered
    label = samples.labels.argmax(axis=1)
    best_of_seven = np.where(seven, logits, -np.inf).argmax(axis=1)
    top = np.sort(samples.votes, axis=1)[:, -2:]
    clear = top[:, 1] > top[:, 0]
    majority = samples.votes.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(label, best_of_seven),
        "macro_f1": metrics.macro_f1(label, best_of_seven, len(CANONICAL)),
        "ferplus_accuracy": metrics.accuracy(majority[clear], logits.argmax(axis=1)[clear]),
    }
