"""A row for every person and slot of time, seen or not: statistics need the gaps, too."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.estimates import Estimate, Modality, Probabilities, Subject
from ..core.labels import CANONICAL
from ..core.modality import modalities
from ..core.time import NS, to_ns
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .csv import cell
from .parquet import Words
from .summary import Person, people_by_name, summarise
from .whole import WholeTimeline

_SLOT_S = 0.5
"""Length of a slot where the settings do not tell, in seconds."""


class SlotsExporter(WholeTimeline):
    """Writes a timeline with `write_slots`."""

    name = "slots"
    stem = "slots"
    suffix = ".csv"
    content_type = "text/csv; charset=utf-8"
    summary = "a row for every person and slot, seen or not, for statistics"
    on_request = True

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_slots(timeline, self.path, overwrite=self.overwrite)


class WideSlotsExporter(WholeTimeline):
    """Writes a timeline with `write_wide_slots`."""

    name = "slots-wide"
    stem = "slots-wide"
    suffix = ".csv"
    content_type = "text/csv; charset=utf-8"
    summary = "a row for every slot, each person in columns, for SPSS"
    on_request = True

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_wide_slots(timeline, self.path, overwrite=self.overwrite)


def write_slots(timeline: Timeline, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a row for every person and slot; see `slot_rows`.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    columns = slot_columns(timeline)
    with ResultFile(Path(path), overwrite=overwrite, newline="") as f:
        table = csv.writer(f)
        table.writerow(columns)
        for row in slot_rows(timeline):
            table.writerow([as_text(row.get(name)) for name in columns])


def write_wide_slots(timeline: Timeline, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a row for every slot, with columns ``face_1_label``, ``face_1_p_happy`` … a person.

    The columns of a person are `slot_columns` from ``present`` on, less the words; names of columns
    are made of letters, digits and underscores, as SPSS wants them.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    shared = ("file", "slot", "start", "end")
    own = [c for c in slot_columns(timeline)[_OWN:] if c != "text"]
    grid = _Grid(timeline)
    prefixes = [str(p.subject).replace("-", "_") for p in grid.people]
    with ResultFile(Path(path), overwrite=overwrite, newline="") as f:
        table = csv.writer(f)
        table.writerow([*shared, *(f"{p}_{c.replace('-', '_')}" for p in prefixes for c in own)])
        for rows in grid.slots():
            head = [as_text(rows[0][name]) for name in shared]
            table.writerow([*head, *(as_text(row.get(c)) for row in rows for c in own)])


def slot_columns(timeline: Timeline) -> tuple[str, ...]:
    """Return the columns of `slot_rows`."""
    bases = {p.basis for p in summarise(timeline).people}
    labels = dict.fromkeys(CANONICAL.labels) | dict.fromkeys(
        label for m in bases for e in timeline.of(m) for label in e.probabilities.taxonomy.labels
    )
    return (
        *("file", "person", "name", "slot", "start", "end"),
        *("present", "label", "confidence", "uncertain", "source", "quality", "disagreement"),
        *(f"p_{label}" for label in labels),
        *("valence", "arousal"),
        *(f"{m}_{what}" for m in modalities() for what in ("label", "confidence", "weight")),
        "text",
    )


_OWN = 6
"""Columns before those that tell of one person in one slot."""


def slot_rows(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Yield a row for every person and slot, person by person, from the start to the end.

    Keys are `slot_columns`: ``file``, ``person`` (e.g. ``"face-1"``), ``name``, ``slot`` (from 0),
    ``start`` and ``end`` in seconds, ``present`` (1 if there is any evidence, else 0) and, where
    there is, ``label``, ``confidence``, ``uncertain`` (the reason, if it is), ``source``
    (``machine`` or ``hand``), ``quality``, ``disagreement``, a probability ``p_LABEL`` for each
    label, ``valence``, ``arousal``, what each modality says and weighs (``face_label``,
    ``face_confidence``, ``face_weight`` …), and the words in ``text``. What is not known is None.

    An estimate longer than a slot (of a group, or a lone voice) stands in each that it covers.
    """
    grid = _Grid(timeline)
    for person in grid.people:
        yield from grid.rows(person)


def estimates_of(timeline: Timeline, people: Sequence[Person]) -> dict[Subject, Sequence[Estimate]]:
    """Return the estimates that people's figures are taken from, in order of time."""
    found: dict[Subject, list[Estimate]] = {p.subject: [] for p in people}
    bases = {p.subject: p.basis for p in people}
    for e in timeline:
        if bases.get(e.subject) is e.modality:
            found[e.subject].append(e)
    return dict(found)


class _Grid:
    """The slots of a timeline, and who is there in which."""

    def __init__(self, timeline: Timeline) -> None:
        summary = summarise(timeline)
        self._media, self._said = timeline.media, timeline.of(Modality.TEXT)
        self.people = people_by_name(summary)
        self._slot_ns = to_ns(float(timeline.provenance.settings.get("slot_seconds", _SLOT_S)))
        told = estimates_of(timeline, self.people)
        self._found = {subject: self._by_slot(some) for subject, some in told.items()}
        latest = max((max(slots) for slots in self._found.values()), default=-1)
        self._count = max(latest + 1, -(-timeline.duration_ns // self._slot_ns))

    def slots(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of everybody, slot by slot."""
        every = [self.rows(person) for person in self.people]
        for _ in range(self._count) if every else ():
            yield [next(rows) for rows in every]

    def rows(self, person: Person) -> Iterator[dict[str, Any]]:
        """Yield a person's rows."""
        found, words = self._found[person.subject], Words(self._said)
        for k in range(self._count):
            start, e = k * self._slot_ns, found.get(k)
            yield {
                "file": self._media.path or self._media.name,
                "person": str(person.subject),
                "name": person.name,
                "slot": k,
                "start": start / NS,
                "end": (start + self._slot_ns) / NS,
                "present": int(e is not None),
                **({} if e is None else _told(e, words.during(e))),
            }

    def _by_slot(self, estimates: Sequence[Estimate]) -> Mapping[int, Estimate]:
        """Return the estimate that covers most of each slot; the earlier of equals."""
        best: dict[int, tuple[int, Estimate]] = {}
        for e in estimates:
            first, last = e.span.start_ns // self._slot_ns, -(-e.span.end_ns // self._slot_ns)
            for k in range(first, max(last, first + 1)):
                start = k * self._slot_ns
                covered = min(e.span.end_ns, start + self._slot_ns) - max(e.span.start_ns, start)
                if k not in best or covered > best[k][0]:
                    best[k] = covered, e
        return {k: e for k, (_, e) in best.items()}


def _told(e: Estimate, words: str | None) -> dict[str, Any]:
    """Return what an estimate says in a slot."""
    row: dict[str, Any] = {
        "label": e.label,
        "confidence": e.confidence,
        "uncertain": e.uncertain.reason.value if e.uncertain else None,
        "source": e.source.value,
        "quality": e.quality,
        "disagreement": e.fusion.disagreement if e.fusion else None,
        **{f"p_{label}": p for label, p in e.probabilities.items()},
        "valence": e.affect.valence if e.affect else None,
        "arousal": e.affect.arousal if e.affect else None,
        "text": words,
    }
    alone = {} if e.modality is Modality.FUSED else {e.modality: e.probabilities}
    said: Mapping[Modality, Probabilities] = e.fusion.probabilities if e.fusion else alone
    weights = e.fusion.modality_weights if e.fusion else dict.fromkeys(alone, 1.0)
    for m, p in said.items():
        row |= {f"{m}_label": p.label, f"{m}_confidence": p.confidence, f"{m}_weight": weights[m]}
    return row


def as_text(value: Any) -> str:
    """Write a cell: nothing for None, six decimals, words harmless for spreadsheets."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    return cell(" ".join(value.split())) if isinstance(value, str) else str(value)
