"""Results as an Excel workbook: people, slots, words, and how they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.details import TextDetails
from ..core.estimates import Modality
from ..core.time import NS
from ..core.timeline import Timeline
from ..io.atomic import atomic_path
from .people import summary_rows
from .slots import slot_columns, slot_rows
from .summary import person_name
from .whole import WholeTimeline

if TYPE_CHECKING:
    from openpyxl import Workbook

_ROWS, _CHARACTERS = 1_048_576, 32_767
"""What a sheet and a cell hold at most, by Excel's specification."""

_ABOUT = (
    "Expressions, not feelings: what a face, a voice and words look and sound like. What somebody "
    "feels no program can know."
)


class XlsxExporter(WholeTimeline):
    """Writes a timeline with `write_xlsx`."""

    name = "xlsx"
    suffix = ".xlsx"
    needs, extra = "openpyxl", "xlsx"
    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    summary = "a workbook for Excel: people, slots, words, settings; needs openpyxl"
    on_request = True

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_xlsx(timeline, self.path)


def write_xlsx(timeline: Timeline, path: Path | str) -> None:
    """Write a workbook with the sheets ``people``, ``slots``, ``words`` and ``settings``.

    The first two hold `summary_rows` and `slot_rows`. Numbers are numbers, times are seconds. Text
    is text, whatever it starts with: no name and no word is taken for a formula. What goes beyond
    a sheet's 1,048,576 rows goes on in a further sheet (``slots 2``).

    Raises:
        OSError: if the file cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    people = list(summary_rows(timeline))
    columns = tuple(dict.fromkeys(name for row in people for name in row)) or ("file", "person")
    _add(book, "people", columns, people)
    _add(book, "slots", slot_columns(timeline), slot_rows(timeline))
    _add(book, "words", _WORDS, _words(timeline))
    _add(book, "settings", ("setting", "value"), _settings(timeline))
    with atomic_path(Path(path)) as part:
        book.save(part)


_WORDS = ("start", "end", "person", "name", "label", "confidence", "text")


def _words(timeline: Timeline) -> Iterator[dict[str, Any]]:
    for e in timeline.of(Modality.TEXT):
        details = e.find_details(TextDetails)
        if details is not None and details.text:
            named = timeline.names.get(e.subject) or details.speaker
            name = named or person_name(e.subject, timeline.media.kind)
            told = (e.span.start, e.span.end, str(e.subject), name, e.label, e.confidence)
            yield dict(zip(_WORDS, (*told, details.text), strict=True))


def _settings(timeline: Timeline) -> Iterator[dict[str, Any]]:
    media, made = timeline.media, timeline.provenance
    known: dict[str, Any] = {
        "about": _ABOUT,
        "file": media.path or media.name,
        "duration": timeline.duration_ns / NS,
        "emofuse": made.version,
        "models": {m.value: model for m, model in made.models.items()},
        "components": made.components,
        "settings": made.settings,
        "notes": [note.message for note in timeline.notes],
    }
    for name, value in _flat("", known):
        yield {"setting": name, "value": value}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}".lstrip("."), inner)
    elif isinstance(value, (list, tuple)):
        yield name, "\n".join(map(str, value))
    else:
        yield name, value if isinstance(value, (int, float)) or value is None else str(value)


def _add(
    book: Workbook, title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Add rows as a sheet, or as several."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    sheet, used, count = None, 0, 0

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        plain = value.encode("utf-8", "backslashreplace").decode()  # of names of files
        made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", plain)[:_CHARACTERS])
        if made.data_type == "f":  # it starts with "="
            made.data_type, made.quotePrefix = "s", True
        return made

    for row in rows:
        if sheet is None or used == _ROWS:
            count += 1
            sheet, used = _sheet(book, title if count == 1 else f"{title} {count}", columns), 1
        sheet.append([cell(row.get(name)) for name in columns])
        used += 1
    if sheet is None:
        _sheet(book, title, columns)


def _sheet(book: Workbook, title: str, columns: Sequence[str]) -> Any:
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    sheet.append(list(columns))
    return sheet
