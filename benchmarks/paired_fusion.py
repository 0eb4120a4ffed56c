"""What the default fusion makes of recordings of one person each: RAVDESS' published posteriors.

    EMOFUSE_DATA=… python -m benchmarks.paired_fusion

1,440 clips of 24 actors: posteriors of a face model and of a voice model (Luna-Jiménez et
al. 2021, out of fold), and what the embedded text model says of the spoken sentence, which is
always neutral. Calm counts as neutral. Each part is tempered on the other four folds of
actors; the pool and the rejection are the product's, unfitted. Intervals of differences are
bootstrapped by actor.
"""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.evaluation.fusion import posteriors
from emofuse.evaluation.metrics.calibration import ece
from emofuse.fusion.config import FusionConfig
from emofuse.fusion.factory import make_fuser
from emofuse.fusion.rejection import RejectionConfig, rejection_reason
from emofuse.models.calibrate import fit_temperature
from emofuse.models.registry import load
from emofuse.models.store import Store

SEVEN = Taxonomy("seven", CANONICAL.labels[:7])
SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
PARTS = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
SPAN = Span(0, NS)
Array = NDArray[np.float64]


def seven(p: Array) -> Array:
    """Count calm as neutral: (…, 8) in RAVDESS' order → (…, 7)."""
    return np.concatenate([p[..., :2].sum(axis=-1, keepdims=True), p[..., 2:]], axis=-1)


def tempered(p: Array, actual: NDArray[np.int64], fold: NDArray[np.int64]) -> Array:
    """Calibrate each fold by a temperature found on the others: (clips, labels)."""
    out, logits, targets = np.zeros_like(p), np.log(np.maximum(p, 1e-4)), np.eye(p.shape[1])[actual]
    for held in np.unique(fold):
        test = fold == held
        out[test] = fit_temperature(targets[~test], logits[~test]).probabilities(logits[test])
    return out


def words(path: Path, store: Store) -> Array:
    """What the embedded text model says of each clip's sentence: (clips, 7)."""
    recogniser = load(Modality.TEXT.spec.model, store)
    said = {}
    for statement, text in SENTENCES.items():
        (prediction,) = recogniser.infer([recogniser.prepare(text)])
        said[statement] = [prediction.probabilities[label] for label in SEVEN.labels]
    with path.open(newline="") as f:
        return np.array([said[row["clip"].split("-")[4]] for row in csv.DictReader(f)])


def measure(
    parts: dict[Modality, Array], priors: dict[str, tuple[float, ...]], data: Any
) -> dict[str, Any]:
    """Fuse and judge one subset of the parts."""
    fuser, config = make_fuser(FusionConfig(), priors), RejectionConfig()
    actual = np.maximum(data.actual - 1, 0)
    fused, marked = np.zeros((len(data), 7)), np.zeros(len(data), bool)
    for i in range(len(data)):
        evidence = {
            m: Estimate(SPEAKER, SPAN, Probabilities(SEVEN, p[i]), m, 1.0, m.value)
            for m, p in parts.items()
        }
        result = fuser.fuse(Slot(SPEAKER, SPAN, evidence))
        assert result is not None
        fused[i] = result.probabilities.values[:7]
        marked[i] = rejection_reason(result, config) is not None
    right = fused.argmax(axis=1) == actual
    own = np.stack([p.argmax(axis=1) == actual for p in parts.values()], axis=1)
    best = own[:, own.mean(axis=0).argmax()]
    rng, actors = np.random.default_rng(0), np.array(data.actors)
    by_actor = [np.flatnonzero(actors == a) for a in np.unique(actors)]
    draws = []
    for _ in range(1000):
        rows = np.concatenate([by_actor[k] for k in rng.integers(0, len(by_actor), len(by_actor))])
        draws.append(right[rows].mean() - best[rows].mean())
    one = own.sum(axis=1) == 1
    rescued = ~right & own.any(axis=1)
    return {
        "accuracy": _percent(right.mean()),
        "less_best_part": [_percent(right.mean() - best.mean())]
        + [_percent(v) for v in np.quantile(draws, (0.025, 0.975))],
        "ece": round(ece(actual, fused), 3),
        "right_where_one_part_is": _percent(right[one].mean()),
        "marked_of_wrong_with_a_right_part": _percent(marked[rescued].mean()),
        "marked_of_right": _percent(marked[right].mean()),
        "coverage": _percent((~marked).mean()),
        "accuracy_of_unmarked": _percent(right[~marked].mean()),
    }


def _percent(share: float) -> float:
    return round(100 * float(share), 1)


def main() -> None:
    """Measure every subset with each face model."""
    root, store = data_root(), Store()
    if root is None:
        raise SystemExit("no data folder: set EMOFUSE_DATA")
    path = root / "fusion" / posteriors.TABLE
    data = posteriors.load(path)
    actual = np.maximum(data.actual - 1, 0)
    single = [tempered(seven(data.p[:, k]), actual, data.fold) for k in range(3)]
    faces = {"face MLP": single[0], "face LSTM": single[1]}
    faces["mean of both faces"] = tempered(seven(data.p[:, :2].mean(axis=1)), actual, data.fold)
    text = words(path, store)
    text = text / text.sum(axis=1, keepdims=True)
    card = store.card(Modality.TEXT.spec.model)
    rows: dict[str, Any] = {}
    for name, face in faces.items():
        parts = dict(zip(PARTS, (face, single[2], text), strict=True))
        prior = np.bincount(actual, minlength=7) / len(actual)
        priors = {m.value: tuple(prior) for m in PARTS[:2]}
        if card.prior is not None:
            known = np.array(card.prior)[[card.taxonomy.index(x) for x in SEVEN.labels]]
            priors["text"] = tuple(known / known.sum())
        for count in (2, 3):
            for subset in combinations(PARTS, count):
                found = measure({m: parts[m] for m in subset}, priors, data)
                rows[f"{name}: {' + '.join(m.spec.name for m in subset)}"] = found
                print(name, [m.value for m in subset], found, flush=True)
    write_result("paired_fusion", {"rows": rows})


if __name__ == "__main__":
    main()
