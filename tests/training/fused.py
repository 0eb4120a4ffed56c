"""A face, a voice and a text model that do not exist, and what they would have said."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from filelock import FileLock
from tests.evaluation.synthetic import made

from emofuse.core.estimates import Modality
from emofuse.core.protocols import Fuser
from emofuse.evaluation.predict.cached import CachedPredictions
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser
from emofuse.models.card import Card
from emofuse.models.store import Store
from emofuse.models.write import write_card
from emofuse.training.fusion import FusionTraining, train

LABELS = ("neutral", "happy", "sad", "angry")
PARTS = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
WIDTHS = {Modality.FACE: 3, Modality.SPEECH: None, Modality.TEXT: None}


def name(modality: Modality) -> str:
    return f"{modality.value}-made"


def write_cards(folder: Path) -> dict[Modality, Card]:
    """Write a folder of three cards for `EMOFUSE_MODELS`; the weights are no graphs."""
    folder.mkdir(parents=True, exist_ok=True)
    return {modality: _card(folder, modality) for modality in PARTS}


def _card(folder: Path, modality: Modality) -> Card:
    weights = folder / f"{name(modality)}.onnx"
    weights.write_bytes(modality.value.encode())
    fields = {
        "id": name(modality),
        "modality": modality.value,
        "recogniser": "made",
        "summary": "made up",
        "labels": list(LABELS),
        "embedding": WIDTHS[modality],
        "prior": [0.4, 0.3, 0.2, 0.1],
    }
    return write_card(fields, folder, {"weights": weights})


def predictions(card: Card, n: int, split: str = "validation") -> CachedPredictions:
    """What the model of a card would have said: it is as sure as it is right.

    The embedding holds the face's logits, turned: a net can find them there.
    """
    found = made(card.modality, n, seed=3, corpus="crema-d", split=split)
    turn = np.random.default_rng(0).normal(size=(len(LABELS), 3))
    return replace(
        found,
        model_id=card.id,
        sha256=card.files["weights"].sha256,
        embeddings=(found.logits @ turn).astype(np.float32) if card.embedding else None,
        corpus={"face": "fer2013", "speech": "crema-d", "text": "goemotions"}[card.modality.value],
    )


def write_predictions(folder: Path, cards: dict[Modality, Card], n: int = 240) -> None:
    for card in cards.values():
        found = predictions(card, n)
        found.save(folder / f"{found.name}.parquet")


def _once(make: Callable[[], Path], done: Path) -> Path:
    """Let the first worker of a test run make something; `done` tells the others where it lies."""
    with FileLock(f"{done}.lock"):
        if not done.exists():
            done.write_text(str(make()), encoding="utf-8")
    return Path(done.read_text(encoding="utf-8"))


@cache
def home() -> Path:
    """The folder with ``models/`` and ``predictions/``."""
    folder = Path(os.environ["EMOFUSE_TEST_RUN"]) / "fused"

    def make() -> Path:
        write_predictions(folder / "predictions", write_cards(folder / "models"))
        return folder

    return _once(make, folder.with_name("fused.done"))


def config(strategy: Strategy, run: Path, **more: object) -> FusionTraining:
    """A training that takes seconds."""
    return FusionTraining(
        strategy,
        predictions_cache=home() / "predictions",
        run=run,
        models={m: name(m) for m in PARTS},
        batch=32,
        width=16,
        loop=replace(FusionTraining().loop, lr=1e-2),
        **more,  # type: ignore[arg-type]
    )


@cache
def trained(strategy: Strategy) -> Path:
    """Train a strategy, once in a test run; return its card's path."""

    run = home() / f"run-{strategy.value}"

    def make() -> Path:
        return train(config(strategy, run), Store(folders=[home() / "models"]))

    return _once(make, home() / f"{strategy.value}.done")


def store(*strategies: Strategy) -> Store:
    """A store with the three models and some trained fusers."""
    return Store(folders=[home() / "models", *(trained(s).parent for s in strategies)])


def fuser(strategy: Strategy, **more: object) -> Fuser:
    """A trained fuser, ready."""
    wanted = FusionConfig(strategy, model=f"fusion-{strategy.value}-v1", **more)  # type: ignore[arg-type]
    models = {m: store().card(name(m)) for m in PARTS}
    return make_fuser(wanted, models=models, store=store(strategy))
