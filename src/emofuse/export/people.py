"""One row a person and file: what they expressed in all, for statistics."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..core.estimates import Estimate
from ..core.labels import CANONICAL
from ..core.modality import modalities
from ..core.time import NS
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .slots import as_text, estimates_of
from .summary import Person, people_by_name, summarise
from .whole import WholeTimeline


class SummaryExporter(WholeTimeline):
    """Writes a timeline with `write_summary`."""

    name = "summary"
    stem = "summary"
    suffix = ".csv"
    content_type = "text/csv; charset=utf-8"
    summary = "a row per person: time seen, shares and means of the labels, transitions"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_summary(timeline, self.path, overwrite=self.overwrite)


def write_summary(
    timelines: Timeline | Iterable[Timeline], path: Path | str, *, overwrite: bool = False
) -> None:
    """Write a row for each person of one timeline or of several; see `summary_rows`.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    timelines = (timelines,) if isinstance(timelines, Timeline) else timelines
    rows = [row for timeline in timelines for row in summary_rows(timeline)]
    columns = tuple(dict.fromkeys(name for row in rows for name in row)) or _COLUMNS
    with ResultFile(Path(path), overwrite=overwrite, newline="") as f:
        table = csv.writer(f)
        table.writerow(columns)
        table.writerows([as_text(row.get(name)) for name in columns] for row in rows)


def summary_rows(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Yield a row for each person, the longest present first.

    Keys: ``file``, ``person`` (e.g. ``"face-1"``), ``name``; ``duration`` of the medium and
    ``present``, how long there was any evidence, in seconds, ``coverage`` (the one as a part of the
    other); ``label``, the most frequent one; ``uncertain``, the part of the person's time that is
    not to be relied on; ``by_hand``, the part whose label was set by hand; for each label
    ``share_LABEL``, the part of the person's time for which it is the result (with ``uncertain``
    they sum to 1) and ``mean_LABEL``, its mean probability over all of the person's time;
    ``transitions``, how often one label follows another, uncertain time skipped, and
    ``transitions_per_minute`` of the person's time; mean ``confidence``, ``quality`` and
    ``disagreement`` by time; ``valence`` and ``arousal`` where a model tells them; for each
    modality ``MODALITY_present``, the seconds in which it had a say. What is not known is None.
    """
    summary = summarise(timeline)
    people = people_by_name(summary)
    told = estimates_of(timeline, people)
    for person in people:
        estimates = told[person.subject]
        labels = dict.fromkeys(CANONICAL.labels) | dict.fromkeys(
            label for e in estimates for label in e.probabilities.taxonomy.labels
        )
        known = {label for e in estimates for label in e.probabilities.taxonomy.labels}
        transitions = transitions_of(person)
        minutes = person.present_ns / NS / 60
        yield {
            "file": summary.file,
            "person": str(person.subject),
            "name": person.name,
            "duration": summary.duration_ns / NS,
            "present": person.present_ns / NS,
            "coverage": person.coverage,
            "label": person.label,
            "uncertain": person.uncertain,
            "by_hand": person.by_hand,
            **{
                f"share_{label}": person.shares.get(label, 0.0) if label in known else None
                for label in labels
            },
            **{f"mean_{label}": _mean_probability(label, estimates) for label in labels},
            "transitions": transitions,
            "transitions_per_minute": transitions / minutes if minutes else None,
            "confidence": person.confidence,
            "quality": person.quality,
            "disagreement": _mean(
                [(e.fusion.disagreement, e) for e in estimates if e.fusion is not None]
            ),
            "valence": person.affect.valence if person.affect else None,
            "arousal": person.affect.arousal if person.affect else None,
            **{
                f"{m}_present": sum(
                    e.span.duration
                    for e in estimates
                    if m in (e.fusion.modality_weights if e.fusion else (e.modality,))
                )
                for m in modalities()
            },
        }


_COLUMNS = ("file", "person", "name", "duration", "present", "coverage", "label", "uncertain")
"""The columns of a table of nobody."""


def transitions_of(person: Person) -> int:
    """Return how often one sure label of a person follows another.

    Time that is uncertain, or without the person, is skipped: *happy*, uncertain, *happy* is none.
    """
    return sum(a.label != b.label for a, b in pairwise(person.runs))


def _mean_probability(label: str, estimates: Sequence[Estimate]) -> float | None:
    """Return a label's mean probability by time; None if no model scores it."""
    taxonomies = {e.probabilities.taxonomy for e in estimates}
    scored = {t: label in t.labels for t in taxonomies}
    return _mean(
        [(e.probabilities[label], e) for e in estimates if scored[e.probabilities.taxonomy]]
    )


def _mean(values: Sequence[tuple[float, Estimate]]) -> float | None:
    """Average by time; a still picture has none, so all its estimates count alike."""
    whole = sum(e.span.duration_ns for _, e in values)
    if not values:
        return None
    if not whole:
        return sum(value for value, _ in values) / len(values)
    return sum(value * e.span.duration_ns for value, e in values) / whole
