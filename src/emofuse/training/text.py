"""Trains the text model, a pretrained sentence encoder, on GoEmotions, and ships it.

The net learns all 28 fine labels. Its answer is their sums per canonical label,
which teaches more than the coarse labels alone would and stays one distribution.
A comment with several labels is taught as equal shares of each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.labels import CANONICAL, LabelMap
from ..corpora.labels import load_map, soft_targets, taxonomy
from ..corpora.manifest import Split
from ..corpora.recipes import goemotions
from ..evaluation import metrics
from ..evaluation.text import (
    LABELS,
    TextSamples,
    choose_thresholds,
    evaluate,
    figures,
    logits_of,
    present_labels,
    read_samples,
    spoken,
    texts_of,
)
from ..models.card import Calibration, Card, sha256_of
from ..text.recognise import Preparation, TextRecogniser, WordPieces, collate
from .curves import draw_curves
from .export import write_card, write_golden, write_onnx
from .loop import BEST, Batch, LoopConfig, Optimiser, Task, fit, load_weights
from .nets.text.encoder import Folded, TextNet, TextNetConfig, load_encoder
from .shrink import shrink

TOKENIZER = "tokenizer.json"

GOLDEN = (
    "I am so happy to see you, this is wonderful!",
    "He never came back, and I cried all night.",
    "How dare you talk to me like that? Get out!",
    "there is somebody in the house please hurry",
    "That is disgusting 🤢, I feel sick.",
    "Wait… what? I had no idea!",
    "The train leaves at 10.30 from platform 4.",
    "Ok",
)
"""Sentences that stand in the golden pair."""

_FIRST_NAMES = """
    James Mary Robert Linda John Susan David Karen Anna Tom Maria Peter Emma Ahmed Sofia Mark
    Laura Ali Nina Carlos Lucy Kevin Jane Omar Grace Ben Rosa Sam Julia Max
""".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How written comments are made to look more like what is read in use.

    Args:
        names: probability that a masked ``[NAME]`` becomes a first name.
        spoken: probability that a comment loses capitals and punctuation, as
            speech recognisers write.

    Raises:
        ValueError: if a probability is none.
    """

    names: float = 0.7
    spoken: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.names <= 1 and 0 <= self.spoken <= 1):
            raise ValueError(f"probabilities must lie in [0, 1], got {self}")


def _default_loop() -> LoopConfig:
    return LoopConfig(
        epochs=3,
        lr=1.5e-4,
        weight_decay=0.01,
        optimiser=Optimiser.ADAMW,
        warmup=0.1,
        ema=0.998,
        grad_clip=1.0,
    )


@dataclass(frozen=True, slots=True)
class TextTraining:
    """Everything that a training of the text model depends on.

    Args:
        id: of the model that is made.
        data: folder of the corpus, see `emofuse.corpora.recipes.goemotions`.
        encoder: folder with a pretrained encoder: ``model.safetensors`` in the
            layout of Hugging Face's ``BertModel``, and ``tokenizer.json``.
        run: folder of the training, to go on from when it was interrupted.
        out: where the finished model is put (``weights/``, ``zoo/``).
        batch: sentences per step.
        frozen_words: keep the pretrained vectors of the word pieces. Most of them
            occur too rarely here to be improved.
        net: shape of the net.
        augment: what is done to training sentences before `prepare`.
        loop: how it is trained.

    Raises:
        ValueError: if the net has not one output for each fine label.
    """

    id: str = "text-minilm-v1"
    data: Path = Path("data/goemotions")
    encoder: Path = Path("models/all-MiniLM-L6-v2")
    run: Path = Path("runs/text")
    out: Path = Path("runs/text/model")
    batch: int = 64
    frozen_words: bool = True
    net: TextNetConfig = field(default_factory=TextNetConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loop: LoopConfig = field(default_factory=_default_loop)

    def __post_init__(self) -> None:
        fine = len(taxonomy("goemotions"))
        if self.batch < 1 or self.net.labels != fine:
            raise ValueError(f"need batch >= 1 and a net of {fine} labels, got {self}")


def train(config: TextTraining) -> Path:
    """Train the text net, or go on where an interrupted training stopped; then ship it.

    Returns:
        Path of the finished model's card.

    Raises:
        InputError: if corpus or encoder are missing or the folder holds another run.
    """
    torch.manual_seed(config.loop.seed)
    fit(make_task(config), config.loop, config.run)
    draw_curves(config.run)
    card = ship(config)
    return config.out / "zoo" / f"{card.id}.toml"


def make_task(config: TextTraining) -> Task:
    """Put together what `fit` needs: net, training batches and a measure on `validation`."""
    manifest = goemotions.load(config.data, goemotions.Grain.FINE)
    learn, choose = manifest.of(Split.TRAIN), manifest.of(Split.VALIDATION)
    texts, target = texts_of(learn), soft_targets(learn, LabelMap.identity(manifest.taxonomy))
    pieces = WordPieces(config.encoder / TOKENIZER, Preparation(config.net.tokens))
    net = load_encoder(TextNet(config.net), config.encoder / "model.safetensors")
    net.words.weight.requires_grad_(not config.frozen_words)
    held_out = TextSamples(texts_of(choose), present_labels(choose))
    held_out_rows = [pieces(text) for text in held_out.texts]

    def batches(_: int, rng: np.random.Generator) -> Iterator[Batch]:
        rows = [pieces(augment(text, config.augment, rng)) for text in texts]
        for index in buckets([len(row) for row in rows], config.batch, rng):
            ids = torch.from_numpy(collate([rows[i] for i in index]))
            yield Batch((ids,), torch.from_numpy(target[index]))

    def validate(net: nn.Module) -> dict[str, float]:
        logits = predict(fold(net), held_out_rows).numpy()
        thresholds = choose_thresholds(logits, held_out, Calibration())
        found = figures(logits, held_out, thresholds, Calibration())
        return {**found, "log_loss": metrics.log_loss(held_out.target, logits)}

    return Task(net, batches, -(-len(texts) // config.batch), validate, select="macro_f1")


def fold(net: nn.Module) -> nn.Module:
    """Make a net that knows fine labels answer the canonical ones."""
    columns = [CANONICAL.index(label) for label in LABELS.labels]
    matrix = load_map("goemotions").matrix[:, columns]
    return Folded(net, torch.from_numpy(matrix)).eval()


def augment(text: str, config: AugmentConfig, rng: np.random.Generator) -> str:
    """Make a written comment look more like what is met in use; see `AugmentConfig`."""
    if "[NAME]" in text and rng.random() < config.names:
        text = text.replace("[NAME]", str(rng.choice(_FIRST_NAMES)))
    return spoken(text) if rng.random() < config.spoken else text


def buckets(lengths: Sequence[int], batch: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Share out sentences to batches of about equal length, in random order.

    Lengths are jittered a little, so that the same sentences don't always meet.
    """
    order = np.argsort(np.asarray(lengths) * rng.uniform(0.9, 1.1, len(lengths)), kind="stable")
    groups = [order[i : i + batch] for i in range(0, len(order), batch)]
    return [groups[i] for i in rng.permutation(len(groups))]


@torch.inference_mode()
def predict(net: nn.Module, rows: Sequence[NDArray[np.int64]], batch: int = 128) -> Tensor:
    """Run a net on prepared rows, alike lengths together: float32 (rows, labels)."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    parts = []
    for k in range(0, len(order), batch):
        ids = torch.from_numpy(collate([rows[i] for i in order[k : k + batch]]))
        parts.append(net(ids).float())
    return torch.cat(parts)[torch.from_numpy(np.argsort(order, kind="stable"))]


def ship(config: TextTraining) -> Card:
    """Export the best weights of a run: graph, calibration, figures, card, golden pair.

    The temperature and the prior come from `validation`; `test` is measured here,
    once everything is chosen.
    """
    net = fold(load_weights(TextNet(config.net), config.run / BEST))
    weights, pieces = config.out / "weights", WordPieces(config.encoder / TOKENIZER)
    graph = weights / f"{config.id}.onnx"
    example = torch.from_numpy(collate([pieces(text) for text in GOLDEN]))
    write_onnx(net, (example,), graph, [{0: "batch", 1: "tokens"}])
    shrink(graph)
    paths = {"weights": graph, "tokenizer": weights / f"{config.id}.{TOKENIZER}"}
    shutil.copyfile(config.encoder / TOKENIZER, paths["tokenizer"])
    fields = _card_fields(config)
    fields["files"] = {role: _described(path) for role, path in paths.items()}
    recogniser = TextRecogniser(write_card(fields, config.out), paths)
    fields |= _calibrate(recogniser, read_samples(config.data, Split.VALIDATION))
    recogniser = TextRecogniser(write_card(fields, config.out), paths)
    found = evaluate(recogniser, config.data, (Split.VALIDATION, Split.TEST))
    fields["metrics"] = [asdict(m) for m in found]
    card = write_card(fields, config.out)
    write_golden(recogniser, GOLDEN, config.out)
    return card


def _described(path: Path) -> dict[str, Any]:
    return {"name": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}


def _calibrate(recogniser: TextRecogniser, samples: TextSamples) -> dict[str, Any]:
    logits = logits_of(recogniser, samples.texts)
    calibration = Calibration(round(metrics.fit_temperature(samples.target, logits), 4))
    prior = calibration.probabilities(logits).mean(axis=0, dtype=np.float64)
    return {
        "calibration": {"temperature": calibration.temperature},
        "prior": [round(float(p), 5) for p in prior],
    }


def _card_fields(config: TextTraining) -> dict[str, Any]:
    return {
        "id": config.id,
        "modality": "words",
        "recogniser": "text",
        "summary": "MiniLM-L6 fine-tuned on Reddit comments: six emotions and neutral in English",
        "taxonomy": LABELS.name,
        "labels": list(LABELS.labels),
        "licence": "Apache-2.0",
        "notes": [
            "Trained once (one seed); the epoch was chosen by macro-F1 on validation.",
            "Weights are stored as int8 with a scale per output; arithmetic is float32, so answers "
            "do not depend on the batch or on a processor's int8 instructions.",
            "It learned GoEmotions' 27 emotions and neutral; its answer is their sums in the "
            "authors' own groups. Approval, caring and desire count as happy there, curiosity, "
            "confusion and realisation as surprise.",
            "English only, written by Reddit's users, among whom young men from the US prevail. "
            "Spoken words lack what a voice adds; irony and quotations are often misread.",
            "The encoder was pretrained by others on public text, Reddit comments among it; "
            "that comments of the test were among these, unlabelled, cannot be ruled out.",
        ],
        "preparation": {"max_tokens": config.net.tokens},
        "data": [
            {
                "name": "GoEmotions",
                "licence": "Apache-2.0",
                "used": "split train; validation (dev) to choose, calibrate and set thresholds",
                "citation": "Demszky et al., GoEmotions: A dataset of fine-grained emotions, "
                "ACL 2020",
            },
            {
                "name": "all-MiniLM-L6-v2",
                "licence": "Apache-2.0",
                "used": "pretrained encoder and tokenizer, by the authors of sentence-transformers",
                "citation": "Wang et al., MiniLM: Deep self-attention distillation for "
                "task-agnostic compression of pre-trained transformers, NeurIPS 2020; Reimers and "
                "Gurevych, Sentence-BERT, EMNLP 2019",
            },
        ],
    }
