"""The report as Markdown, for repositories and cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import formatting as wording
from .formatting import cell, value
from .results import Evaluation, Part, explain


def render(found: Evaluation) -> str:
    """Write an evaluation as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Evaluation) -> Iterator[str]:
    yield f"# {safe(found.title)}"
    yield ""
    yield safe(" · ".join(wording.facts(found)))
    yield ""
    yield f"> {wording.HONEST}"
    for warning in found.warnings:
        yield f"\n**Measured despite a leak:** {safe(warning)}"
    yield "\n## Figures\n"
    parts = found.parts
    shown = [
        [wording.title(name), *(cell(name, f) for f in figures), explain(name)]
        for name, figures in wording.rows(parts)
    ]
    yield from table(["figure", *(p.name for p in parts), "meaning"], shown)
    yield "\nIn brackets: 95 % bootstrap interval, by speaker where there are speakers."
    for part in parts:
        yield f"\n*{safe(part.name)}*: {part.samples} samples; {safe(part.protocol)}."
    yield from _folds(parts[0])
    for part in parts[: 2 if parts[0].multi_label else 1]:
        yield from _classes(part)
    yield from _calibration(parts)
    yield from _people(found)
    yield from _robustness(found)
    if cautions := wording.cautions(found):
        yield "\n## What to know\n"
        yield from (f"- {safe(note)}" for note in cautions)
    yield "\n## How this was measured\n"
    for key, text in wording.provenance_rows(found):
        quoted = text.replace("`", "'")
        yield f"- {key}: `{quoted}`"


def _folds(part: Part) -> Iterator[str]:
    if not part.folds:
        return
    yield "\n## Folds\n"
    names = ("accuracy", "uar", "macro_f1", "ece")
    rows = [[fold, *(value(n, row[n]) for n in names)] for fold, row in part.folds.items()]
    yield from table(["fold", *map(wording.title, names)], rows)


def _classes(part: Part) -> Iterator[str]:
    yield f"\n## Classes ({safe(part.name)})\n"
    head = ["label", "precision", "recall", "F1", "samples"]
    rows = [
        [c.label, value("", c.precision), value("", c.recall), value("", c.f1), str(c.support)]
        for c in part.classes
    ]
    if part.multi_label:
        head.append("threshold")
        rows = [[*r, f"{c.threshold:.3f}"] for r, c in zip(rows, part.classes, strict=True)]
    yield from table(head, rows)
    if part.confusion:
        yield "\nConfusion, actual in rows:\n"
        yield from table(
            ["", *part.labels],
            [
                [label, *map(str, row)]
                for label, row in zip(part.labels, part.confusion, strict=True)
            ],
        )


def _calibration(parts: Sequence[Part]) -> Iterator[str]:
    part = next((p for p in parts if p.reliability), None)
    if part is None:
        return
    yield f"\n## Calibration ({safe(part.name)})\n"
    yield from table(
        ["temperature", "value", "ECE"],
        [
            [wording.TEMPERATURES[k], f"{r.temperature:g}", f"{r.ece:.3f}"]
            for k, r in part.reliability.items()
        ],
    )


def _people(found: Evaluation) -> Iterator[str]:
    names = ("accuracy", "uar", "ece")
    for by in found.subgroups:
        yield f"\n## By {by.attribute}\n"
        rows = [
            [
                g.name,
                str(g.samples),
                str(g.speakers or "–"),
                *(cell(n, g.figures[n]) for n in names),
            ]
            for g in by.groups
        ]
        yield from table(["group", "samples", "speakers", *map(wording.title, names)], rows)
        if by.gap and by.between:
            yield (
                f"\nLargest gap in UAR: {by.between[0]} over {by.between[1]} by "
                f"{wording.points(by.gap)}."
            )


def _robustness(found: Evaluation) -> Iterator[str]:
    if not found.robustness:
        return
    yield "\n## Robustness\n"
    names = [n for n in ("macro_f1", "accuracy", "uar", "ece") if n in found.robustness[0].figures]
    rows = [[s.name, *(cell(n, s.figures[n]) for n in names)] for s in found.robustness]
    yield from table(["corrupted by", *map(wording.title, names)], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table whose first column is text and whose others are numbers."""
    yield "| " + " | ".join(map(safe, head)) + " |"
    yield (
        "|"
        + "|".join(" --- " if i == 0 or h == "meaning" else "---:" for i, h in enumerate(head))
        + "|"
    )
    yield from ("| " + " | ".join(map(safe, row)) + " |" for row in rows)


def safe(text: str) -> str:
    """Keep a text in its cell, and signs that mean something to Markdown as they are."""
    for sign in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text.replace("\n", " ")
