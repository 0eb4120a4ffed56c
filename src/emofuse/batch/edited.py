"""Results of a batch that were corrected by hand: what is about all files has the edits, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..annotations.apply import load_result
from ..annotations.log import FILE
from ..core.timeline import Timeline
from ..errors import EmofuseError
from ..export import export
from ..export.overview import Row, row_of
from ..export.summary import summarise

_JOINED = ("csv", "summary")
"""Formats of which a batch has one table of all files."""


class Edited:
    """Puts edits into the rows and tables of a batch; each file's own results stay as they are.

    Only its file in the data set of Parquet files is written anew: there it is the table.

    Args:
        root: folder of the batch; None: nothing was written.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._tables: dict[Path, Path] = {}
        self._scratch: TemporaryDirectory[str] | None = None

    def row(self, row: Row) -> Row:
        """Return a file's row, with the edits if there are any; those of others are told."""
        result = row.files.get("json")
        if self._root is None or result is None or not (self._root / result).is_file():
            return row
        if not (self._root / result).with_name(FILE).is_file():
            return row
        try:
            timeline = load_result(self._root / result)
            self._write(timeline, row)
        except EmofuseError as e:
            return replace(row, notes=[*row.notes, f"Edits by hand are left out: {e}."])
        made = row_of(summarise(timeline), row.page, row.picture, row.files)
        return replace(made, by_hand=timeline.by_hand)

    def table(self, path: Path) -> Path:
        """Return the table that is joined in the place of a file's own."""
        return self._tables.get(path, path)

    def close(self) -> None:
        """Remove the tables."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def _write(self, timeline: Timeline, row: Row) -> None:
        assert self._root is not None
        for name, place in row.files.items():
            path = self._root / place
            if name in _JOINED:
                self._scratch = self._scratch or TemporaryDirectory(prefix="emofuse-")
                copy = Path(self._scratch.name) / f"{len(self._tables)}.csv"
                export(timeline, name, copy)
                self._tables[path] = copy
            elif name == "parquet":
                export(timeline, name, path, overwrite=True)
