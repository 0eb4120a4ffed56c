"""All subsets of face, voice and text."""

from __future__ import annotations

import numpy as np

from ...report.document import Section, Table
from ..paired import Subset
from ..study import INDEPENDENT, Study, alone
from .finding import Finding, mean_accuracy, named, percent, points


def section(study: Study) -> Finding:
    """Compare strategies on every subset of the modalities of triples."""
    seeds, every = study.triple_seeds, study.subsets
    best_of = {
        seed: {m: alone(study.triples(seed), m).accuracy for m in every[-1]} for seed in seeds
    }
    single = {m: float(np.mean([best_of[seed][m] for seed in seeds])) for m in every[-1]}
    accuracy: dict[str, dict[Subset, float]] = {}
    margin: dict[str, dict[Subset, float]] = {}
    tick = study.progress("subsets", len(every) * len(study.fusers) * len(seeds))
    for fuser in study.fusers:
        accuracy[fuser.name], margin[fuser.name] = {}, {}
        for subset in every:
            runs = []
            for seed in seeds:
                runs.append(study.fused(fuser, seed, subset))
                tick()
            best = [max(best_of[seed][m] for m in subset) for seed in seeds]
            accuracy[fuser.name][subset] = mean_accuracy(runs)
            gains = [run.accuracy - b for run, b in zip(runs, best, strict=True)]
            margin[fuser.name][subset] = float(np.mean(gains))
    names, labels = study.names, study.triples(0).labels
    rows = tuple(
        (
            named(subset),
            percent(max(single[m] for m in subset)),
            *(f"{percent(accuracy[n][subset])} ({points(margin[n][subset])})" for n in names),
        )
        for subset in every
    )
    text = (
        "Triples of a FER2013 test face, a CREMA-D test clip and a GoEmotions test comment of the "
        f"same of {len(labels)} labels ({', '.join(labels)}), {study.plan.per_label} of each. In "
        "brackets: percentage points above the best modality present. Target: never more than "
        "one below."
    )
    table = Table("Accuracy by what is present", ("present", "best alone", *names), rows)
    worst = {n: min(margin[n].values()) for n in names}
    default = study.default.name
    return Finding(
        Section("3. Any modality may be missing", (text, INDEPENDENT, table)),
        {"subsets": {n: {named(s): a for s, a in accuracy[n].items()} for n in names}},
        (
            (
                "least gain over the best modality",
                points(worst[default]),
                f"{default}, of seven subsets",
            ),
        ),
        {
            "all three modalities": {n: percent(accuracy[n][every[-1]]) for n in names},
            "least gain over the best modality": {n: points(worst[n]) for n in names},
        },
    )
