"""How figures are written for people, on the page and in Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..metrics.bootstrap import LEAST
from .results import Evaluation, Figure, Part

HONEST = (
    "These figures say how often a model names the expression that a corpus' labels name. "
    "They are about expressions, not feelings: nobody's feelings were measured, and the labels "
    "are what actors were told, or what strangers saw."
)

ROWS = (
    "accuracy", "uar", "macro_f1", "weighted_f1", "micro_f1", "macro_precision", "macro_recall",
    "uar_open", "ece", "ece_uncalibrated", "ece_refit", "ece_adaptive", "ece_adaptive_uncalibrated",
    "ece_adaptive_refit", "nll", "nll_uncalibrated", "nll_refit", "brier", "brier_uncalibrated",
    "brier_refit",
)  # fmt: skip
"""Figures in the order of the table."""

TITLES = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "micro_f1": "micro-F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "uar_open": "UAR, any label allowed",
    "ece": "ECE",
    "ece_adaptive": "ECE, adaptive",
    "nll": "NLL",
    "brier": "Brier score",
}

_ERRORS = ("ece", "nll", "brier")

TEMPERATURES = {
    "raw": "uncalibrated",
    "card": "as the card calibrates",
    "refit": "refitted on validation",
}


def title(name: str) -> str:
    """Write a figure's name: ``ECE (uncalibrated)``."""
    for ending, words in (("_uncalibrated", "uncalibrated"), ("_refit", "refitted")):
        if name.endswith(ending):
            return f"{TITLES.get(name.removesuffix(ending), name)} ({words})"
    return TITLES.get(name, name.replace("_", " "))


def value(name: str, number: float | None) -> str:
    """Write a value: shares as percent, errors with three digits, nothing as a dash."""
    if number is None or number != number:
        return "–"
    return f"{number:.3f}" if name.startswith(_ERRORS) else f"{100 * number:.1f} %"


def points(figure: Figure) -> str:
    """Write a difference of shares in points: ``1.8 points (-18.0 to 22.1)``."""
    told = f"{100 * figure.value:.1f} points"
    if figure.low is None or figure.high is None:
        return told
    return f"{told} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def limits(name: str, figure: Figure) -> str:
    """Write a deviation or an interval: ``± 2.1``, ``66.0–70.9``; may be empty."""
    scale, digits = (1, 3) if name.startswith(_ERRORS) else (100, 1)
    if figure.deviation is not None:
        return f"± {figure.deviation * scale:.{digits}f}"
    if figure.low is None or figure.high is None or figure.low != figure.low:
        return ""
    return f"{figure.low * scale:.{digits}f}–{figure.high * scale:.{digits}f}"


def cell(name: str, figure: Figure | None) -> str:
    """Write a figure with its interval: ``68.4 % (66.0–70.9)``."""
    if figure is None:
        return "–"
    told = limits(name, figure)
    if told.startswith("±"):
        return f"{value(name, figure.value)} {told}"
    return value(name, figure.value) + (f" ({told})" if told else "")


def rows(parts: Sequence[Part]) -> Iterator[tuple[str, list[Figure | None]]]:
    """Yield the figures that some part has, in order, with each part's."""
    for name in ROWS:
        figures = [part.figures.get(name) for part in parts]
        if any(f is not None for f in figures):
            yield name, figures


def facts(found: Evaluation) -> list[str]:
    """Say in some phrases what was measured on what."""
    part = found.parts[0]
    kind = "text" if found.modality == "text" else found.modality
    out = [f"{kind} model", f"protocol: {found.protocol}", f"{part.samples} samples"]
    if part.speakers:
        out.append(f"{part.speakers} speakers")
    return [*out, found.provenance.date[:10]]


def cautions(found: Evaluation) -> list[str]:
    """Return everything that a reader should know before believing the figures."""
    out = list(found.notes)
    out += [f"{n} samples were not asked: those {why}." for why, n in found.left_out.items()]
    part = found.parts[0]
    if any(f.low is None for by in found.subgroups for g in by.groups for f in g.figures.values()):
        out.append("Groups of fewer than five speakers get no interval, and count for no gap.")
    if part.speakers is not None and part.speakers < LEAST:
        out.append(f"{part.speakers} speakers are too few for intervals: there are none.")
    elif part.rough:
        out.append(
            f"The intervals rest on {part.speakers} speakers only and are too narrow: with so few, "
            "other speakers might well have given figures outside of them."
        )
    if limit := found.provenance.settings.get("limit"):
        out.append(f"Only {limit} samples were drawn (--limit): a quick look, no result.")
    return out


def provenance_rows(found: Evaluation) -> list[tuple[str, str]]:
    """Return what is needed to measure again."""
    p, c = found.provenance, found.corpus
    out = [("command", p.command), ("date", p.date), ("emofuse", p.version)]
    out += [("git commit", p.commit)] if p.commit else []
    for m in found.models:
        fold = "" if m.fold is None else f" (fold {m.fold})"
        out.append((f"model{fold}", f"{m.id}, sha256 {m.sha256}, temperature {m.temperature:g}"))
    out.append(("corpus", f"{c.name}, labels {c.taxonomy}, {c.entries} entries, digest {c.digest}"))
    told = ", ".join(f"{k} {v}" for k, v in p.settings.items() if v not in (None, False, 0))
    return [*out, ("settings", told or "as by default")]
