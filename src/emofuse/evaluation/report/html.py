"""A report as one HTML page: self-contained, no scripts, light and dark, for any screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from html import escape
from importlib.resources import files
from itertools import groupby

from ...export.html import document as page
from .document import Bars, Block, Confusion, Curve, Document, ReliabilityDiagram, Section, Table
from .formatting import DISCLAIMER, title, value
from .results import CorruptedResult

_COLORS = ("#5a8fd6", "#d9622b", "#2c9a7f", "#8a6fc8")
_LEFT, _TOP, _SIDE = 40, 8, 250  # of the square that diagrams are drawn in


def render(document: Document) -> str:
    """Return a report as an HTML page."""
    own = (files(__package__) / "assets" / "evaluation.css").read_text(encoding="utf-8")
    return page(
        f"{document.title} – emofuse",
        "\n".join(_body(document)),
        style=own,
        version=dict(document.provenance).get("emofuse", ""),
    )


def _body(document: Document) -> Iterator[str]:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in document.facts)
    yield (
        f'<header><p class="overline">emofuse · evaluation</p><h1>{escape(document.title)}</h1>'
        f'<ul class="facts">{facts}</ul></header>'
    )
    for warning in document.warnings:
        yield f'<p class="note"><b>Evaluated despite a leak.</b> {escape(warning)}</p>'
    yield f'<p class="honest">{escape(DISCLAIMER)}</p>'
    tiles = "".join(
        f"<li><span>{escape(name)}</span><b>{escape(number)}</b><span>{escape(remark)}</span></li>"
        for name, number, remark in document.headline
    )
    yield f'<ul class="big">{tiles}</ul>' if tiles else ""
    yield from map(_section, document.sections)
    if document.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in document.notes)
        yield f'<h2>Notes</h2><div class="panel"><ul>{items}</ul></div>'
    rows = "".join(
        f'<tr><td class="name">{escape(key)}</td><td><code>{escape(text)}</code></td></tr>'
        for key, text in document.provenance
    )
    yield f"<details><summary>Provenance</summary><table>{rows}</table></details>"


def _section(section: Section) -> str:
    inner = ""
    for drawn, blocks in groupby(
        section.blocks, lambda b: isinstance(b, (Curve, ReliabilityDiagram))
    ):
        shown = "".join(map(_block, blocks))
        inner += f'<div class="diagrams">{shown}</div>' if drawn else shown
    if section.collapsed:
        return f'<details class="more"><summary>{escape(section.title)}</summary>{inner}</details>'
    return f"<h2>{escape(section.title)}</h2>{inner}"


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no HTML for {block!r}")


@_block.register
def _(block: str) -> str:
    return f"<p>{escape(block)}</p>"


@_block.register
def _(block: Table) -> str:
    kinds = [
        "name" if i == 0 else "why" if i in block.texts else "num" for i in range(len(block.head))
    ]
    top = "".join(
        f'<th class="{k}">{escape(h)}</th>' for k, h in zip(kinds, block.head, strict=True)
    )
    body = ""
    for i, row in enumerate(block.rows):
        cells = (f"<b>{escape(c)}</b>" if i in block.best else escape(c) for c in row)
        body += "<tr>"
        body += "".join(f'<td class="{k}">{c}</td>' for k, c in zip(kinds, cells, strict=True))
        body += "</tr>"
    heading = f"<h3>{escape(block.title)}</h3>" if block.title else ""
    note = f'<p class="small">{escape(block.note)}</p>' if block.note else ""
    return (
        f'<div class="panel">{heading}<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}</div>"
    )


@_block.register
def _(block: Confusion) -> str:
    head = "".join(f"<th><span>{escape(label)}</span></th>" for label in block.labels)
    body = ""
    for i, (label, row, total) in enumerate(
        zip(block.labels, block.counts, block.support, strict=True)
    ):
        cells = ""
        for j, n in enumerate(row):
            share = 100 * n / max(total, 1)
            kind = ("hit" if i == j else "miss") + (" full" if share >= 55 else "")
            tip = f"{n} of {total}: {label} predicted as {block.labels[j]}"
            shown = f"{share:.0f}" if n else ""
            cells += (
                f'<td class="{kind}" style="--v:{share:.0f}" title="{escape(tip)}">{shown}</td>'
            )
        body += f"<tr><th>{escape(label)}</th>{cells}</tr>"
    return (
        '<div class="panel"><h3>Confusion</h3><p class="small">Actual class in rows, prediction in '
        'columns, percent of the class.</p><div class="scroll"><table class="confusion"><thead>'
        f"<tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


@_block.register
def _(block: ReliabilityDiagram) -> str:
    r, strip = block.reliability, 26
    width, most = _SIDE / len(r.count), max([*r.count, 1])
    shapes = ""
    bins = zip(r.confidence, r.accuracy, r.count, strict=True)
    for i, (confidence, accuracy, n) in enumerate(bins):
        x, high = _LEFT + i * width, strip * (n / most) ** 0.5
        shapes += _rect("share", x, _TOP + _SIDE + 12 + strip - high, width, high)
        if confidence is None or accuracy is None:
            continue
        low, up = sorted((confidence, accuracy))
        shapes += _rect("bar", x, _TOP + _SIDE * (1 - low), width, _SIDE * low)
        kind = "sure" if confidence > accuracy else "modest"
        shapes += _rect(kind, x, _TOP + _SIDE * (1 - up), width, _SIDE * (up - low))
    shapes += (
        f'<line class="diagonal" x1="{_LEFT}" y1="{_TOP + _SIDE}" x2="{_LEFT + _SIDE}" '
        f'y2="{_TOP}"/>'
    )
    about = f"reliability diagram, expected calibration error {r.ece:.3f}"
    drawn = _diagram(about, "confidence, % (height: accuracy, %)", shapes, 1.0, strip + 11)
    caption = f"temperature {r.temperature:g}, ECE {r.ece:.3f}"
    return f"<figure>{drawn}<figcaption><b>{escape(block.title)}</b>{caption}</figcaption></figure>"


@_block.register
def _(block: Curve) -> str:
    highest = max(y for line in block.lines.values() for _, y in line) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + _SIDE * x, _TOP + _SIDE * (1 - y / highest)

    shapes = legend = ""
    for color, (name, line) in zip(_COLORS * len(block.lines), block.lines.items(), strict=False):
        points = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in line)
        shapes += f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'
        legend += f'<span style="color:{color}">■</span> {escape(name)} '
    if block.mark:
        x, y = at(*block.mark)
        shapes += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#d9622b"/>'
    axes = f"{block.x}, % (height: {block.y}, %)"
    drawn = _diagram(block.title, axes, shapes, highest, 0)
    return f"<figure>{drawn}<figcaption><b>{escape(block.title)}</b>{legend}</figcaption></figure>"


@_block.register
def _(block: Bars) -> str:
    clean = block.results[0].metrics[block.metric].value
    out = ""
    for kind, group in groupby(block.results, key=lambda r: r.kind):
        same = list(group)
        several = len(same) > 1
        out += f'<div class="kind">{escape(kind) if several else ""}</div>'
        for r in same:
            out += _bar(r.strength if several else r.name, r, block.metric, clean)
    return (
        f'<div class="panel"><h3>{escape(title(block.metric))} on corrupted samples</h3>'
        f'<div class="bars">{out}</div><p class="small">Bar: the metric; thin line: its 95 % '
        "interval; upright line: clean samples.</p></div>"
    )


def _bar(label: str, result: CorruptedResult, metric: str, clean: float) -> str:
    m = result.metrics[metric]
    low, high = m.value if m.low is None else m.low, m.value if m.high is None else m.high
    return (
        f"<div>{escape(label)}</div>"
        f'<div class="track"><i style="width:{100 * m.value:.1f}%"></i>'
        f'<u style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></u>'
        f'<s style="left:{100 * clean:.1f}%"></s></div><b>{value(metric, m.value)}</b>'
    )


def _diagram(about: str, axes: str, shapes: str, highest: float, strip: int) -> str:
    """Draw a square with axes in percent as SVG; `strip` is free below it, in pixels."""
    ticks = "".join(
        f'<text x="{_LEFT - 5}" y="{_TOP + _SIDE * (1 - t) + 4:.0f}" text-anchor="end">'
        f'{100 * t * highest:.3g}</text><text x="{_LEFT + _SIDE * t:.0f}" '
        f'y="{_TOP + _SIDE + strip + 15}" text-anchor="middle">{100 * t:.0f}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg viewBox="0 0 310 {_TOP + _SIDE + strip + 36}" role="img" '
        f'aria-label="{escape(about)}"><rect class="frame" x="{_LEFT}" y="{_TOP}" '
        f'width="{_SIDE}" height="{_SIDE}"/>{shapes}{ticks}<text x="{_LEFT + _SIDE / 2}" '
        f'y="{_TOP + _SIDE + strip + 31}" text-anchor="middle">{escape(axes)}</text></svg>'
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{width - 1:.1f}" '
        f'height="{max(height, 0):.1f}"/>'
    )
