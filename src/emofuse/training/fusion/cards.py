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
from .data import Material
from .moments import Floats, Moments, only, subsets


def card_fields(
    config: FusionTraining, material: Material, probabilities: Callable[[Moments], Floats]
) -> dict[str, Any]:
    """Return the card's fields, less calibration, fusion and files.

    The figures are written to the run's ``metrics.json``, too.
    """
    names = [card.id for card in material.cards.values()]
    found = sorted({r.corpus for rs in material.readings.values() for r in rs})
    data = [_data(corpus, material) for corpus in found]
    measured = list(_metrics(config.strategy, material, probabilities))
    report = {"metrics": measured, "learnt": len(material.learn), "chosen": len(material.choose)}
    save_text(json.dumps(report, indent=1) + "\n", config.run / "metrics.json")
    return {
        "id": config.name,
        "modality": Modality.FUSED.value,
        "summary": f"{config.strategy.value} fusion of {', '.join(names[:-1])} and {names[-1]}",
        "taxonomy": CANONICAL.name,
        "labels": list(CANONICAL.labels),
        "licence": "as the data that its pairs are made of, "
        + "; ".join(f"{d['name']}: {d['licence']}" for d in data),
        "notes": [
            *config.notes,
            f"Trained once (seed {config.seed}) on {len(material.learn)} pairs of samples by "
            "label, all of validation splits: given the label, their modalities are independent, "
            "which those of one person are not. Its gain on people will be smaller.",
        ],
        "data": data,
        "metrics": measured,
    }


def _data(corpus: str, material: Material) -> dict[str, Any]:
    recipe = recipes.recipe(corpus)
    samples = sum(len(r) for rs in material.readings.values() for r in rs if r.corpus == corpus)
    return {
        "name": corpus,
        "licence": recipe.licence,
        "used": f"{samples} samples of the validation split: what recognisers said of them",
        "citation": recipe.citation,
        "corpus": corpus,
        "splits": ["validation"],
    }


def _metrics(
    strategy: Strategy, material: Material, probabilities: Callable[[Moments], Floats]
) -> Iterator[dict[str, Any]]:
    for some in subsets(material.layout.modalities):
        moments = only(material.choose, material.layout, some)
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
                "protocol": f"{len(moments)} pairs by label of people that were not learnt from; "
                "the epoch and the temperature were chosen on the same, so it is a little too good",
                "command": "emofuse train fusion --config configs/fusion.yaml --strategy "
                f"{strategy.value} --data ROOT --readings DIR --out RUN",
            }
