"""What results are written to: one module a format, found by name."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.protocols import Exporter, ExportFormat
from ..core.timeline import Timeline


def exporters() -> dict[str, ExportFormat]:
    """Return all formats by name."""
    from .csv import CsvExporter
    from .html import HtmlExporter
    from .json import JsonExporter

    known: tuple[ExportFormat, ...] = (JsonExporter, CsvExporter, HtmlExporter)
    return {kind.name: kind for kind in known}


def finish(exporters: Iterable[Exporter], timeline: Timeline) -> None:
    """Give exporters the timeline and let them end."""
    for exporter in exporters:
        exporter.write(timeline)
        exporter.close()
