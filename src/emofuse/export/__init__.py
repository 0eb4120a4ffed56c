"""What results are written to: one module a format, found by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from ..core.protocols import Exporter, ExportFormat
from ..core.registry import Registry
from ..core.timeline import Timeline

EXPORTERS: Registry[ExportFormat] = Registry("emofuse.exporters", "format")
"""The formats by name."""


def exporters() -> dict[str, ExportFormat]:
    """Return all formats by name; one whose package is broken is left out, with a warning."""
    return EXPORTERS.load_all()


def usable_exporters() -> dict[str, ExportFormat]:
    """Return the formats that can be written here: some need a package that is an extra."""
    return {
        name: kind
        for name, kind in exporters().items()
        if find_spec(getattr(kind, "needs", "json")) is not None
    }


def file_name(name: str) -> str:
    """Return the name of a result's file by its format, e.g. ``"timeline.eaf"`` of ``"elan"``.

    Example:
        >>> file_name("elan")
        'timeline.eaf'
    """
    return f"timeline{EXPORTERS.load(name).suffix}"


def finish(exporters: Iterable[Exporter], timeline: Timeline) -> None:
    """Give exporters the timeline and let them end."""
    for exporter in exporters:
        exporter.write(timeline)
        exporter.close()
