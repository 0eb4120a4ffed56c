"""The report of a model's evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import formatting as fmt
from .document import Bars, Block, Confusion, Document, ReliabilityDiagram, Section, Table
from .formatting import cell, limits, title, value
from .results import Evaluation, Part, Subgroups, describe

_INTERVALS = "In brackets: 95 % bootstrap interval, resampling speakers where they are known."
_CALIBRATION = (
    "Of the predictions with a confidence of 70 %, 70 % should be right: bars should end at the "
    "dashed line. Orange: the model is overconfident; green: underconfident. The gray strip shows "
    "how many predictions a bin holds."
)
_HOW_TO_READ = (
    "Accuracy and UAR: accuracy counts samples, UAR counts classes. A model that always says "
    "“happy” has an accuracy of the share of happy faces, and a UAR of one over the number of "
    "classes. With uneven classes, trust the UAR.",
    "Intervals: if such a corpus were collected again and again with other speakers, about 95 of "
    "100 of the intervals would contain the model's true value. Two models whose intervals "
    "overlap may still differ: compare them on the same samples.",
    "ECE: the mean distance between confidence and accuracy. The card's temperature was fitted "
    "once, on other samples; “refitted” shows what one fitted to this corpus' validation data "
    "would give.",
    "Other corpora: results on a corpus whose training part the model was trained on are the best "
    "case: same studio, same school of acting, same annotators. The protocol cross-corpus is "
    "closer to real use.",
)


def document(found: Evaluation) -> Document:
    """Return the report of an evaluation."""
    return Document(
        title=found.title,
        facts=tuple(fmt.facts(found)),
        sections=tuple(_sections(found)),
        warnings=found.warnings,
        notes=tuple(fmt.cautions(found)),
        provenance=tuple(fmt.provenance_rows(found)),
        results=found.to_mapping(),
        headline=tuple(_headline(found.parts)),
    )


def _headline(parts: Sequence[Part]) -> Iterator[tuple[str, str, str]]:
    lead = parts[0]
    shown = ("macro_f1", "micro_f1") if lead.multi_label else ("accuracy", "uar", "macro_f1", "ece")
    tiles = [(lead, name) for name in shown]
    if lead.multi_label:
        tiles += [(parts[1], name) for name in ("accuracy", "ece")]
    for part, name in tiles:
        metric = part.metrics[name]
        remark = ", ".join(filter(None, (limits(name, metric), part.name)))
        yield title(name), value(name, metric.value), remark


def _sections(found: Evaluation) -> Iterator[Section]:
    parts, lead = found.parts, found.parts[0]
    shown = 2 if lead.multi_label else 1
    yield _metrics(parts)
    if lead.folds:
        yield _folds(lead)
    for part in parts[:shown]:
        yield Section(f"Classes ({part.name})", tuple(_classes(part)))
    calibrated = next((p for p in parts if p.reliability), None)
    if calibrated is not None:
        diagrams = (
            ReliabilityDiagram(fmt.TEMPERATURES[kind], r)
            for kind, r in calibrated.reliability.items()
        )
        yield Section(f"Calibration ({calibrated.name})", (_CALIBRATION, *diagrams))
    yield from map(_subgroups, found.subgroups)
    if found.robustness:
        yield _robustness(found)
    for part in parts[shown:]:
        yield Section(f"Classes ({part.name})", tuple(_classes(part)), collapsed=True)
    yield Section("How to read this report", _HOW_TO_READ, collapsed=True)


def _metrics(parts: Sequence[Part]) -> Section:
    rows = tuple(
        (title(name), *(cell(name, m) for m in metrics), describe(name))
        for name, metrics in fmt.rows(parts)
    )
    head = ("metric", *(p.name for p in parts), "meaning")
    table = Table("", head, rows, _INTERVALS, texts=frozenset({0, len(head) - 1}))
    about = (
        f"{p.name}: {p.samples} samples"
        f"{f' of {p.speakers} speakers' if p.speakers else ''}; {p.protocol}."
        for p in parts
    )
    return Section("Metrics", (table, *about))


def _folds(part: Part) -> Section:
    names = ("accuracy", "uar", "macro_f1", "ece")
    rows = tuple((fold, *(value(n, row[n]) for n in names)) for fold, row in part.folds.items())
    return Section("Folds", (Table("", ("fold", *map(title, names)), rows),))


def _classes(part: Part) -> Iterator[Block]:
    head: tuple[str, ...] = ("label", "precision", "recall", "F1", "samples")
    rows: tuple[tuple[str, ...], ...] = tuple(
        (c.label, *(value("", x) for x in (c.precision, c.recall, c.f1)), str(c.support))
        for c in part.classes
    )
    if part.multi_label:
        head += ("threshold",)
        rows = tuple((*r, f"{c.threshold:.3f}") for r, c in zip(rows, part.classes, strict=True))
    yield Table("", head, rows)
    if part.confusion:
        yield Confusion(part.labels, part.confusion, tuple(c.support for c in part.classes))


def _subgroups(by: Subgroups) -> Section:
    names = ("accuracy", "uar", "ece")
    rows = tuple(
        (g.name, str(g.samples), str(g.speakers or "–"), *(cell(n, g.metrics[n]) for n in names))
        for g in by.groups
    )
    blocks: tuple[Block, ...] = (
        Table("", ("group", "samples", "speakers", *map(title, names)), rows),
    )
    if by.gap and by.between:
        blocks += (
            f"Largest gap in UAR: {by.between[0]} over {by.between[1]} by {fmt.points(by.gap)}. If "
            "the interval includes zero, these speakers do not show that there is a gap.",
        )
    return Section(f"By {by.attribute}", blocks)


def _robustness(found: Evaluation) -> Section:
    names = [n for n in ("macro_f1", "accuracy", "uar", "ece") if n in found.robustness[0].metrics]
    rows = tuple((r.name, *(cell(n, r.metrics[n]) for n in names)) for r in found.robustness)
    lead = names[0] if names[0] == "macro_f1" else "uar"
    table = Table("", ("corruption", *map(title, names)), rows)
    return Section("Robustness", (Bars(lead, found.robustness), table))
