"""A report as Markdown, for repositories and cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch

from .document import Bars, Block, Confusion, Curve, Document, ReliabilityDiagram, Table
from .formatting import DISCLAIMER

_POINTS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)  # of a curve that the table shows


def render(document: Document) -> str:
    """Return a report as Markdown."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"# {safe(document.title)}\n"
    yield safe(" · ".join(document.facts))
    yield f"\n> {DISCLAIMER}"
    for warning in document.warnings:
        yield f"\n**Evaluated despite a leak:** {safe(warning)}"
    for section in document.sections:
        yield f"\n## {safe(section.title)}"
        for block in section.blocks:
            yield from _block(block)
    if document.notes:
        yield "\n## Notes\n"
        yield from (f"- {safe(note)}" for note in document.notes)
    yield "\n## Provenance\n"
    yield from _table(("", "value"), ((k, f"`{v}`") for k, v in document.provenance), {0, 1})


@singledispatch
def _block(block: Block) -> Iterator[str]:
    raise TypeError(f"no Markdown for {block!r}")


@_block.register
def _(block: str) -> Iterator[str]:
    yield f"\n{safe(block)}"


@_block.register
def _(block: Table) -> Iterator[str]:
    yield f"\n**{safe(block.title)}**\n" if block.title else ""
    yield from _table(block.head, block.rows, block.texts)
    if block.note:
        yield f"\n{safe(block.note)}"


@_block.register
def _(block: Confusion) -> Iterator[str]:
    rows = zip(block.labels, block.counts, strict=True)
    yield "\nConfusion, actual class in rows:\n"
    yield from _table(("", *block.labels), ((label, *map(str, row)) for label, row in rows))


@_block.register
def _(block: ReliabilityDiagram) -> Iterator[str]:
    r = block.reliability
    yield f"\n{safe(block.title)}: temperature {r.temperature:g}, ECE {r.ece:.3f}"


@_block.register
def _(block: Bars) -> Iterator[str]:
    return iter(())  # the table beside it says the same


@_block.register
def _(block: Curve) -> Iterator[str]:
    lines = block.lines.values()
    rows = (
        (f"{100 * x:.0f} %", *(f"{100 * _nearest(line, x):.1f} %" for line in lines))
        for x in _POINTS
    )
    yield f"\n**{safe(block.title)}**\n"
    yield from _table((block.x, *block.lines), rows)


def _nearest(line: Sequence[tuple[float, float]], x: float) -> float:
    return min(line, key=lambda point: abs(point[0] - x))[1]


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], texts: Iterable[int] = (0,)
) -> Iterator[str]:
    columns = set(texts)
    yield "| " + " | ".join(map(safe, head)) + " |"
    yield "|" + "|".join(" --- " if i in columns else "---:" for i in range(len(head))) + "|"
    yield from ("| " + " | ".join(map(safe, row)) + " |" for row in rows)


def safe(text: str) -> str:
    """Escape characters that mean something to Markdown, and keep a text in its cell."""
    if text.startswith("`") and text.endswith("`"):
        return "`" + text[1:-1].replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"
    for sign in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text.replace("\n", " ")
