"""What a corpus holds, before any medium is opened.

A recipe (`emofuse.corpora.recipes`) reads a corpus' own tables and gives a
`Manifest`: one `Entry` per sample with its native labels. A corpus that was
labelled more than once (an acted emotion and a crowd's votes, say) has one
manifest per labelling, with the same ids in the same order.

On disk a manifest is one table, CSV or Parquet by its file's ending, one row a
sample. Columns whose name begins with ``label:`` hold the weight (1, or the
number of votes) of one native label each, those with ``scale:`` a rating; the
order of the label columns is the taxonomy's. An empty cell means unknown.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from ..core.labels import Taxonomy
from ..errors import InputError, MissingExtra
from ..io.atomic import atomic_path

LABEL, SCALE = "label:", "scale:"
"""How the names of columns begin that hold a label's weight, and a rating."""

Box = tuple[float, float, float, float]
"""Left, top, width, height."""

BOXES = "boxes"
"""Column of the faces' boxes, there if any sample has some: ``left top width height; …``."""

CSV, PARQUET = ".csv", ".parquet"
"""Endings of manifest files."""


class Split(str, Enum):
    """What a sample may be used for: to learn, to choose, or to report (once)."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a corpus.

    Args:
        id: unique in the corpus and stable.
        path: its medium; None for text.
        labels: native label → weight > 0: the number of votes, or 1 for the one
            label that was given. Empty if nobody labelled it.
        split: what it may be used for.
        fold: number of its cross-validation fold, if the corpus has folds.
        speaker: who speaks or is seen; no speaker crosses a split.
        sex: of that person, as the corpus writes it.
        text: what is said or written.
        flags: what is peculiar about it, e.g. ``"blank"``, in the recipe's words;
            without white space.
        start: where the sample begins in its medium, in seconds; None: at its start.
        end: where it ends, in seconds; None: where the medium ends.
        age: of the person, in years.
        race: of the person, as the corpus writes it.
        scales: ratings on scales, e.g. ``{"valence": -0.3}``, in the corpus' units.
        boxes: faces of a picture of several people: left, top, width and height, in pixels of
            the upright picture. Empty: nobody said where they are.

    An empty string for `speaker`, `sex`, `race` or `text` becomes None: unknown.

    Raises:
        ValueError: if a weight is not positive and finite, a span is empty or
            negative, a fold is negative, or a flag or the id is not usable.
    """

    id: str
    path: Path | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    split: Split = Split.TRAIN
    fold: int | None = None
    speaker: str | None = None
    sex: str | None = None
    text: str | None = None
    flags: frozenset[str] = frozenset()
    start: float | None = None
    end: float | None = None
    age: int | None = None
    race: str | None = None
    scales: Mapping[str, float] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an entry needs an id")
        if not all(0 < weight < math.inf for weight in self.labels.values()):
            raise ValueError(f"entry {self.id!r}: weights must be > 0, got {dict(self.labels)}")
        if not all(map(math.isfinite, self.scales.values())):
            raise ValueError(f"entry {self.id!r}: ratings must be finite, got {dict(self.scales)}")
        if not 0 <= (self.start or 0.0) < (math.inf if self.end is None else self.end):
            raise ValueError(f"entry {self.id!r}: no span from {self.start} s to {self.end} s")
        if not all(
            len(b) == 4 and all(map(math.isfinite, b)) and min(b[2:]) > 0 for b in self.boxes
        ):
            raise ValueError(
                f"entry {self.id!r}: boxes need a width and a height, got {self.boxes}"
            )
        if self.fold is not None and self.fold < 0:
            raise ValueError(f"entry {self.id!r}: folds count from 0, got {self.fold}")
        if any(not flag or flag.split() != [flag] for flag in self.flags):
            raise ValueError(f"entry {self.id!r}: flags are single words, got {set(self.flags)}")
        for name in ("speaker", "sex", "text", "race"):
            object.__setattr__(self, name, getattr(self, name) or None)
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "scales", MappingProxyType(dict(self.scales)))


@dataclass(frozen=True, slots=True)
class Manifest:
    """The samples of one corpus under one labelling.

    Args:
        corpus: the corpus' name.
        taxonomy: its native labels.
        entries: the samples, in a stable order.

    Raises:
        ValueError: if two entries share an id or a label is not in the taxonomy.

    Example:
        >>> from emofuse.core.labels import CANONICAL
        >>> entry = Entry("a", Path("a.wav"), {"happy": 1.0}, Split.TEST)
        >>> manifest = Manifest("mine", CANONICAL, (entry,))
        >>> len(manifest.of(Split.TEST)), len(manifest.of(Split.TRAIN))
        (1, 0)
    """

    corpus: str
    taxonomy: Taxonomy
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if len({e.id for e in self.entries}) != len(self.entries):
            raise ValueError(f"manifest of {self.corpus!r}: ids must be unique")
        known = set(self.taxonomy.labels)
        for entry in self.entries:
            if unknown := set(entry.labels) - known:
                raise ValueError(
                    f"manifest of {self.corpus!r}: {entry.id!r} has labels {sorted(unknown)} "
                    f"that taxonomy {self.taxonomy.name!r} does not know"
                )

    def where(self, keep: Callable[[Entry], bool]) -> Manifest:
        """Return the manifest of the entries for which `keep` is true."""
        return replace(self, entries=tuple(e for e in self.entries if keep(e)))

    def of(self, split: Split) -> Manifest:
        """Return the manifest of one split."""
        return self.where(lambda e: e.split is split)

    def without(self, *flags: str) -> Manifest:
        """Return the manifest without the entries that carry any of `flags`."""
        return self.where(lambda e: e.flags.isdisjoint(flags))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


def save(manifest: Manifest, path: Path, overwrite: bool = False) -> None:
    """Write a manifest to a table that `read` reads back exactly.

    Media below the table's folder are named relative to it, so that both can be
    moved together; all others by their absolute path. The file appears under its
    name only when it is complete.

    Args:
        manifest: with at least one entry: an empty table could not say of what.
        path: ``….csv`` or ``….parquet``.
        overwrite: replace a file that is there.

    Raises:
        InputError: if there is nothing to save, the ending is another, or the
            file exists or cannot be written.
        MissingExtra: if it is to be Parquet and pyarrow is not installed.
    """
    kind = check_name(path)
    if not manifest.entries:
        raise InputError(f"no entry of {manifest.corpus} is left: an empty manifest is not saved")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another file, or allow to overwrite it")
    try:
        columns = _columns(manifest, path.parent.absolute())
        with atomic_path(path) as part:
            (_write_csv if kind == CSV else _write_parquet)(columns, part)
    except (OSError, UnicodeEncodeError) as e:
        raise InputError(f"cannot write {path}: {e}; choose another place or make room") from e


def read(path: Path) -> Manifest:
    """Read a manifest from the table that `save` wrote.

    Raises:
        InputError: if it cannot be read or is not such a table.
        MissingExtra: if it is Parquet and pyarrow is not installed.
    """
    kind = check_name(path)
    try:
        rows = list(_read_csv(path) if kind == CSV else _read_parquet(path))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        reason = getattr(e, "strerror", None) or e
        raise InputError(
            f"cannot read the manifest {path}: {reason}; `emofuse corpus prepare` makes one"
        ) from e
    if not rows:
        raise InputError(f"the manifest {path} has no rows: prepare the corpus again")
    try:
        return _manifest(rows, path.parent.absolute())
    except KeyError as e:
        raise InputError(
            f"{path} is no manifest: column {e} is missing; `emofuse corpus prepare` makes one"
        ) from e
    except ValueError as e:
        raise InputError(f"the manifest {path} cannot be used: {e}") from e


def check_name(path: Path) -> str:
    """Return the ending of a manifest's file in lower case: `CSV` or `PARQUET`.

    Raises:
        InputError: if it has another.
    """
    if path.suffix.lower() not in (CSV, PARQUET):
        raise InputError(f"a manifest's file ends in {CSV} or {PARQUET}, got {path.name!r}")
    return path.suffix.lower()


_PLAIN = ("split", "fold", "speaker", "sex", "age", "race", "start", "end", "text")
"""Attributes of an entry that are one cell each, besides id, path and flags."""

_NUMBERS = {"fold": int, "age": int, "start": float, "end": float}


def _columns(manifest: Manifest, home: Path) -> dict[str, list[Any]]:
    entries, native = manifest.entries, manifest.taxonomy
    scales = list(dict.fromkeys(name for e in entries for name in e.scales))
    columns: dict[str, list[Any]] = {
        "corpus": [manifest.corpus] * len(entries),
        "taxonomy": [native.name] * len(entries),
        "multi_label": [int(native.multi_label)] * len(entries),
        "id": [e.id for e in entries],
        "path": [_written(e.path, home) for e in entries],
    }
    for name in _PLAIN:
        columns[name] = [getattr(e, name) for e in entries]
    columns["split"] = [e.split.value for e in entries]
    columns["flags"] = [" ".join(sorted(e.flags)) or None for e in entries]
    if any(e.boxes for e in entries):
        columns[BOXES] = ["; ".join(" ".join(_cells(b)) for b in e.boxes) or None for e in entries]
    for label in native.labels:
        columns[LABEL + label] = [_number(e.labels.get(label)) for e in entries]
    for scale in scales:
        columns[SCALE + scale] = [_number(e.scales.get(scale)) for e in entries]
    return columns


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _written(path: Path | None, home: Path) -> str | None:
    if path is None:
        return None
    whole = path.absolute()
    return whole.relative_to(home).as_posix() if whole.is_relative_to(home) else str(whole)


def _manifest(rows: list[dict[str, str | None]], home: Path) -> Manifest:
    first = rows[0]
    labels = tuple(name[len(LABEL) :] for name in first if name.startswith(LABEL))
    if not labels:
        raise KeyError(LABEL + "…")
    native = Taxonomy(_needed(first, "taxonomy"), labels, bool(int(_needed(first, "multi_label"))))
    for row in rows:
        if _needed(row, "corpus") != _needed(first, "corpus"):
            raise ValueError(f"it mixes {first['corpus']} and {row['corpus']}; one table a corpus")
    return Manifest(_needed(first, "corpus"), native, tuple(_entry(row, home) for row in rows))


def _entry(row: Mapping[str, str | None], home: Path) -> Entry:
    def weights(prefix: str) -> dict[str, float]:
        named = ((name, value) for name, value in row.items() if name.startswith(prefix))
        return {name[len(prefix) :]: float(value) for name, value in named if value}

    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    for name, number in _NUMBERS.items():
        values[name] = number(values[name]) if values[name] else None
    values["split"] = Split(_needed(row, "split"))
    return Entry(
        id=_needed(row, "id"),
        path=home / row["path"] if row["path"] else None,
        labels=weights(LABEL),
        scales=weights(SCALE),
        flags=frozenset((row["flags"] or "").split()),
        boxes=tuple(_box(text) for text in (row.get(BOXES) or "").split(";") if text.strip()),
        **values,
    )


def _box(text: str) -> Box:
    left, top, width, height = (float(number) for number in text.split())
    return left, top, width, height


def _needed(row: Mapping[str, str | None], name: str) -> str:
    if value := row[name]:
        return value
    raise ValueError(f"an empty cell in column {name!r}")


def _write_csv(columns: Mapping[str, list[Any]], path: Path) -> None:
    # Names of files need not be valid UTF-8; surrogateescape writes and reads them as they are.
    with path.open("x", newline="", encoding="utf-8", errors="surrogateescape") as f:
        writer = csv.writer(_Lines(f))
        writer.writerow(columns)
        writer.writerows(map(_cells, zip(*columns.values(), strict=True)))


class _Lines:
    """Ends the lines of a CSV table with a newline alone.

    The writer must believe that they end in carriage return and newline: only then
    does it quote a cell with a lone carriage return, which readers take for a row's end.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: str) -> None:
        self._file.write(row.removesuffix("\r\n") + "\n")


def _cells(values: Iterable[Any]) -> list[str]:
    """Floats lose a useless ``.0``, so that votes read as the counts they are."""
    return [
        "" if v is None else repr(v).removesuffix(".0") if isinstance(v, float) else str(v)
        for v in values
    ]


def _read_csv(path: Path) -> Iterator[dict[str, str | None]]:
    csv.field_size_limit(1 << 24)  # a text may be longer than the 128 kB that are the default
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as f:
        reader = csv.reader(f)
        names = next(reader, [])
        for number, cells in enumerate(reader, 1):
            if len(cells) != len(names):
                raise csv.Error(f"row {number} has {len(cells)} cells, expected {len(names)}")
            yield dict(zip(names, cells, strict=True))


def _write_parquet(columns: Mapping[str, list[Any]], path: Path) -> None:
    arrow, parquet = _pyarrow("writing Parquet")
    kinds = {int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
    weighted = (LABEL, SCALE)

    def kind(name: str) -> Any:
        if name == "multi_label":
            return kinds[int]
        return kinds[float if name.startswith(weighted) else _NUMBERS.get(name, str)]

    arrays = [arrow.array(values, kind(name)) for name, values in columns.items()]
    parquet.write_table(arrow.Table.from_arrays(arrays, names=list(columns)), path)


def _read_parquet(path: Path) -> Iterator[dict[str, str | None]]:
    arrow, parquet = _pyarrow("reading Parquet")
    try:
        rows = parquet.read_table(path).to_pylist()
    except arrow.ArrowInvalid as e:
        raise InputError(f"cannot read the manifest {path}: it is not Parquet ({e})") from e
    for row in rows:
        yield {n: None if v is None else _cells([v])[0] for n, v in row.items()}


def _pyarrow(purpose: str) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as e:
        raise MissingExtra("parquet", purpose) from e
    return pyarrow, parquet
