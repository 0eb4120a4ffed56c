"""Posteriors of a teacher, to learn from instead of hard labels alone (Hinton et al. 2015).

A teacher is a table (CSV or Parquet: an id a row, a column a label) or any model
with a card. A table's columns may be the corpus' native labels or the labels that
are learned, with a common prefix.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.labels import LabelMap
from ...core.protocols import LogitRecogniser
from ...corpora.labels import soft_target
from ...errors import InputError, MissingExtra

Posteriors = Mapping[str, NDArray[np.float32]]
"""Sample id → probabilities of the labels that are learned."""

_IDS = ("id", "clip", "path", "name")


@dataclass(frozen=True, slots=True)
class TeacherChoice:
    """Where a teacher's answers come from.

    Args:
        table: CSV or Parquet with a column of sample ids (``id``, ``clip``, ``path`` or
            ``name``) and one of probabilities for each label.
        prefix: beginning of the names of the label columns.
        id_prefix: two texts: where an id begins with the first, that is read as the
            second (a table about videos, say, for a corpus of their sound).
        model: the card of a model that is asked, instead of a table; its answers are
            kept in the run folder.
    """

    table: Path | None = None
    prefix: str = ""
    id_prefix: tuple[str, str] | None = None
    model: Path | None = None

    def __post_init__(self) -> None:
        if (self.table is None) == (self.model is None):
            raise ValueError("a teacher is a table or a model, one of the two")


def read_posteriors(choice: TeacherChoice, to: LabelMap) -> Posteriors:
    """Read a teacher's table.

    Args:
        choice: with a table.
        to: map of the corpus' native labels to those that are learned. The columns are
            named by either.

    Raises:
        InputError: if it cannot be read or lacks a column.
    """
    assert choice.table is not None
    rows = list(_rows(choice.table))
    columns = list(rows[0]) if rows else []
    key = next((name for name in _IDS if name in columns), None)
    native = [x for x in to.source.labels if choice.prefix + x in columns]
    target = [x for x in to.target.labels if choice.prefix + x in columns]
    if key is None or not (native == list(to.source.labels) or target):
        raise InputError(
            f"{choice.table} is not a table of a teacher's posteriors: expected a column of ids "
            f"({', '.join(_IDS)}) and one of each label, {choice.prefix!r} + "
            f"{', '.join(to.source.labels)}; got {', '.join(columns) or 'nothing'}"
        )
    fold = LabelMap.identity(to.target) if native != list(to.source.labels) else to
    names = [x for x in fold.source.labels if choice.prefix + x in columns]
    old, new = choice.id_prefix or ("", "")
    out = {}
    for row in rows:
        known = str(row[key])
        known = new + known[len(old) :] if known.startswith(old) else known
        try:
            weights = {x: float(row[choice.prefix + x]) for x in names}
        except (TypeError, ValueError) as e:
            raise InputError(f"{choice.table}, {known!r}: {e}; expected probabilities") from e
        if not all(0 <= w <= 1.0001 for w in weights.values()):
            raise InputError(f"{choice.table}, {known!r}: {weights} are no probabilities")
        out[known] = soft_target(weights, fold)
    return out


def ask(
    model: Path, samples: Iterable[tuple[str, Sequence[Any]]], to: LabelMap
) -> dict[str, NDArray[np.float32]]:
    """Ask a model about samples.

    Args:
        model: its card; its files lie beside it.
        samples: ids, each with what the model's `prepare` takes: one piece or several,
            whose answers are averaged.
        to: its target is what is learned.

    Raises:
        InputError: if the model shares no label with what is learned.
        ModelError: if the model cannot be loaded.
    """
    from ...models.card import read_card
    from ...models.registry import load
    from ...models.store import Store

    card = read_card(model)
    recogniser = load(card.id, Store(folders=[model.parent]))
    if not isinstance(recogniser, LogitRecogniser):
        raise InputError(f"teacher {card.id!r} gives no logits to learn from")
    shared = [x for x in to.target.labels if x in card.taxonomy.labels]
    if not shared:
        raise InputError(
            f"teacher {card.id!r} answers {', '.join(card.taxonomy.labels)}; none of them is "
            f"learned here ({', '.join(to.target.labels)})"
        )
    at, theirs = [to.target.index(x) for x in shared], [card.taxonomy.index(x) for x in shared]
    out = {}
    for known, pieces in samples:
        logits = recogniser.logits([recogniser.prepare(piece) for piece in pieces])
        p = card.calibration.probabilities(logits, card.taxonomy.multi_label).mean(axis=0)
        row = np.zeros(len(to.target), np.float32)
        row[at] = p[theirs]
        out[known] = row / max(float(row.sum()), 1e-12)
    return out


def softened(p: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Raise probabilities to 1 / `temperature` and scale each row to sum to 1 again."""
    soft = np.power(p, 1 / temperature, where=p > 0, out=np.zeros_like(p))
    scaled: NDArray[np.float32] = soft / np.maximum(soft.sum(axis=-1, keepdims=True), 1e-12)
    return scaled


def kept(path: Path, to: LabelMap, make: Callable[[], Posteriors]) -> Posteriors:
    """Read the posteriors that an earlier start of the run kept in `path`, or make and keep them.

    Raises:
        InputError: if they cannot be kept.
    """
    from .checkpoint import disk_errors, save_text

    labels = to.target.labels
    if path.exists():
        return read_posteriors(TeacherChoice(path), LabelMap.identity(to.target))
    answers = make()
    lines = [",".join(("id", *labels))]
    for known, row in answers.items():
        quoted = '"' + known.replace('"', '""') + '"'
        lines.append(",".join((quoted, *(f"{p:.6f}" for p in row))))
    with disk_errors("what is in the run folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_text("\n".join(lines) + "\n", path)
    # Read back: rounded answers now and exact ones later would be two trainings.
    return read_posteriors(TeacherChoice(path), LabelMap.identity(to.target))


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            try:
                import pyarrow.parquet as pq
            except ImportError as e:
                raise MissingExtra("parquet", "reading Parquet") from e
            yield from pq.read_table(path).to_pylist()
            return
        with path.open(newline="", encoding="utf-8-sig") as f:
            yield from csv.DictReader(f)
    except (OSError, UnicodeDecodeError, ValueError) as e:
        raise InputError(f"cannot read the teacher's table {path}: {e}") from e
