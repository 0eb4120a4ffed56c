"""One modality corrupted at a time."""

from __future__ import annotations

from ...report.document import Section, Table
from ..paired import fuse
from ..study import CORRUPTIONS, Study, alone
from .finding import Finding, named, percent


def section(study: Study) -> Finding:
    """Compare strategies on triples of which one modality is corrupted."""
    clean = study.triples(0)
    rows = []
    metrics: dict[str, dict[str, float]] = {}
    for modality, condition in CORRUPTIONS.items():
        corrupted = study.corrupted(modality)
        single = (percent(alone(pairs, modality).accuracy) for pairs in (clean, corrupted))
        rows.append((f"{named((modality,))} alone", condition, *single, "–", "–"))
        others = tuple(m for m in clean.modalities if m is not modality)
        for fuser in study.fusers:
            before = study.fused(fuser, 0, clean.modalities)
            after = fuse(corrupted, fuser.fuser)
            without = study.fused(fuser, 0, others)
            weights = before.weight(modality), after.weight(modality)
            accuracies = before.accuracy, after.accuracy, without.accuracy
            weight = " → ".join(f"{w:.2f}" for w in weights)
            rows.append((fuser.name, condition, *map(percent, accuracies), weight))
            names = ("clean", "corrupted", "without", "weight_clean", "weight_corrupted")
            metrics[f"{fuser.name}, {condition}"] = dict(
                zip(names, (*accuracies, *weights), strict=True)
            )
    text = (
        "All three modalities are present and one is corrupted. A fuser that notices moves its "
        "weight away from it; at worst it should not fall far below its accuracy without it."
    )
    head = ("", "corruption", "clean", "corrupted", "without it", "its mean weight")
    table = Table("Accuracy and weight", head, tuple(rows), texts=frozenset({0, 1}))
    return Finding(Section("One modality corrupted", (text, table)), {"corrupted": metrics})
