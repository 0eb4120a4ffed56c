"""What results are written to: one module a format, found by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ..core.protocols import Exporter, ExportFormat
from ..core.registry import Registry
from ..core.timeline import Timeline
from ..errors import InputError

EXPORTERS: Registry[ExportFormat] = Registry("emofuse.exporters", "format")
"""The formats by name."""


def exporters() -> dict[str, ExportFormat]:
    """Return all formats by name; one whose package is broken is left out, with a warning."""
    return EXPORTERS.load_all()


def usable_exporters() -> dict[str, ExportFormat]:
    """Return the formats that a timeline can be written to here.

    Left out is what needs a package that is not installed (an extra), or the medium itself.
    """
    return {
        name: kind
        for name, kind in exporters().items()
        if _is_installed(getattr(kind, "needs", "")) and not getattr(kind, "needs_media", False)
    }


def _is_installed(package: str) -> bool:
    return not package or find_spec(package) is not None


def routine_exporters() -> dict[str, ExportFormat]:
    """Return the usable formats that are written unasked: small, and quickly made."""
    usable = usable_exporters().items()
    return {name: kind for name, kind in usable if not getattr(kind, "on_request", False)}


def result_name(kind: ExportFormat) -> str:
    """Return the name of a format's file, unlike that of any other format's."""
    return f"{getattr(kind, 'stem', 'timeline')}{kind.suffix}"


def file_name(name: str) -> str:
    """Return the name of a result's file by its format, e.g. ``"timeline.eaf"`` of ``"elan"``.

    Example:
        >>> file_name("elan"), file_name("slots")
        ('timeline.eaf', 'slots.csv')
    """
    return result_name(EXPORTERS.load(name))


def format_of(path: Path) -> str:
    """Return the name of the format that a file's name tells, e.g. ``"elan"`` of ``"a.eaf"``.

    Raises:
        InputError: if it tells none.
    """
    kinds = exporters()
    exact = [name for name, kind in kinds.items() if path.name == result_name(kind)]
    ending = [
        name for name, kind in kinds.items() if path.name.lower().endswith(kind.suffix.lower())
    ]
    ending.sort(key=lambda name: getattr(kinds[name], "stem", "timeline") != "timeline")
    if not (exact or ending):
        known = ", ".join(dict.fromkeys(kind.suffix for kind in kinds.values()))
        raise InputError(f"{path}: expected a name that ends in one of {known}, or give a format")
    return (exact or ending)[0]


def finish(exporters: Iterable[Exporter], timeline: Timeline) -> None:
    """Give exporters the timeline and let them end."""
    for exporter in exporters:
        exporter.write(timeline)
        exporter.close()


def export(timeline: Timeline, name: str, path: Path, *, overwrite: bool = False) -> None:
    """Write a timeline in a format.

    Raises:
        InputError: if there is no such format, or `path` cannot be written.
        MissingExtra: if the format needs a package that is not installed.
    """
    finish([EXPORTERS.load(name)(path, overwrite=overwrite)], timeline)
