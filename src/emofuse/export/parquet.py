"""Fused results as Parquet: one row a person and slot, for DuckDB, pandas, Spark and R."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.details import TextDetails
from ..core.estimates import Estimate, Modality
from ..core.labels import CANONICAL
from ..core.modality import modalities
from ..core.timeline import Timeline
from ..io.atomic import atomic_path
from .whole import WholeTimeline

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 65_536
"""Rows that are held at once."""


class ParquetExporter(WholeTimeline):
    """Writes a timeline with `write_parquet`."""

    name = "parquet"
    suffix = ".parquet"
    needs, extra = "pyarrow", "parquet"
    content_type = "application/vnd.apache.parquet"
    summary = "a row per person and slot, for DuckDB, pandas and Spark; needs pyarrow"

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_parquet(timeline, self.path)


def write_parquet(timeline: Timeline, path: Path | str) -> None:
    """Write one row for each fused estimate; the same columns for every medium.

    Columns: ``file``, ``person``, ``start`` and ``end`` (seconds), ``label``, ``confidence``,
    ``quality``, ``uncertain`` (the reason, or null), ``disagreement``, ``text``, for each fused
    label its probability ``p_LABEL``, and for each modality ``MODALITY_label``,
    ``MODALITY_confidence`` and ``MODALITY_weight`` (null where it said nothing).

    """
    import pyarrow.parquet as pq

    schema = parquet_schema()
    with atomic_path(Path(path)) as part, pq.ParquetWriter(part, schema) as writer:
        for rows in _chunks(timeline):
            writer.write_batch(_batch(rows, schema))


def parquet_schema() -> pa.Schema:
    """Return the columns and their types; see `write_parquet`."""
    import pyarrow as pa

    text, number = pa.string(), pa.float32()
    fields = [
        *(("file", text), ("person", text), ("start", pa.float64()), ("end", pa.float64())),
        *(("label", text), ("confidence", number), ("quality", number), ("uncertain", text)),
        *(("source", text), ("name", text), ("disagreement", number), ("text", text)),
        *((f"p_{label}", number) for label in CANONICAL.labels),
    ]
    for m in modalities():
        fields += [(f"{m}_label", text), (f"{m}_confidence", number), (f"{m}_weight", number)]
    return pa.schema(fields)


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist(rows, schema)


def _chunks(timeline: Timeline) -> Iterator[list[dict[str, Any]]]:
    file, rows = timeline.media.path or timeline.media.name, list[dict[str, Any]]()
    words = Words(timeline.of(Modality.TEXT))
    for e in timeline.fused:
        rows.append(_row(file, e, words.during(e)) | {"name": timeline.names.get(e.subject)})
        if len(rows) == _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


class Words:
    """What was said in each fused slot: the words themselves stand in their own estimates."""

    def __init__(self, said: Sequence[Estimate]) -> None:
        self._said = said  # by start, as the slots come
        self._first = 0

    def during(self, e: Estimate) -> str | None:
        """Return the words that overlap with a slot in which words had a say."""
        if e.fusion is None or Modality.TEXT not in e.fusion.probabilities:
            return None
        said = self._said
        while self._first < len(said) and said[self._first].span.end_ns <= e.span.start_ns:
            self._first += 1
        heard = []
        for words in said[self._first :]:
            if words.span.start_ns >= e.span.end_ns:
                break
            details = words.find_details(TextDetails)
            if words.span.end_ns > e.span.start_ns and details is not None and details.text:
                heard.append(details.text)
        return " ".join(heard) or None


def _row(file: str, e: Estimate, words: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file": file,
        "person": str(e.subject),
        "start": e.span.start,
        "end": e.span.end,
        "label": e.label,
        "confidence": e.confidence,
        "quality": e.quality,
        "uncertain": e.uncertain.reason.value if e.uncertain else None,
        "source": e.source.value,
        "disagreement": e.fusion.disagreement if e.fusion else None,
        "text": words,
        **{f"p_{label}": p for label, p in e.probabilities.items()},
    }
    said: Mapping[Modality, Any] = e.fusion.probabilities if e.fusion else {}
    for m, p in said.items():
        row |= {f"{m}_label": p.label, f"{m}_confidence": p.confidence}
        row[f"{m}_weight"] = e.fusion.modality_weights[m] if e.fusion else None
    return row
