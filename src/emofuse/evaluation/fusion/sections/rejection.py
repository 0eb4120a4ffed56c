"""Selective prediction: risk against coverage, thresholds from validation."""

from __future__ import annotations

import numpy as np

from ....fusion.rejection import RejectionConfig
from ...metrics import selective
from ...report.document import Curve, Section, Table
from ..paired import pooled
from ..study import Study
from .finding import Finding, named, percent

_COVERAGE = 0.92
"""Wanted on validation, so that at least 0.90 remains on other samples."""


def section(study: Study) -> Finding:
    """Compare strategies by what rejecting uncertain results gains."""
    every, threshold = study.subsets, RejectionConfig().confidence
    rows, metrics, lines = [], {}, {}
    for fuser in study.fusers:
        held = pooled([study.fused(fuser, 0, s, "validation") for s in every])
        confidence, right = pooled([study.fused(fuser, 0, s) for s in every])
        chosen = selective.threshold_for(held[0], _COVERAGE)
        accepted = confidence >= chosen
        metrics[fuser.name] = m = {
            "aurc": selective.aurc(confidence, right),
            "threshold": chosen,
            "coverage": float(accepted.mean()),
            "accuracy": float(right.mean()),
            "accuracy_accepted": float(right[accepted].mean()),
            "coverage_of_default": float((confidence >= threshold).mean()),
        }
        rows.append(
            (
                fuser.name,
                percent(m["accuracy"]),
                f"{m['aurc']:.3f}",
                f"{selective.best_aurc(right):.3f}",
                f"{chosen:.3f}",
                percent(m["coverage"]),
                percent(m["accuracy_accepted"]),
                percent(m["coverage_of_default"]),
            )
        )
        lines[fuser.name] = _curve(confidence, right)
    head = (
        *("strategy", "accuracy of all", "AURC", "best possible", "threshold"),
        *("coverage", "accuracy of accepted", f"coverage at {threshold:g}"),
    )
    note = (
        f"The threshold accepts {percent(_COVERAGE)} of validation triples, over all seven "
        "subsets; everything else is measured on test triples. AURC: mean risk over all coverages "
        "(Geifman & El-Yaniv 2017), beside that of an oracle that ranks every error last."
    )
    default = study.default.name
    kept = {s: study.fused(study.default, 0, s).confidence >= threshold for s in every}
    by_subset = ", ".join(f"{named(s)} {percent(float(k.mean()))}" for s, k in kept.items())
    mark = (metrics[default]["coverage"], 1 - metrics[default]["accuracy_accepted"])
    shown = dict(list(lines.items())[:4])
    return Finding(
        Section(
            "5. Uncertain results are rejected",
            (
                "A fused estimate may be marked “uncertain”, with a reason; its scores stay. The "
                f"default requires a confidence of {threshold:g}.",
                f"Coverage of {default} at that confidence: {by_subset}.",
                Table("What rejection gains", head, tuple(rows), note),
                Curve("Risk of what is accepted", "coverage", "error rate", shown, mark),
            ),
        ),
        {"rejection": metrics},
        (("coverage by default", percent(metrics[default]["coverage_of_default"]), default),),
        {"AURC": {name: f"{m['aurc']:.3f}" for name, m in metrics.items()}},
    )


def _curve(confidence: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    coverage, risk = selective.risk_coverage(confidence, right)
    picked = np.unique(np.linspace(len(coverage) // 50, len(coverage) - 1, 120).astype(int))
    return tuple((float(coverage[i]), float(risk[i])) for i in picked)
