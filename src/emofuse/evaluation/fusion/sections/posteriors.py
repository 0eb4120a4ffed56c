"""Truly paired posteriors of RAVDESS, fitted on four folds, tested on the fifth."""

from __future__ import annotations

from typing import Any

from ....fusion.config import Strategy
from ...report.document import Section, Table
from .. import posteriors as ravdess
from ..study import Study
from .finding import Finding, percent, points


def section(study: Study) -> Finding:
    """Compare strategies on RAVDESS' posteriors."""
    plan = study.plan
    data = ravdess.load(plan.posteriors or plan.root)
    rows = ravdess.compare(data, fits(), plan.n_resamples)
    head = ("strategy", "models", "accuracy", "folds", "least gain of a fold", "ECE", "NLL")
    cells = tuple(
        (
            r.name,
            " + ".join(r.models),
            f"{percent(r.accuracy[0])} ({percent(r.accuracy[1], '')}–{percent(r.accuracy[2], '')})",
            " ".join(percent(f, "") for f in r.folds),
            points(min(r.gains)) if len(r.models) > 1 else "–",
            f"{r.ece:.3f}",
            f"{r.nll:.3f}",
        )
        for r in rows
    )
    fused = [r for r in rows if len(r.models) > 1]
    best = max(fused, key=lambda r: r.accuracy[0])
    text = (
        f"{len(data)} clips of {len(set(data.actors))} actors, face and voice of the same moment, "
        "posteriors of models that had not seen the actor (Luna-Jiménez et al. 2021). Strategies "
        "are fitted on four folds and tested on the fifth; no actor is in two folds. "
        f"The authors' own fusion: {percent(ravdess.PUBLISHED)}. Two weights selected on the test "
        f"folds themselves: {percent(ravdess.CEILING)}, which bounds what scores alone can give "
        "where one face model is fused. Two face models are averaged first. "
        "Target: 87.5 %, and no fold below its best single model."
    )
    table = Table(
        "Accuracy over eight labels",
        head,
        cells,
        "In brackets: 95 % interval, resampling actors. Gains are over the best single model "
        "of those fused, in the same fold.",
        frozenset({rows.index(best)}),
    )
    summary = {
        r.name: f"{percent(r.accuracy[0])}{'' if r.never_worse else ' (a fold below)'}"
        for r in fused
        if r.models == ravdess.SETS[-1]
    }
    return Finding(
        Section("1. Truly paired: RAVDESS posteriors", (text, table)),
        {"posteriors": [_plain(r) for r in rows]},
        (("RAVDESS, paired", percent(best.accuracy[0]), best.name),),
        {"RAVDESS posteriors (both faces + voice)": summary},
    )


def fits() -> dict[str, ravdess.Fit]:
    """Return every strategy that works on probabilities: by rule, and fitted."""
    pools = [s for s in Strategy if not s.learned]
    rules = {s.value: ravdess.by_rule(s) for s in pools}
    return rules | {f"{s.value}, trained": ravdess.by_strategy(s) for s in pools}


def _plain(row: ravdess.Row) -> dict[str, Any]:
    return {
        "strategy": row.name,
        "models": list(row.models),
        "accuracy": row.accuracy[0],
        "interval": list(row.accuracy[1:]),
        "folds": list(row.folds),
        "gains": list(row.gains),
        "ece": row.ece,
        "nll": row.nll,
    }
