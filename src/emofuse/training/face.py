"""Trains the face model on FER2013 with FER+'s votes, and ships it.

Each face is taught half by FER+'s votes, half by FER2013's own label; where FER+
has no votes, the label stands alone and contempt, which FER2013 does not know,
is left out of that face's loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.labels import CANONICAL
from ..corpora.manifest import Split
from ..corpora.recipes import fer2013
from ..evaluation import metrics
from ..evaluation.face import FaceSamples, evaluate, figures, logits_of, read_samples
from ..face.recognise import FacePreparation, FaceRecogniser
from ..models.card import Calibration, Card
from .augment import FaceAugmentation, mixup
from .curves import draw_curves
from .data import shuffled
from .export import export, write_card, write_golden
from .loop import BEST, Batch, LoopConfig, Task, fit, load_weights
from .nets.face.residual import FaceNet, FaceNetConfig

CROP = "fer2013"
"""The crop geometry of the corpus, by its name in `emofuse.face.crop`."""


@dataclass(frozen=True, slots=True)
class FaceTraining:
    """Everything a training of the face model depends on.

    Args:
        id: of the model that is made.
        data: folder of the corpus, see `emofuse.corpora.recipes.fer2013`.
        run: folder of the training, to go on from when it was interrupted.
        out: where the finished model is put (``weights/``, ``zoo/``).
        batch: faces per step.
        votes: share of FER+'s votes in the target; the rest is FER2013's label.
        mixup: parameter of the Beta distribution; 0 does not mix.
        preparation: how a crop becomes a row.
        augmentation: how training faces are changed before that.
        net: shape of the net.
        loop: how it is trained.
    """

    id: str = "face-compact-v1"
    data: Path = Path("data")
    run: Path = Path("runs/face")
    out: Path = Path("runs/face/model")
    batch: int = 128
    votes: float = 0.5
    mixup: float = 0.0
    preparation: FacePreparation = field(default_factory=FacePreparation)
    augmentation: FaceAugmentation = field(default_factory=FaceAugmentation)
    net: FaceNetConfig = field(default_factory=FaceNetConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if self.batch < 2 or not 0 <= self.votes <= 1 or self.mixup < 0:
            raise ValueError(f"need batch >= 2, votes in [0, 1], mixup >= 0, got {self}")
        if self.net.labels != len(CANONICAL):
            raise ValueError(f"the face net answers {len(CANONICAL)} labels, got {self.net}")


def train(config: FaceTraining) -> Path:
    """Train the face net, or go on where an interrupted training stopped; then ship it.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if the corpus is missing or the folder holds another run.
    """
    torch.manual_seed(config.loop.seed)
    net = new_net(config)
    fit(make_task(net, config), config.loop, config.run)
    draw_curves(config.run)
    card = ship(config)
    return config.out / "zoo" / f"{card.id}.toml"


def new_net(config: FaceTraining) -> nn.Module:
    """Make the net with random weights. Channels last is the faster layout on a CPU."""
    return FaceNet(config.net).to(memory_format=torch.channels_last)


def make_task(net: nn.Module, config: FaceTraining) -> Task:
    """Put together what `fit` needs: training batches and a measure on `validation`."""
    learn = read_samples(config.data, Split.TRAIN, fer2013.BLANK)
    choose = read_samples(config.data, Split.VALIDATION, fer2013.BLANK, fer2013.DUPLICATE)
    target, known = learn.target(config.votes)
    prepared = config.preparation.normalise(choose.faces)

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        for index in shuffled(len(target), config.batch, rng):
            faces = config.augmentation(learn.faces[index], rng)
            batch = Batch(
                (_tensor(config.preparation.normalise(faces)),),
                torch.from_numpy(target[index]),
                torch.from_numpy(known[index]),
            )
            yield mixup(batch, config.mixup, rng)

    def validate(net: nn.Module) -> dict[str, float]:
        return figures(_answers(net, prepared, config.loop), choose)

    return Task(net, batches, len(target) // config.batch, validate, select="accuracy")


def ship(config: FaceTraining, splits: Sequence[Split] = (Split.VALIDATION, Split.TEST)) -> Card:
    """Export the best weights of a run: graph, calibration, figures, card, golden pair.

    The temperature and the prior come from `validation`. `splits` are measured for
    the card; `test` belongs there only when nothing is chosen any more.
    """
    net = load_weights(new_net(config), config.run / BEST)
    choose = read_samples(config.data, Split.VALIDATION, fer2013.BLANK, fer2013.DUPLICATE)
    example = _tensor(config.preparation.normalise(choose.faces[:4]))
    fields = _card_fields(config)
    recogniser = _recogniser(export(net, (example,), fields, config.out), config.out)
    fields |= _calibrate(logits_of(recogniser, choose), choose, config.votes)
    files = {role: asdict(file) for role, file in recogniser.card.files.items()}
    recogniser = _recogniser(write_card({**fields, "files": files}, config.out), config.out)
    found = evaluate(recogniser, config.data, splits)
    fields["metrics"] = [asdict(m) for m in found]
    card = write_card({**fields, "files": files}, config.out)
    write_golden(recogniser, drawn_faces(), config.out)
    return card


def drawn_faces() -> list[NDArray[np.uint8]]:
    """Draw three simple faces (smiling, flat, open mouth): RGB uint8, of several sizes.

    They stand in golden pairs, where photographs of people have no place.
    """
    faces = []
    for side, bend, opening in ((48, 0.25, 0.03), (96, 0.0, 0.03), (131, -0.1, 0.12)):
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        head = (x / 0.75) ** 2 + (y / 0.95) ** 2 < 1
        eyes = (np.abs(np.abs(x) - 0.3) < 0.12) & (np.abs(y + 0.2) < 0.06 + opening / 2)
        mouth = (np.abs(x) < 0.4) & (np.abs(y - 0.5 + bend * (x / 0.4) ** 2) < 0.02 + opening)
        grey = np.where(head, 190 - 40 * x, 60 + 20 * y)
        grey = np.where(eyes | mouth, 40.0, grey)
        tint = np.array([1.0, 0.85, 0.75])
        faces.append(np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8))
    return faces


def _calibrate(logits: NDArray[np.float32], samples: FaceSamples, votes: float) -> dict[str, Any]:
    target, _ = samples.target(votes)
    calibration = Calibration(round(metrics.fit_temperature(target, logits), 4))
    prior = calibration.probabilities(logits).mean(axis=0, dtype=np.float64)
    return {
        "calibration": {"temperature": calibration.temperature},
        "prior": [round(float(p), 5) for p in prior],
    }


def _card_fields(config: FaceTraining) -> dict[str, Any]:
    return {
        "id": config.id,
        "modality": "face",
        "recogniser": "face",
        "summary": "A compact residual net on 48 x 48 grey faces: seven emotions and contempt",
        "taxonomy": CANONICAL.name,
        "labels": list(CANONICAL.labels),
        "licence": "research use only (as its training data, FER2013)",
        "notes": [
            "Trained once (one seed); the epoch was chosen by accuracy on validation.",
            "Contempt is taught by FER+'s votes alone and is very rare there: expect to miss it.",
            "The temperature makes the probabilities fit half FER+'s votes and half FER2013's "
            "label, as the training did. Against FER+'s majority they are too modest.",
            "FER2013 was gathered by web search: its people and expressions are not balanced and "
            "its labels are noisy. What a face expresses is not what a person feels.",
        ],
        "preparation": {
            "side": config.preparation.side,
            "floor": config.preparation.floor,
            "colour": "grey",
            "normalisation": "each crop: less its mean, divided by its deviation (at least floor)",
            "crop": CROP,
        },
        "data": [
            {
                "name": "FER2013",
                "licence": "research use (Kaggle challenge of ICML 2013; images from the web)",
                "used": "split train without blank images; validation to choose and calibrate",
                "citation": "Goodfellow et al., Challenges in representation learning, 2013",
            },
            {
                "name": "FER+",
                "licence": "MIT (the votes, by Microsoft; the images are FER2013's)",
                "used": "votes of ten taggers on the same faces, unknown and no-face left out",
                "citation": "Barsoum et al., Training deep networks for facial expression "
                "recognition with crowd-sourced label distribution, ICMI 2016",
            },
        ],
    }


def _recogniser(card: Card, out: Path) -> FaceRecogniser:
    return FaceRecogniser(card, {r: out / "weights" / f.name for r, f in card.files.items()})


def _answers(
    net: nn.Module, prepared: NDArray[np.float32], loop: LoopConfig
) -> NDArray[np.float32]:
    """Run a net on prepared faces as it is trained: (n, 1, side, side) → (n, labels)."""
    kind = torch.device(loop.device).type
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=loop.bf16):
        parts = [net(x.to(loop.device)).float().cpu() for x in _tensor(prepared).split(256)]
    return torch.cat(parts).numpy()


def _tensor(prepared: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(prepared).contiguous(memory_format=torch.channels_last)
