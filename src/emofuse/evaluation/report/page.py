"""The report as one HTML page: self-contained, no scripts, light and dark, for any screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

from ...export.html import document
from . import formatting as wording
from .formatting import limits, value
from .results import ClassRow, Corrupted, Evaluation, Figure, Part, Reliability, Subgroups, explain


def render(found: Evaluation) -> str:
    """Write an evaluation as a page."""
    own = (files(__package__) / "assets" / "evaluation.css").read_text(encoding="utf-8")
    return document(
        f"{found.title} – emofuse",
        "\n".join(_body(found)),
        style=own,
        version=found.provenance.version,
    )


def _body(found: Evaluation) -> Iterator[str]:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in wording.facts(found))
    yield (
        f'<header><p class="overline">emofuse · evaluation</p><h1>{escape(found.title)}</h1>'
        f'<ul class="facts">{facts}</ul></header>'
    )
    for warning in found.warnings:
        yield f'<p class="note"><b>Measured despite a leak.</b> {escape(warning)}</p>'
    yield f'<p class="honest">{escape(wording.HONEST)}</p>'
    yield _big(found.parts)
    yield _figures(found.parts)
    lead = found.parts[0]
    if lead.folds:
        yield _folds(lead)
    yield from (_detail(part) for part in found.parts[: 2 if lead.multi_label else 1])
    calibrated = next((p for p in found.parts if p.reliability), None)
    if calibrated is not None:
        yield _calibration(calibrated)
    yield from map(_people, found.subgroups)
    if found.robustness:
        yield _robustness(found.robustness)
    for part in found.parts[2 if lead.multi_label else 1 :]:
        yield (
            f'<details class="more"><summary>Classes: {escape(part.name)}</summary>'
            f"{_detail(part, heading=False)}</details>"
        )
    if cautions := wording.cautions(found):
        items = "".join(f"<li>{escape(note)}</li>" for note in cautions)
        yield f'<h2>What to know</h2><div class="panel"><ul>{items}</ul></div>'
    yield _how_to_read()
    rows = "".join(
        f'<tr><td class="name">{escape(key)}</td><td><code>{escape(text)}</code></td></tr>'
        for key, text in wording.provenance_rows(found)
    )
    yield f"<details><summary>How this was measured</summary><table>{rows}</table></details>"


def _big(parts: Sequence[Part]) -> str:
    lead = parts[0]
    shown = ("macro_f1", "micro_f1") if lead.multi_label else ("accuracy", "uar", "macro_f1", "ece")
    tiles = [(lead, name) for name in shown]
    if lead.multi_label:
        tiles += [(parts[1], name) for name in ("accuracy", "ece")]
    items = "".join(
        f"<li><span>{escape(wording.title(name))}</span><b>{value(name, part.figures[name].value)}"
        f"</b><span>{limits(name, part.figures[name]) or '&nbsp;'}</span>"
        f"<span>{escape(part.name)}</span></li>"
        for part, name in tiles
    )
    return f'<ul class="big">{items}</ul>'


def _figures(parts: Sequence[Part]) -> str:
    head = "".join(f'<th class="num">{escape(p.name)}</th>' for p in parts)
    rows = ""
    for name, figures in wording.rows(parts):
        cells = "".join(
            '<td class="num">–</td>'
            if f is None
            else f'<td class="num">{value(name, f.value)}<small>{limits(name, f)}</small></td>'
            for f in figures
        )
        rows += (
            f'<tr><td class="name">{escape(wording.title(name))}</td>{cells}'
            f'<td class="why">{escape(explain(name))}</td></tr>'
        )
    told = "".join(
        f'<p class="small"><b>{escape(p.name)}</b>: {p.samples} samples'
        f"{f' of {p.speakers} speakers' if p.speakers else ''}; {escape(p.protocol)}.</p>"
        for p in parts
    )
    return (
        '<h2>Figures</h2><div class="panel"><div class="scroll"><table><thead><tr><th></th>'
        f"{head}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="small">Small: 95 % bootstrap interval, resampling speakers where there are '
        f"speakers.</p>{told}</div>"
    )


def _folds(part: Part) -> str:
    names = ("accuracy", "uar", "macro_f1", "ece")
    rows = [[escape(fold), *(value(n, row[n]) for n in names)] for fold, row in part.folds.items()]
    return f'<h2>Folds</h2><div class="panel">{table(["", *map(wording.title, names)], rows)}</div>'


def _detail(part: Part, heading: bool = True) -> str:
    title = f"<h2>Classes, {escape(part.name)}</h2>" if heading else ""
    blocks = [f'<div class="panel"><h3>Each class</h3>{_classes(part)}</div>']
    if part.confusion:
        blocks.append(
            '<div class="panel"><h3>Confusion</h3><p class="small">Actual class in rows, answer in '
            "columns, percent of the row.</p>"
            f'<div class="scroll">{_confusion(part.labels, part.confusion)}</div></div>'
        )
    return f'{title}<div class="pair">{"".join(blocks)}</div>'


def _classes(part: Part) -> str:
    head = ["", "precision", "recall", "F1", "samples"]

    def row(c: ClassRow) -> list[str]:
        shares = [value("", x) for x in (c.precision, c.recall, c.f1)]
        return [escape(c.label), *shares, str(c.support)]

    rows = [row(c) for c in part.classes]
    if part.multi_label:
        head.append("threshold")
        rows = [[*r, f"{c.threshold:.3f}"] for r, c in zip(rows, part.classes, strict=True)]
    return table(head, rows)


def _confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    head = "".join(f"<th><span>{escape(label)}</span></th>" for label in labels)
    body = ""
    for i, (label, row) in enumerate(zip(labels, counts, strict=True)):
        total = max(sum(row), 1)
        cells = ""
        for j, n in enumerate(row):
            share = 100 * n / total
            kind = ("hit" if i == j else "miss") + (" full" if share >= 55 else "")
            tip = f"{n} of {total}: {label} answered as {labels[j]}"
            shown = f"{share:.0f}" if n else ""
            cells += (
                f'<td class="{kind}" style="--v:{share:.0f}" title="{escape(tip)}">{shown}</td>'
            )
        body += f"<tr><th>{escape(label)}</th>{cells}</tr>"
    return (
        f'<table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _calibration(part: Part) -> str:
    figures = "".join(
        f"<figure>{_diagram(r)}<figcaption><b>{wording.TEMPERATURES[kind]}</b>temperature "
        f"{r.temperature:g}, ECE {r.ece:.3f}</figcaption></figure>"
        for kind, r in part.reliability.items()
    )
    return (
        f"<h2>Calibration, {escape(part.name)}</h2><p>Of the answers given with a confidence of "
        "70 %, 70 % should be right: bars should end at the dashed line. What is missing to it is "
        "orange (the model is too sure), what exceeds it is green (too modest). The grey strip "
        "shows how many answers a bin holds.</p>"
        f'<div class="diagrams">{figures}</div>'
    )


def _diagram(r: Reliability) -> str:
    """Draw a reliability diagram as SVG, 300 × 300 with a strip of counts."""
    left, top, side, strip = 34, 8, 250, 26
    bins = len(r.count)
    width, most = side / bins, max([*r.count, 1])
    shapes = []
    for i, (confidence, accuracy, n) in enumerate(
        zip(r.confidence, r.accuracy, r.count, strict=True)
    ):
        x = left + i * width
        high = strip * (n / most) ** 0.5
        shapes.append(_rect("share", x, top + side + 12 + strip - high, width, high))
        if confidence is None or accuracy is None:
            continue
        low, up = sorted((confidence, accuracy))
        shapes.append(_rect("bar", x, top + side * (1 - low), width, side * low))
        kind = "sure" if confidence > accuracy else "modest"
        shapes.append(_rect(kind, x, top + side * (1 - up), width, side * (up - low)))
    ticks = "".join(
        f'<text x="{left - 5}" y="{top + side * (1 - t) + 4:.0f}" text-anchor="end">{100 * t:.0f}'
        f'</text><text x="{left + side * t:.0f}" y="{top + side + strip + 26}" '
        f'text-anchor="middle">{100 * t:.0f}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg viewBox="0 0 300 {top + side + strip + 44}" role="img" '
        f'aria-label="reliability diagram, expected calibration error {r.ece:.3f}">'
        f'<rect class="frame" x="{left}" y="{top}" width="{side}" height="{side}"/>'
        f'{"".join(shapes)}<line class="diagonal" x1="{left}" y1="{top + side}" '
        f'x2="{left + side}" y2="{top}"/>{ticks}'
        f'<text x="{left + side / 2}" y="{top + side + strip + 41}" text-anchor="middle">'
        "confidence, % (height: accuracy, %)</text></svg>"
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{width - 1:.1f}" '
        f'height="{max(height, 0):.1f}"/>'
    )


def _people(by: Subgroups) -> str:
    names = ("accuracy", "uar", "ece")
    rows = [
        [
            escape(g.name),
            str(g.samples),
            str(g.speakers or "–"),
            *(
                f"{value(n, g.figures[n].value)}<small>{limits(n, g.figures[n])}</small>"
                for n in names
            ),
        ]
        for g in by.groups
    ]
    gap = ""
    if by.gap and by.between:
        gap = (
            f"<p>Largest gap in UAR: <b>{escape(by.between[0])}</b> over "
            f"<b>{escape(by.between[1])}</b> by {wording.points(by.gap)}. If the interval reaches "
            "below zero, these people do not show that there is a gap.</p>"
        )
    groups = table(["", "samples", "speakers", *map(wording.title, names)], rows)
    return f'<h2>By {escape(by.attribute)}</h2><div class="panel">{groups}{gap}</div>'


def _robustness(corrupted: Sequence[Corrupted]) -> str:
    clean = corrupted[0]
    names = [n for n in ("macro_f1", "accuracy", "uar", "ece") if n in clean.figures]
    rows = [
        [
            escape(s.name),
            *(
                f"{value(n, s.figures[n].value)}<small>{limits(n, s.figures[n])}</small>"
                for n in names
            ),
        ]
        for s in corrupted
    ]
    head = ["", *map(wording.title, names)]
    lead = names[0] if names[0] == "macro_f1" else "uar"
    return (
        f'<h2>Robustness</h2><div class="panel"><h3>{wording.title(lead)} of corrupted samples</h3>'
        f"{_bars(corrupted, lead)}"
        '<p class="small">Bar: the figure; thin line: its 95 % interval; upright line: the figure '
        f'without spoiling.</p></div><div class="panel">{table(head, rows)}</div>'
    )


def _bars(corrupted: Sequence[Corrupted], name: str) -> str:
    clean = corrupted[0].figures[name].value
    out = ""
    for kind, group in groupby(corrupted, key=lambda s: s.kind):
        same = list(group)
        several = len(same) > 1
        out += f'<div class="kind">{escape(kind) if several else ""}</div>'
        out += "".join(
            _bar(s.strength if several else s.name, s.figures[name], name, clean) for s in same
        )
    return f'<div class="bars">{out}</div>'


def _bar(label: str, figure: Figure, name: str, clean: float) -> str:
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return (
        f"<div>{escape(label)}</div>"
        f'<div class="track"><i style="width:{100 * figure.value:.1f}%"></i>'
        f'<u style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></u>'
        f'<s style="left:{100 * clean:.1f}%"></s></div><b>{value(name, figure.value)}</b>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table whose first column is text and whose others are numbers; cells are HTML."""
    top = "".join(
        f"<th>{escape(h)}</th>" if i == 0 else f'<th class="num">{escape(h)}</th>'
        for i, h in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"name" if i == 0 else "num"}">{c}</td>' for i, c in enumerate(row))
        + "</tr>"
        for row in rows
    )
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>'


def _how_to_read() -> str:
    return (
        "<details><summary>How to read this page</summary><dl class='how'>"
        "<dt>Accuracy and UAR</dt><dd>Accuracy counts samples, UAR counts classes: a model that "
        "always says “happy” has the accuracy of the share of happy faces, and a UAR of one over "
        "the number of classes. Where classes are uneven, believe the UAR.</dd>"
        "<dt>Intervals</dt><dd>If such a corpus were gathered anew again and again, with other "
        "speakers, about 95 of 100 of its intervals would hold the model's true figure. Two models "
        "whose intervals overlap "
        "may still differ: compare them on the same samples.</dd>"
        "<dt>ECE</dt><dd>The mean distance between how sure the model says it is and how often it "
        "is right. The temperature of the card was fitted once, on other samples; “refitted” shows "
        "what a temperature fitted to this corpus' validation data would give.</dd>"
        "<dt>Other corpora</dt><dd>Figures on a corpus whose training part the model has learnt "
        "from are the best case: same studio, same actors' school, same annotators. Figures of the "
        "protocol cross-corpus are nearer to use.</dd></dl></details>"
    )
