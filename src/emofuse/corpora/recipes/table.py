"""Anyone's own data: a CSV or TSV table with a row per sample and columns of one's choice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.estimates import Modality
from ...core.labels import Taxonomy
from ...errors import InputError
from .. import tree
from ..manifest import Entry, Manifest, Split
from ..recipe import Medium, Recipe, Request

_COLUMNS = {
    "path": "the medium, relative to the table's folder",
    "text": "what is said or written",
    "label": "the label; several are separated by |",
    "id": "the sample's name (the path, or the number of the row)",
    "split": "train, validation or test (train)",
    "fold": "number of the cross-validation fold",
    "speaker": "who speaks or is seen",
    "sex": "of that person",
    "age": "of that person, in years",
    "race": "of that person",
    "start": "where the sample begins in its medium, in seconds",
    "end": "where it ends, in seconds",
}
"""What a column can hold; by itself a column of that name is taken."""

_NUMBERS = {"fold": int, "age": int, "start": float, "end": float}
_SPLITS = {"dev": "validation", "val": "validation", "valid": "validation", "training": "train"}


def _read(request: Request) -> Manifest:
    table, options = _table(request), request.options
    rows = tree.read_table(table)
    if not rows:
        raise InputError(f"the table {table} has no rows")
    columns = _columns(rows[0], options, table)
    votes = [name.strip() for name in options.get("votes", "").split(",") if name.strip()]
    if unknown := [name for name in votes if name not in rows[0]]:
        raise InputError(f"{table} has no column {unknown[0]!r}; it has {', '.join(rows[0])}")
    if not votes and "label" not in columns:
        raise InputError(
            f"{table} has no column 'label': name it with --set label=COLUMN, or columns of votes "
            f"with --set votes=A,B,C; it has {', '.join(rows[0])}"
        )
    entries = tuple(
        _entry(row, columns, votes, table, number) for number, row in enumerate(rows, 2)
    )
    labels = tuple(votes) or tuple(sorted({label for e in entries for label in e.labels}))
    if not labels:
        raise InputError(f"no row of {table} has a label in column {columns['label']!r}")
    several = not votes and any(len(e.labels) > 1 for e in entries)
    name = options.get("name", table.stem)
    try:
        return Manifest(name, Taxonomy(name, labels, several), entries)
    except ValueError as e:
        raise InputError(f"{table}: {e}; name a column of ids with --set id=COLUMN") from e


def _table(request: Request) -> Path:
    root, named = request.root, request.options.get("table")
    if root.is_file():
        return root
    if named:
        if not (root / named).is_file():
            raise InputError(f"there is no table {root / named}")
        return root / named
    tables = sorted(p for p in root.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
    if len(tables) != 1:
        found = ", ".join(p.name for p in tables) or "none"
        raise InputError(f"expected one table in {root}, found {found}; use --set table=NAME")
    return tables[0]


def _columns(row: Mapping[str, str], options: Mapping[str, str], table: Path) -> dict[str, str]:
    columns = {name: options.get(name, name) for name in _COLUMNS}
    for name, column in columns.items():
        if name in options and column not in row:
            raise InputError(f"{table} has no column {column!r}; it has {', '.join(row)}")
    columns = {name: column for name, column in columns.items() if column in row}
    if not {"path", "text"} & set(columns):
        raise InputError(
            f"{table} has neither a column 'path' nor 'text': name one with --set path=COLUMN; "
            f"it has {', '.join(row)}"
        )
    return columns


def _entry(
    row: Mapping[str, str], columns: Mapping[str, str], votes: list[str], table: Path, number: int
) -> Entry:
    def cell(name: str) -> str:
        return row[columns[name]].strip() if name in columns else ""

    try:
        values: dict[str, Any] = {
            name: kind(cell(name)) if cell(name) else None for name, kind in _NUMBERS.items()
        }
        if votes:
            labels = {name: float(row[name]) for name in votes if float(row[name] or 0)}
        else:
            labels = {part.strip(): 1.0 for part in cell("label").split("|") if part.strip()}
        split = cell("split").lower() or Split.TRAIN.value
        return Entry(
            id=cell("id") or (cell("path") if not cell("start") else "") or f"row-{number}",
            path=table.parent / cell("path") if cell("path") else None,
            labels=labels,
            split=Split(_SPLITS.get(split, split)),
            text=cell("text"),
            speaker=cell("speaker"),
            sex=cell("sex"),
            race=cell("race"),
            **values,
        )
    except ValueError as e:
        raise InputError(f"{table}, line {number}: {e}") from e


RECIPE = Recipe(
    name="csv",
    title="your own data in a table with columns of your choice",
    modalities=(Modality.FACE, Modality.SPEECH, Modality.TEXT),
    media=(Medium.IMAGE, Medium.AUDIO, Medium.AUDIO_VIDEO, Medium.TEXT),
    labellings={},
    licence="yours",
    citation="",
    home="",
    layout="one CSV or TSV table with a header, with columns for the path or the text and for the "
    "label",
    read=_read,
    options={
        "table": "name of the table, if the folder holds several",
        "name": "what to call the corpus (the table's name)",
        "votes": "columns of votes, one a label, separated by commas",
    }
    | {name: f"column: {what}" for name, what in _COLUMNS.items()},
)
