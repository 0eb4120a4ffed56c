"""The model of a report: sections of paragraphs, tables and figures.

`html.render` and `markdown.render` show it; `Document.results` is its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .results import CorruptedResult, Reliability


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text cells.

    Args:
        title: may be empty.
        head: names of the columns.
        rows: as many cells as there are columns.
        note: how it came about; may be empty.
        best: numbers of rows that stand out.
        texts: numbers of the columns that hold text; the others hold numbers.

    Raises:
        ValueError: if a row does not fit.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    best: frozenset[int] = frozenset()
    texts: frozenset[int] = frozenset({0})

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"table {self.title!r}: every row needs {len(self.head)} cells")


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix: actual class in rows, predicted class in columns.

    Args:
        labels: of rows and columns.
        counts: samples, (labels, labels).
        support: samples of each class, which may be more than the sum of its row.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    support: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReliabilityDiagram:
    """Accuracy against confidence, bin by bin."""

    title: str
    reliability: Reliability


@dataclass(frozen=True, slots=True)
class Bars:
    """One metric of clean and corrupted samples, with intervals; the first is clean."""

    metric: str
    results: tuple[CorruptedResult, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over [0, 1], in percent: e.g. risk against coverage.

    Args:
        title: what it shows.
        x: name of the horizontal axis.
        y: name of the vertical axis.
        lines: name → points (x, y), x in [0, 1].
        mark: a point to show.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[tuple[float, float], ...]]
    mark: tuple[float, float] | None = None


Block = str | Table | Confusion | ReliabilityDiagram | Bars | Curve
"""What a section is made of; a string is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what belongs under it; `collapsed` ones open on demand."""

    title: str
    blocks: tuple[Block, ...] = ()
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Args:
        title: of the page.
        facts: a few phrases under it.
        sections: in order.
        warnings: what makes the results doubtful, shown first.
        notes: what to know before relying on the results.
        provenance: how to reproduce it: names and texts.
        results: everything that was measured, in plain types.
        headline: name, value, interval or remark.
    """

    title: str
    facts: tuple[str, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)
    headline: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> str:
        """Return `results` as JSON."""
        return json.dumps(self.results, indent=1, ensure_ascii=False) + "\n"
