"""A report of sections, tables and curves: as one HTML page, as Markdown, as plain types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

from ...export.html import document
from . import formatting as wording
from . import markdown, page


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; the first column names them, the others hold figures.

    Args:
        title: what it shows.
        head: names of the columns.
        rows: cells, as many as names.
        note: how it came about.
        best: rows that stand out, by number.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    best: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"table {self.title!r}: every row needs {len(self.head)} cells")


@dataclass(frozen=True, slots=True)
class Curve:
    """A line over [0, 1], in percent: e.g. risk against coverage.

    Args:
        title: what it shows.
        across: name of the horizontal axis.
        up: name of the vertical axis.
        lines: name → points (x, y), x in [0, 1].
        mark: a point to show.
    """

    title: str
    across: str
    up: str
    lines: Mapping[str, tuple[tuple[float, float], ...]]
    mark: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what belongs under it."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    Args:
        title: of the page.
        facts: a few phrases under it.
        sections: in order.
        notes: what to know before believing the figures.
        provenance: how to measure it again: names and texts.
        figures: every figure by name, for machines.
        big: the headlines: name, figure, and a word on it.
    """

    title: str
    facts: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    big: tuple[tuple[str, str, str], ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Return everything as plain types, figures first."""
        whole = asdict(self)
        for section in whole["sections"]:
            for table in section["tables"]:
                table["best"] = sorted(table["best"])
        return {"figures": whole.pop("figures"), **whole}


def to_html(found: Document) -> str:
    """Write a report as a self-contained page without scripts."""
    own = (files(__package__) / "assets" / "evaluation.css").read_text(encoding="utf-8")
    return document(
        f"{found.title} – emofuse",
        "\n".join(_body(found)),
        style=own,
        version=dict(found.provenance).get("emofuse", ""),
    )


def _body(found: Document) -> Iterator[str]:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in found.facts)
    yield (
        f'<header><p class="overline">emofuse · evaluation</p><h1>{escape(found.title)}</h1>'
        f'<ul class="facts">{facts}</ul></header>'
    )
    yield f'<p class="honest">{escape(wording.HONEST)}</p>'
    tiles = "".join(
        f"<li><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(told)}</span></li>"
        for name, value, told in found.big
    )
    yield f'<ul class="big">{tiles}</ul>' if tiles else ""
    for section in found.sections:
        yield f"<h2>{escape(section.title)}</h2>"
        yield from (f"<p>{escape(text)}</p>" for text in section.text)
        yield from map(_html_table, section.tables)
        if section.curves:
            yield f'<div class="diagrams">{"".join(map(_html_curve, section.curves))}</div>'
    if found.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
        yield f'<h2>What to know</h2><div class="panel"><ul>{items}</ul></div>'
    rows = "".join(
        f'<tr><td class="name">{escape(key)}</td><td><code>{escape(text)}</code></td></tr>'
        for key, text in found.provenance
    )
    yield f"<details><summary>How this was measured</summary><table>{rows}</table></details>"


def _html_table(table: Table) -> str:
    rows = [
        [f"<b>{escape(cell)}</b>" if i in table.best else escape(cell) for cell in row]
        for i, row in enumerate(table.rows)
    ]
    note = f'<p class="small">{escape(table.note)}</p>' if table.note else ""
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    return f'<div class="panel">{title}{page.table(table.head, rows)}{note}</div>'


_COLOURS = ("#5a8fd6", "#d9622b", "#2c9a7f", "#8a6fc8")


def _html_curve(curve: Curve) -> str:
    left, top, side = 40, 8, 250
    highest = max(y for line in curve.lines.values() for _, y in line) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + side * x, top + side * (1 - y / highest)

    shapes = ""
    for colour, line in zip(_COLOURS * len(curve.lines), curve.lines.values(), strict=False):
        points = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in line)
        shapes += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    if curve.mark:
        x, y = at(*curve.mark)
        shapes += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#d9622b"/>'
    for t in (0, 0.25, 0.5, 0.75, 1):
        shapes += (
            f'<text x="{left - 5}" y="{top + side * (1 - t) + 4:.0f}" text-anchor="end">'
            f'{100 * t * highest:.3g}</text><text x="{left + side * t:.0f}" '
            f'y="{top + side + 15}" text-anchor="middle">{100 * t:.0f}</text>'
        )
    legend = "".join(
        f'<span style="color:{colour}">■</span> {escape(name)} '
        for colour, name in zip(_COLOURS * len(curve.lines), curve.lines, strict=False)
    )
    axes = escape(f"{curve.across}, % (height: {curve.up}, %)")
    return (
        f'<figure><svg viewBox="0 0 310 {top + side + 36}" role="img" '
        f'aria-label="{escape(curve.title)}"><rect class="frame" x="{left}" y="{top}" '
        f'width="{side}" height="{side}"/>{shapes}<text x="{left + side / 2}" '
        f'y="{top + side + 31}" text-anchor="middle">{axes}</text></svg>'
        f"<figcaption><b>{escape(curve.title)}</b>{legend}</figcaption></figure>"
    )


def to_markdown(found: Document) -> str:
    """Write a report as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Document) -> Iterator[str]:
    safe = markdown.safe
    yield f"# {safe(found.title)}\n"
    yield safe(" · ".join(found.facts))
    yield f"\n> {wording.HONEST}"
    for section in found.sections:
        yield f"\n## {safe(section.title)}"
        yield from (f"\n{safe(text)}" for text in section.text)
        for table in section.tables:
            yield f"\n**{safe(table.title)}**\n"
            yield from markdown.table(table.head, table.rows)
            yield f"\n{safe(table.note)}" if table.note else ""
        for curve in section.curves:
            yield from _curve_lines(curve)
    if found.notes:
        yield "\n## What to know\n"
        yield from (f"- {safe(note)}" for note in found.notes)
    yield "\n## How this was measured\n"
    yield from markdown.table(("", "value"), found.provenance)


def _curve_lines(curve: Curve) -> Iterator[str]:
    names = list(curve.lines)
    points: Sequence[float] = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
    rows = [
        [f"{100 * x:.0f} %", *(f"{100 * _nearest(curve.lines[n], x):.1f} %" for n in names)]
        for x in points
    ]
    yield f"\n**{markdown.safe(curve.title)}**\n"
    yield from markdown.table((curve.across, *names), rows)


def _nearest(line: Sequence[tuple[float, float]], x: float) -> float:
    return min(line, key=lambda point: abs(point[0] - x))[1]
