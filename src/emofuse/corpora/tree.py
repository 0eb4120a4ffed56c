"""Finds and reads what a corpus' folder holds, however it was unpacked.

Corpora are copied, converted and unpacked in many ways: nested one folder
deeper, with endings in capitals, as FLAC instead of WAV. Recipes look for names,
not for places, with the functions of this module.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import InputError
from ..io.media_types import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES

AUDIO, VIDEO, IMAGE = AUDIO_SUFFIXES, VIDEO_SUFFIXES, IMAGE_SUFFIXES | {".gif"}
"""Suffixes of the media that are looked for, in lower case."""

Row = Mapping[str, str]


def walk(root: Path) -> Iterator[Path]:
    """Yield all files below `root` in a stable order, without hidden ones.

    Raises:
        InputError: if `root` is not a folder.
    """
    _check_folder(root)
    for level in _levels(root):
        for folder, _, files in level:
            yield from (folder / name for name in files)


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        what = f"{root} is a file" if root.exists() else f"there is no folder {root}"
        raise InputError(f"{what}; expected the folder of the corpus")


def media(root: Path, endings: Container[str]) -> list[Path]:
    """List the files below `root` that have one of `endings`, in whatever case."""
    return [path for path in walk(root) if path.suffix.lower() in endings]


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Index files by their name without ending, in lower case; the first of a name stays."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(path.stem.lower(), path)
    return found


def find(root: Path, *names: str) -> Path | None:
    """Find the file of one of these names that lies least deep below `root`.

    Case does not matter; of equals, the name given first and then the alphabet decide.

    Raises:
        InputError: if `root` is not a folder.
    """
    _check_folder(root)
    wanted = [name.lower() for name in names]
    for level in _levels(root):
        here = [folder / name for folder, _, files in level for name in files]
        hits = [path for path in here if path.name.lower() in wanted]
        if hits:
            return min(hits, key=lambda path: (wanted.index(path.name.lower()), str(path)))
    return None


def folders(root: Path, *names: str) -> Iterator[Path]:
    """Yield the folders of these names, in any case, the least deep first: `root` or below."""
    wanted = [name.lower() for name in names]
    for level in _levels(root):
        yield from (folder for folder, *_ in level if folder.name.lower() in wanted)


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """Read a CSV or TSV table with a header.

    Names of columns lose surrounding blanks and a byte order mark. Text that is not
    UTF-8 is read as Windows-1252, in which older corpora were written.

    Args:
        path: the table; tabs separate its cells if it ends in ``.tsv``.
        columns: names that must be there.

    Raises:
        InputError: if it cannot be read, or lacks a column.
    """
    try:
        text = _decode(path.read_bytes())
        csv.field_size_limit(1 << 24)
        # Not splitlines(): texts hold other line ends, such as U+2028, inside their cells.
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        names = [name.strip() for name in next(reader, [])]
        rows = [dict(zip(names, cells, strict=False)) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"cannot read the table {path}: {e}") from e
    if missing := [name for name in columns if name not in names]:
        raise InputError(
            f"{path} is not the table that is expected: it lacks the columns "
            f"{', '.join(missing)}; it has {', '.join(names) or 'none'}"
        )
    for number, row in enumerate(rows, 2):
        if len(row) < len(names):
            raise InputError(f"{path}, line {number}: {len(row)} cells, expected {len(names)}")
    return rows


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text that are not blank, without surrounding blanks.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        lines = _decode(path.read_bytes()).split("\n")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"cannot read {path}: {e}") from e
    return [line.strip() for line in lines if line.strip()]


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


Folder = tuple[Path, list[str], list[str]]
"""A folder with the names of its folders and of its files."""


def _levels(root: Path) -> Iterator[list[Folder]]:
    """Yield the folders by depth, from `root` on; linked ones too, but each only once."""
    seen: set[str] = set()
    level = [root]
    while level:
        folders = [_list(path) for path in level if not _seen(path, seen)]
        yield folders
        level = [path / name for path, inner, _ in folders for name in inner]


def _seen(path: Path, seen: set[str]) -> bool:
    """Whether a folder was met before, as behind a link that leads back up."""
    real = os.path.realpath(path)
    known = real in seen
    seen.add(real)
    return known


def _list(folder: Path) -> Folder:
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not _is_clutter(e.name)), key=lambda e: e.name)
            inner = [entry.name for entry in entries if entry.is_dir()]
            return folder, inner, [entry.name for entry in entries if not entry.is_dir()]
    except OSError as e:
        raise InputError(f"cannot look into {folder}: {e.strerror}; check its permissions") from e


def _is_clutter(name: str) -> bool:
    """Whether file managers and archivers left this: hidden files, macOS' doubles."""
    return name.startswith(".") or name == "__MACOSX"
