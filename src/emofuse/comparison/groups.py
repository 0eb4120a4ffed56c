"""Which recordings are compared: files, folders, or groups from a table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..annotations import load_result
from ..core.timeline import Timeline
from ..errors import InputError
from ..export.found import find_results
from ..io.text import decode


@dataclass(frozen=True, slots=True)
class Recording:
    """One result in a comparison.

    Args:
        path: its JSON file.
        group: what it belongs to.
        participant: whose it is; one participant may have several, in several groups.
        person: who of the people in it; empty: all of them together.
        timeline: the result, as corrected by hand.
    """

    path: Path
    group: str
    participant: str
    person: str
    timeline: Timeline


def read_groups(paths: Sequence[Path], table: Path | None = None) -> tuple[Recording, ...]:
    """Read what is to be compared.

    Args:
        paths: results or folders of results. Without a table each is a group of its own, named as
            the file or folder is, and each result a participant of its own.
        table: CSV with the columns ``file`` and ``group`` and, if wanted, ``participant`` and
            ``person``. A file is a result, a folder of one, or the name of a medium among `paths`.

    Raises:
        InputError: if there are fewer than two groups, a file is not found or is ambiguous, or
            the table lacks a column.
    """
    found = tuple(_from_paths(paths) if table is None else _from_table(paths, table))
    groups = dict.fromkeys(r.group for r in found)
    if len(groups) < 2:
        got = ", ".join(groups) or "none"
        raise InputError(f"a comparison needs at least two groups, got {got}")
    return found


def _from_paths(paths: Sequence[Path]) -> Iterator[Recording]:
    short = [_name(path) for path in paths]
    count = Counter(short)
    for path, name in zip(paths, short, strict=True):
        group = name if count[name] == 1 else str(path)
        for result in find_results([path]):
            yield Recording(result, group, str(result), "", load_result(result))


def _name(path: Path) -> str:
    """Name a group: a result is called as the folder that it lies in."""
    path = path.absolute()
    return path.parent.name if path.suffix == ".json" else path.name


def _from_table(paths: Sequence[Path], table: Path) -> Iterator[Recording]:
    known = {path: load_result(path) for path in find_results(paths)}
    for number, row in enumerate(read_table(table, ("file", "group")), 2):
        where = f"{table}, line {number}"
        path = find_result(row["file"], known, table.parent, where)
        timeline = known.get(path) or load_result(path)
        if not row["group"]:
            raise InputError(f"{where}: the group is missing")
        participant = row.get("participant") or str(path)
        yield Recording(path, row["group"], participant, row.get("person") or "", timeline)


def read_table(table: Path, needed: Sequence[str]) -> Sequence[Mapping[str, str]]:
    """Read a CSV table with a header; commas or semicolons.

    Raises:
        InputError: if it cannot be read or lacks a column.
    """
    try:
        text, _ = decode(table.read_bytes())
    except (OSError, UnicodeError) as e:
        raise InputError(f"cannot read {table}: {e}") from e
    dialect = "excel" if text.partition("\n")[0].count(";") == 0 else _Semicolons
    rows = list(csv.DictReader(text.splitlines(), dialect=dialect))
    columns = tuple(rows[0]) if rows else ()
    if not set(needed) <= set(columns):
        got = ", ".join(map(str, columns)) or "nothing"
        raise InputError(
            f"{table}: expected a table with the columns {', '.join(needed)}; got {got}"
        )
    return [{str(k): (v or "").strip() for k, v in row.items() if k} for row in rows]


class _Semicolons(csv.excel):
    delimiter = ";"


def find_result(file: str, known: Mapping[Path, Timeline], base: Path, where: str) -> Path:
    """Find the result that a table's entry means.

    Args:
        file: a result, its folder, or the name of its medium.
        known: the results that there are.
        base: folder of the table.
        where: what errors say of the entry.

    Raises:
        InputError: if there is none, or there are several.
    """
    beside = base / file
    if file and beside.exists() and (beside.is_dir() or beside.suffix == ".json"):
        inside = find_results([beside])
        if len(inside) > 1:
            raise InputError(f"{where}: {file} holds {len(inside)} results; name one")
        return next((path for path in known if path.samefile(inside[0])), inside[0])
    fitting = [path for path, timeline in known.items() if file in _called(path, timeline)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        several = ", ".join(map(str, fitting[:3]))
        raise InputError(f"{where}: {file} may be {several}; name the folder of the result")
    raise InputError(
        f"{where}: no result of {file!r}; give the folder of results before --groups, and the "
        "medium's name, or the result's folder, in the table"
    )


def _called(path: Path, timeline: Timeline) -> set[str]:
    """Return what a table may call a result."""
    media = timeline.media
    return {str(path), str(path.parent), path.parent.name, media.name, Path(media.name).stem} | (
        {media.path} if media.path else set()
    )
