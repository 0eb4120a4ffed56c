"""Timelines as CSV: one row per estimate; see ``docs/timeline-format.md``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ..core.estimates import Estimate, Modality, Subject
from ..core.identity import People
from ..core.labels import CANONICAL
from ..core.media import Frame
from ..core.modality import modalities
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .whole import WholeTimeline


class CsvExporter(WholeTimeline):
    """Writes a timeline with `write_csv`."""

    name = "csv"
    suffix = ".csv"
    content_type = "text/csv; charset=utf-8"
    summary = "a row per estimate, for pandas, R and spreadsheets"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_csv(timeline, self.path, overwrite=self.overwrite)


_GROUP = ("faces", "read", "dispersion", "scene")
"""Columns that only a group's rows fill; see `GroupDetails`."""


def csv_columns(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the header of the CSV table for these emotion labels."""
    return (
        *("file", "start", "end", "subject", "modality", "label"),
        *labels,
        *("confidence", "valence", "arousal", "quality", "model"),
        *(f"weight_{m.value}" for m in modalities()),
        *("disagreement", "uncertain", "source", "name", "text", "overlap", *_GROUP),
    )


def write_csv(
    timelines: Timeline | Iterable[Timeline], path: Path | str, *, overwrite: bool = False
) -> None:
    """Write one row per person, modality and span, of one timeline or of several.

    The columns are those of `csv_columns` for every label in use.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    timelines = (timelines,) if isinstance(timelines, Timeline) else tuple(timelines)
    seen = dict.fromkeys(label for t in timelines for label in t.labels)
    with CsvTable(path, labels=tuple(seen) or CANONICAL.labels, overwrite=overwrite) as table:
        for timeline in timelines:
            table.file = timeline.media.path or timeline.media.name
            table.names, table.people = timeline.names, timeline.people
            for estimate in timeline:
                table.write(estimate)


class CsvTable:
    """An exporter of rows while they come, of one medium or of many; only estimates matter to it.

    The file appears when the sink is closed; leaving its context by an exception
    leaves no file.

    Args:
        path: where the table goes.
        file: what the column ``file`` says; may be changed between two writes, as may
            `names`, of people, given by hand, and `people`, with the overlaps of voices.
        labels: the emotion columns. They are fixed by the header, so a stream
            cannot add one later.
        overwrite: replace an existing table.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        file: str = "",
        labels: Sequence[str] = CANONICAL.labels,
        overwrite: bool = False,
    ) -> None:
        self.file = file
        self.names: Mapping[Subject, str] = {}
        self.people: People | None = None
        self._labels = tuple(labels)
        self._result = ResultFile(Path(path), overwrite=overwrite, newline="")
        self._writer = csv.writer(self._result.file)  # RFC 4180: commas, CRLF, quotes where needed
        self._writer.writerow(csv_columns(self._labels))

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Append an estimate's row.

        Raises:
            ValueError: if it scores a label that has no column.
        """
        if isinstance(item, Estimate):
            self._writer.writerow(self._row(item))

    def close(self) -> None:
        """Finish the table; harmless when called twice."""
        self._result.commit()

    def __enter__(self) -> CsvTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._result.__exit__(kind, error, trace)

    def _row(self, e: Estimate) -> list[str]:
        known = dict(e.probabilities.items())
        if not known.keys() <= set(self._labels):
            raise ValueError(
                f"the table has columns for {', '.join(self._labels)}; "
                f"got an estimate over {', '.join(known)}"
            )
        weights: Mapping[Modality, float] = e.fusion.modality_weights if e.fusion else {}
        details = e.details_mapping()
        text = details.get("text", "") if e.modality is Modality.TEXT else ""
        return [
            cell(self.file),
            f"{e.span.start:.3f}",
            f"{e.span.end:.3f}",
            str(e.subject),
            e.modality.value,
            e.label,
            *(_number(known.get(label)) for label in self._labels),
            _number(e.confidence),
            _number(e.affect.valence if e.affect else None),
            _number(e.affect.arousal if e.affect else None),
            _number(e.quality),
            e.model_id,
            *(_number(weights.get(m)) for m in modalities()),
            _number(e.fusion.disagreement if e.fusion else None),
            e.uncertain.reason.value if e.uncertain else "",
            e.source.value,
            cell(self.names.get(e.subject, "")),
            cell(" ".join(text.split())),
            _number(overlap_of(e, self.people)),
            *(str(details.get(name, "")) for name in _GROUP),
        ]


def overlap_of(e: Estimate, people: People | None) -> float | None:
    """Return how likely a second voice is in what an estimate heard; None if none was noticed."""
    parts = e.fusion.probabilities if e.fusion else (e.modality,)
    return people.overlap_at(e.span) if people and Modality.SPEECH in parts else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def cell(text: str) -> str:
    """Keep spreadsheets from running words as a formula: =, +, - and @ get an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
