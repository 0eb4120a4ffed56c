"""Pictures that commands draw with matplotlib: checked before the work, written when complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError, MissingExtra
from ..io.atomic import atomic_path

_ENDINGS = (".png", ".svg", ".pdf")


def figure_class() -> Any:
    """Return matplotlib's `Figure`.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as e:
        raise MissingExtra("figure", "drawing a picture (matplotlib)") from e
    return Figure


def check(path: Path) -> None:
    """Say early that a picture cannot be drawn.

    Raises:
        InputError: if the file's ending is unknown.
        MissingExtra: if matplotlib is not installed.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"a picture ends in {', '.join(_ENDINGS)}, got {path.name!r}")
    figure_class()


def save(figure: Any, path: Path, dpi: int) -> None:
    """Write a figure into a file; one that is there is replaced, missing folders are made.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        with atomic_path(path) as part:
            figure.savefig(part, dpi=dpi, format=path.suffix[1:].lower())
    except OSError as e:
        reason = e.strerror or e
        raise InputError(f"cannot write {path}: {reason}; choose another place or make room") from e
