"""Train the text model: a pretrained sentence encoder learns GoEmotions' emotions.

The net learns all 28 fine labels. Its answer is their sums per canonical label,
which teaches more than the coarse labels alone would and stays one distribution.
A comment with several labels is taught as equal shares of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.labels import LabelMap, Taxonomy
from ..corpora.labels import load_map, soft_targets
from ..corpora.manifest import Manifest, Split
from ..corpora.recipes.goemotions import Grain
from ..corpora.recipes.goemotions import load as load_goemotions
from ..evaluation.multilabel import best_thresholds, multilabel_f1
from ..text.recognise import Preparation, WordPieces, collate
from .loop import Batch, LoopConfig, Optimiser, Task, fit
from .nets.text import Folded, TextNet, TextNetConfig, load_encoder

LABELS = Taxonomy("canonical", ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"))
"""What the model answers: the canonical labels that GoEmotions knows, all but contempt."""

_FIRST_NAMES = [
    "James",
    "Mary",
    "Robert",
    "Linda",
    "John",
    "Susan",
    "David",
    "Karen",
    "Anna",
    "Tom",
    "Maria",
    "Peter",
    "Emma",
    "Ahmed",
    "Sofia",
    "Mark",
    "Laura",
    "Ali",
    "Nina",
    "Carlos",
    "Lucy",
    "Kevin",
    "Jane",
    "Omar",
    "Grace",
    "Ben",
    "Rosa",
    "Sam",
    "Julia",
    "Max",
]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How written comments are made to look more like what is read in use.

    Args:
        names: probability that a masked ``[NAME]`` becomes a first name.
        spoken: probability that a comment loses capitals and punctuation, as
            speech recognisers write.
    """

    names: float = 0.7
    spoken: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.names <= 1 and 0 <= self.spoken <= 1):
            raise ValueError(f"probabilities must lie in [0, 1], got {self}")


@dataclass(frozen=True, slots=True)
class TextTraining:
    """Everything that a training of the text model depends on.

    Args:
        data: folder of GoEmotions.
        encoder: folder with a pretrained encoder: ``model.safetensors`` in the
            layout of Hugging Face's ``BertModel``, and ``tokenizer.json``.
        run: folder of the run.
        batch: sentences per step.
        frozen_words: keep the pretrained vectors of the word pieces. Most of them
            occur too rarely here to be improved.
        net: shape of the net.
        augment: what is done to training sentences before `prepare`.
        loop: how it is trained.
    """

    data: Path
    encoder: Path
    run: Path
    batch: int = 64
    frozen_words: bool = True
    net: TextNetConfig = field(default_factory=TextNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=3,
            lr=1.5e-4,
            weight_decay=0.01,
            optimiser=Optimiser.ADAMW,
            warmup=0.1,
            ema=0.998,
            grad_clip=1.0,
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class Sentences:
    """Texts with their labels: `fine` as taught, (n, 28); `present` canonical, bool (n, 7)."""

    texts: tuple[str, ...]
    fine: NDArray[np.float32]
    present: NDArray[np.bool_]


def train(config: TextTraining) -> Path:
    """Train a text model; an interrupted run goes on where it was.

    Returns:
        The weights file of the best epoch.

    Raises:
        InputError: if data, encoder or run folder cannot be used.
    """
    manifest = load_goemotions(config.data, Grain.FINE)
    taught = sentences(manifest.of(Split.TRAIN))
    held_out = sentences(manifest.of(Split.VALIDATION))
    pieces = WordPieces(config.encoder / "tokenizer.json", Preparation(config.net.tokens))
    net = load_encoder(TextNet(config.net), config.encoder / "model.safetensors")
    net.words.weight.requires_grad_(not config.frozen_words)

    def batches(epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        rows = [pieces(augment(text, config.augment, rng)) for text in taught.texts]
        for chosen in buckets([len(row) for row in rows], config.batch, rng):
            ids = torch.from_numpy(collate([rows[i] for i in chosen]))
            yield Batch((ids,), torch.from_numpy(taught.fine[chosen]))

    def validate(net: nn.Module) -> dict[str, float]:
        logits = predict(fold(net), [pieces(text) for text in held_out.texts])
        return figures(logits, held_out.present)

    steps = -(-len(taught.texts) // config.batch)
    return fit(Task(net, batches, steps, validate, "macro_f1"), config.loop, config.run)


def sentences(manifest: Manifest) -> Sentences:
    """Read texts and labels from a manifest of GoEmotions with its fine labels."""
    fine = soft_targets(manifest, LabelMap.identity(manifest.taxonomy))
    return Sentences(tuple(e.text or "" for e in manifest), fine, fine @ _to_canonical() > 0)


def fold(net: nn.Module) -> Folded:
    """Make a net that knows fine labels answer `LABELS`."""
    return Folded(net, torch.from_numpy(_to_canonical())).eval()


def _to_canonical() -> NDArray[np.float32]:
    to = load_map("goemotions")
    columns = [to.target.index(label) for label in LABELS.labels]
    return to.matrix[:, columns].astype(np.float32)


def augment(text: str, config: AugmentConfig, rng: np.random.Generator) -> str:
    """Make a written comment look more like what is met in use; see `AugmentConfig`."""
    if "[NAME]" in text and rng.random() < config.names:
        text = text.replace("[NAME]", str(rng.choice(_FIRST_NAMES)))
    return spoken(text) if rng.random() < config.spoken else text


def spoken(text: str) -> str:
    """Write a text as speech recognisers do: words and apostrophes only, in lower case.

    A text that has no words stays as it is.
    """
    words = re.sub(r"[^\w'’\[\]]+", " ", text).lower().strip()
    return words or text


def buckets(
    lengths: Sequence[int], batch: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Share out sentences to batches of about equal length, in random order.

    Lengths are jittered a little, so that the same sentences don't always meet.
    """
    order = np.argsort(np.asarray(lengths) * rng.uniform(0.9, 1.1, len(lengths)), kind="stable")
    groups = [order[i : i + batch] for i in range(0, len(order), batch)]
    rng.shuffle(groups)  # type: ignore[arg-type]
    return groups


@torch.inference_mode()
def predict(net: nn.Module, rows: Sequence[NDArray[np.int64]], batch: int = 128) -> Tensor:
    """Run a net on prepared rows, alike lengths together: float32 (rows, labels)."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    out: list[Tensor] = []
    for i in range(0, len(order), batch):
        ids = torch.from_numpy(collate([rows[j] for j in order[i : i + batch]]))
        out.append(net(ids).float())
    return torch.cat(out)[torch.from_numpy(np.argsort(order, kind="stable"))]


def figures(logits: Tensor, present: NDArray[np.bool_]) -> dict[str, float]:
    """Measure log probabilities (n, labels) against the labels that are present."""
    p = logits.softmax(dim=1).numpy()
    hit = present[np.arange(len(p)), p.argmax(axis=1)]
    thresholds = best_thresholds(present, p)
    return {
        "macro_f1": float(multilabel_f1(present, p >= thresholds).mean()),
        "top_label_is_right": float(hit.mean()),
        "log_loss": float(-np.log((p * present).sum(axis=1) + 1e-9).mean()),
    }
