"""How metrics are written for people, in every format alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..metrics.bootstrap import MIN_GROUPS
from .results import Evaluation, MetricValue, Part

DISCLAIMER = (
    "These metrics say how often a model names the same expression as a corpus' labels. They are "
    "about expressions, not feelings: nobody's feelings were measured, and the labels are what "
    "actors were told to show, or what strangers perceived."
)

ROWS = (
    "accuracy", "uar", "macro_f1", "weighted_f1", "micro_f1", "macro_precision", "macro_recall",
    "missed", "uar_open", "ece", "ece_uncalibrated", "ece_refit", "ece_adaptive",
    "ece_adaptive_uncalibrated", "ece_adaptive_refit", "nll", "nll_uncalibrated", "nll_refit",
    "brier", "brier_uncalibrated", "brier_refit",
)  # fmt: skip
"""Metrics in the order of the table."""

TITLES = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "micro_f1": "micro-F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "uar_open": "UAR, unmasked",
    "missed": "missed",
    "ece": "ECE",
    "ece_adaptive": "ECE, adaptive",
    "nll": "NLL",
    "brier": "Brier score",
}

_ERRORS = ("ece", "nll", "brier")

TEMPERATURES = {
    "uncalibrated": "uncalibrated",
    "card": "calibrated by the card",
    "refit": "refitted on validation",
}


def title(name: str) -> str:
    """Return the name of a metric for people: ``ECE (uncalibrated)``."""
    for ending, words in (("_uncalibrated", "uncalibrated"), ("_refit", "refitted")):
        if name.endswith(ending):
            return f"{TITLES.get(name.removesuffix(ending), name)} ({words})"
    return TITLES.get(name, name.replace("_", " "))


def value(name: str, number: float | None) -> str:
    """Format a value: shares as percent, errors with three digits, None as a dash."""
    if number is None or number != number:
        return "–"
    return f"{number:.3f}" if name.startswith(_ERRORS) else f"{100 * number:.1f} %"


def points(metric: MetricValue) -> str:
    """Format a difference of shares in points: ``1.8 points (-18.0 to 22.1)``."""
    text = f"{100 * metric.value:.1f} points"
    if metric.low is None or metric.high is None:
        return text
    return f"{text} ({100 * metric.low:.1f} to {100 * metric.high:.1f})"


def limits(name: str, metric: MetricValue) -> str:
    """Format a deviation or an interval: ``± 2.1``, ``66.0–70.9``; may be empty."""
    scale, digits = (1, 3) if name.startswith(_ERRORS) else (100, 1)
    if metric.deviation is not None:
        return f"± {metric.deviation * scale:.{digits}f}"
    if metric.low is None or metric.high is None or metric.low != metric.low:
        return ""
    return f"{metric.low * scale:.{digits}f}–{metric.high * scale:.{digits}f}"


def cell(name: str, metric: MetricValue | None) -> str:
    """Format a metric with its interval: ``68.4 % (66.0–70.9)``."""
    if metric is None:
        return "–"
    shown, around = value(name, metric.value), limits(name, metric)
    if around.startswith("±"):
        return f"{shown} {around}"
    return f"{shown} ({around})" if around else shown


def rows(parts: Sequence[Part]) -> Iterator[tuple[str, list[MetricValue | None]]]:
    """Yield the metrics that some part has, in order, with the value of each part."""
    for name in ROWS:
        metrics = [part.metrics.get(name) for part in parts]
        if any(m is not None for m in metrics):
            yield name, metrics


def facts(found: Evaluation) -> list[str]:
    """Return a few phrases on what was evaluated."""
    part = found.parts[0]
    out = [f"{found.modality} model", f"protocol: {found.protocol}", f"{part.samples} samples"]
    if part.speakers:
        out.append(f"{part.speakers} speakers")
    return [*out, found.provenance.date[:10]]


def cautions(found: Evaluation) -> list[str]:
    """Return what a reader should know before relying on the metrics."""
    out = list(found.notes)
    out += [f"{n} samples were excluded: {why}." for why, n in found.excluded.items()]
    part = found.parts[0]
    if any(f.low is None for by in found.subgroups for g in by.groups for f in g.metrics.values()):
        out.append("Groups of fewer than five speakers get no interval and are left out of gaps.")
    if part.speakers is not None and part.speakers < MIN_GROUPS:
        out.append(f"There are no intervals: {part.speakers} speakers are too few.")
    elif part.rough:
        out.append(
            f"The intervals are based on only {part.speakers} speakers and are too narrow: other "
            "speakers may well give values outside of them."
        )
    if limit := found.provenance.settings.get("limit"):
        out.append(f"Only {limit} samples were evaluated (--limit): a quick look, not a result.")
    return out


def provenance_rows(found: Evaluation) -> list[tuple[str, str]]:
    """Return what is needed to reproduce the evaluation."""
    p, c = found.provenance, found.corpus
    out = p.rows
    for m in found.models:
        fold = "" if m.fold is None else f" (fold {m.fold})"
        out.append((f"model{fold}", f"{m.id}, sha256 {m.sha256}, temperature {m.temperature:g}"))
    out.append(("corpus", f"{c.name}, labels {c.taxonomy}, {c.entries} entries, digest {c.digest}"))
    settings = ", ".join(f"{k} {v}" for k, v in p.settings.items() if v not in (None, False, 0))
    return [*out, ("settings", settings or "default")]
