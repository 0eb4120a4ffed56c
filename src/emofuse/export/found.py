"""Results that were written before, found again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError

RESULT = "timeline.json"
"""Name of the file that holds everything; see `JsonExporter`."""


def find_results(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the result files that paths stand for, each once, in order.

    Args:
        paths: result files, or folders of them: of one file (``timeline.json`` in it) or of a
            batch (in folders below it).

    Raises:
        InputError: if there is nothing at a path.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob(RESULT))
            if not inside:
                raise InputError(
                    f"{path} holds no {RESULT}: give a folder that `emofuse analyze --out` wrote "
                    "to, with json among its formats"
                )
            found |= dict.fromkeys(inside)
        elif path.is_file():
            found[path] = None
        else:
            raise InputError(f"there is nothing at {path}; give a {RESULT} or a folder of results")
    return tuple(found)
