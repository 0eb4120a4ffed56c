"""What a fuser's card says: its data, and figures of every subset of the modalities."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...corpora import recipes
from ...evaluation.metrics import calibration as calibration_metrics
from ...fusion.config import Strategy
from ..core.checkpoint import save_text
from .config import FusionTraining
from .data import FusionData
from .moments import Floats, Moments, only, subsets


def card_fields(
    config: FusionTraining, data: FusionData, probabilities: Callable[[Moments], Floats]
) -> dict[str, Any]:
    """Return the card's fields, less calibration, fusion and files.

    The figures are written to the run's ``metrics.json``, too.
    """
    names = [card.id for card in data.cards.values()]
    found = sorted({r.corpus for rs in data.predictions.values() for r in rs})
    sources = [_source(corpus, data) for corpus in found]
    measured = list(_metrics(config.strategy, data, probabilities))
    report = {"metrics": measured, "learned": len(data.learn), "chosen": len(data.choose)}
    save_text(json.dumps(report, indent=1) + "\n", config.run / "metrics.json")
    return {
        "id": config.name,
        "modality": Modality.FUSED.value,
        "summary": f"{config.strategy.value} fusion of {', '.join(names[:-1])} and {names[-1]}",
        "taxonomy": CANONICAL.name,
        "labels": list(CANONICAL.labels),
        "licence": "as the data that its pairs are made of, "
        + "; ".join(f"{d['name']}: {d['licence']}" for d in sources),
        "notes": [
            *config.notes,
            f"Trained once (seed {config.loop.seed}) on {len(data.learn)} pairs of samples by "
            "label, all of validation splits: given the label, their modalities are independent, "
            "which those of one person are not. Its gain on people will be smaller.",
        ],
        "data": sources,
        "metrics": measured,
    }


def _source(corpus: str, data: FusionData) -> dict[str, Any]:
    recipe = recipes.recipe(corpus)
    samples = sum(len(r) for rs in data.predictions.values() for r in rs if r.corpus == corpus)
    return {
        "name": corpus,
        "licence": recipe.licence,
        "used": f"{samples} samples of the validation split: what recognisers said of them",
        "citation": recipe.citation,
        "corpus": corpus,
        "splits": ["validation"],
    }


def _metrics(
    strategy: Strategy, data: FusionData, probabilities: Callable[[Moments], Floats]
) -> Iterator[dict[str, Any]]:
    for some in subsets(data.layout.modalities):
        moments = only(data.choose, data.layout, some)
        complete = moments.inputs["mask"].sum(axis=1) == len(some)
        moments = moments.where(complete)
        p = probabilities(moments)
        right = p[np.arange(len(p)), moments.actual]
        figures = {
            "accuracy": float((p.argmax(axis=1) == moments.actual).mean()),
            "log_loss": float(-np.log(np.maximum(right, 1e-9)).mean()),
            "ece": float(calibration_metrics.ece(moments.actual, p)),
        }
        for name, value in figures.items():
            yield {
                "corpus": "pairs by label",
                "split": "validation: " + " + ".join(m.value for m in some),
                "name": name,
                "value": round(value, 4),
                "protocol": f"{len(moments)} pairs by label of people that were not learned from; "
                "the epoch and the temperature were chosen on the same, so it is a little too good",
                "command": "emofuse train fusion --config configs/fusion.yaml --strategy "
                f"{strategy.value} --data ROOT --predictions-cache DIR --out RUN",
            }
