"""From a model's probabilities to metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..metrics import bootstrap, calibration
from ..metrics import classification as metrics
from ..metrics.state import BINS, MultilabelMetricState, State
from ..predict.segmentation import Segmentation
from ..protocol.protocols import UNCLEAN, Kind
from ..report.results import ClassRow, CorruptedResult, MetricValue, Part, Reliability, known
from .plan import Plan
from .run import ModelRun
from .samples import Floats, Scored

_CALIBRATED = ("ece", "ece_adaptive", "nll", "brier")
"""Metrics that depend on the temperature."""


def parts_of(scored: Scored, segmentation: str, run: ModelRun, plan: Plan) -> list[Part]:
    """Measure predictions as a whole, and the subsets for which metrics are given as well."""
    name = ", ".join(filter(None, (plan.protocol.name, segmentation)))
    how = _protocol(run, plan, segmentation)
    out = []
    if run.multi:
        out.append(_multilabel_part(name, how, scored, run, plan))
        how = f"samples with one label only; {_labels(run)}"
        single = scored.subset(scored.samples.single)
        out.append(_part(f"{name}, one label", how, single, run, plan))
        return out
    out.append(_part(name, how, scored, run, plan))
    clean = np.array([e.flags.isdisjoint(UNCLEAN) for e in scored.samples.entries])
    if 0 < clean.sum() < len(clean):
        flags = sorted({f for e in scored.samples.entries for f in e.flags & UNCLEAN})
        how += f"; without samples flagged {', '.join(flags)}"
        out.append(_part(f"{name}, clean", how, scored.subset(clean), run, plan))
    return out


def _protocol(run: ModelRun, plan: Plan, segmentation: str) -> str:
    words = [Segmentation(segmentation).protocol] if segmentation else []
    if plan.protocol.kind is Kind.FOLDS:
        words.append("each fold by the model not trained on it")
    if run.multi:
        words.append("thresholds chosen on validation for the best F1 of each label")
    return "; ".join((*words, _labels(run)))


def _labels(run: ModelRun) -> str:
    labels = run.alignment.labels
    return f"{len(labels)} labels ({', '.join(labels)})"


def _part(name: str, protocol: str, scored: Scored, run: ModelRun, plan: Plan) -> Part:
    actual, labels = scored.samples.actual, run.alignment.labels
    state = scored.state()
    values = _with_intervals(state, scored, plan)
    for suffix, p in (("uncalibrated", scored.uncalibrated), ("refit", scored.refit)):
        if p is not None:
            at = scored.state(p).total().metrics()
            values |= {f"{name}_{suffix}": MetricValue(float(at[name])) for name in _CALIBRATED}
    if scored.unmasked is not None:
        values["uar_open"] = MetricValue(metrics.uar(actual, scored.unmasked, len(labels) + 1))
    missed = int(scored.missed.sum())
    if missed:
        values["missed"] = MetricValue(float(scored.missed.mean()))
    counts = state.total().counts.astype(np.int64)
    kept = ~scored.missed
    temperatures = {
        "uncalibrated": (1.0, scored.uncalibrated),
        "card": (run.model.card.calibration.temperature, scored.p),
        "refit": (run.temperature_refit or 1.0, scored.refit),
    }
    return Part(
        name=name,
        protocol=protocol,
        samples=len(actual),
        speakers=scored.speakers,
        labels=labels,
        metrics=values,
        classes=_class_rows(labels, counts),
        confusion=tuple(tuple(int(n) for n in row) for row in counts[:, :-1]),
        reliability={
            name: _reliability(t, actual[kept], p[kept])
            for name, (t, p) in temperatures.items()
            if p is not None
        },
        missed=missed,
    )


def _multilabel_part(name: str, protocol: str, scored: Scored, run: ModelRun, plan: Plan) -> Part:
    assert run.thresholds is not None
    state = MultilabelMetricState.of(scored.samples.present, scored.p >= run.thresholds)
    total = state.total()
    f1, labels = total.f1(), run.alignment.labels
    precision, recall = (
        metrics.ratio(total.hits, below) for below in (total.predicted, total.present)
    )
    rows = tuple(
        ClassRow(
            label,
            known(precision[i]),
            known(recall[i]),
            float(f1[i]),
            int(total.present[i]),
            float(run.thresholds[i]),
        )
        for i, label in enumerate(labels)
    )
    return Part(
        name=name,
        protocol=protocol,
        samples=len(scored.samples.entries),
        speakers=scored.speakers,
        labels=labels,
        metrics=_with_intervals(state, scored, plan),
        classes=rows,
        multi_label=True,
    )


def _with_intervals(state: State, scored: Scored, plan: Plan) -> dict[str, MetricValue]:
    values = state.total().metrics()
    limits = bootstrap.intervals(state, scored.groups, plan.n_resamples, plan.seed)
    return {name: MetricValue(float(v), *map(known, limits[name])) for name, v in values.items()}


def _class_rows(labels: Sequence[str], counts: NDArray[np.int64]) -> tuple[ClassRow, ...]:
    measures = (metrics.precision_of, metrics.recall_of, metrics.f1_of)
    columns = [[known(x) for x in measure(counts)] for measure in measures]
    support = counts.sum(axis=1).tolist()
    return tuple(map(ClassRow, labels, *columns, support))


def _reliability(temperature: float, actual: NDArray[np.int64], p: Floats) -> Reliability:
    confidence, accuracy, count = calibration.reliability(actual, p, BINS)
    return Reliability(
        temperature,
        tuple(map(known, confidence)),
        tuple(map(known, accuracy)),
        tuple(count.tolist()),
        calibration.ece(actual, p, BINS) if len(actual) else 0.0,
    )


def with_folds(part: Part, runs: Sequence[ModelRun], folds: Sequence[Scored]) -> Part:
    """Add each fold's metrics; the headline becomes their mean ± standard deviation."""
    if part.multi_label:
        return part
    by_fold = {
        f"fold {run.fold}": {k: float(v) for k, v in fold.state().total().metrics().items()}
        for run, fold in zip(runs, folds, strict=True)
    }
    values = dict(part.metrics)
    for name in next(iter(by_fold.values())):
        mean, deviation = bootstrap.spread(row[name] for row in by_fold.values())
        # The interval is that of all samples together, whose value differs slightly.
        values[name] = replace(values[name], value=mean, deviation=deviation)
    protocol = f"{part.protocol}; mean of {len(by_fold)} folds ± standard deviation"
    return replace(part, metrics=values, folds=by_fold, protocol=protocol)


def robustness(
    clean: Scored, corrupted: Sequence[Scored], run: ModelRun, plan: Plan
) -> tuple[CorruptedResult, ...]:
    """Measure clean and corrupted samples, in the order of the run's corruptions."""
    names = [("clean", ""), *((c.kind, c.strength) for c in run.corruptions)]
    return tuple(
        CorruptedResult(kind, strength, _headline(scored, run, plan))
        for (kind, strength), scored in zip(names, (clean, *corrupted), strict=True)
    )


def _headline(scored: Scored, run: ModelRun, plan: Plan) -> dict[str, MetricValue]:
    shown: dict[str, MetricValue] = {}
    if run.multi:
        assert run.thresholds is not None
        flags = MultilabelMetricState.of(scored.samples.present, scored.p >= run.thresholds)
        shown["macro_f1"] = _with_intervals(flags, scored, plan)["macro_f1"]
        scored = scored.subset(scored.samples.single)
    values = _with_intervals(scored.state(), scored, plan)
    return shown | {name: values[name] for name in ("accuracy", "uar", "ece", "nll")}
