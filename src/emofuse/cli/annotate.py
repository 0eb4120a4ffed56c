"""`emofuse annotate` and `emofuse agreement`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .options import AsJson, Overwrite, complain, names, read_formats, result

if TYPE_CHECKING:
    from ..annotations.agreement import Agreement
    from ..annotations.edits import Edit
    from ..annotations.log import Annotations
    from ..core.timeline import Timeline

LAST = "last"

ResultPath = Annotated[
    Path,
    typer.Argument(
        metavar="RESULT", show_default=False, help="Folder of a result, or its JSON file."
    ),
]


def annotate(
    path: ResultPath,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--apply",
            metavar="FILE",
            help="Add the edits of a file that the page saved; may be given several times.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the edits.")] = False,
    undo: Annotated[
        str | None,
        typer.Option(metavar="ID|last", help="Take back an edit (by its id), or the last one."),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who undoes; default: your login.")
    ] = None,
    out: Annotated[
        Path | None,
        result(metavar="DIR", help="Folder for --format; default: that of the result."),
    ] = None,
    formats: Annotated[
        str | None,
        result("--format", metavar="LIST", help=f"Write it anew, edited: {names('exporters')}."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Put a result right by hand: add, list and take back edits, and export it with them.

    The edits are kept in annotations.json beside the result, which itself stays as it was found.
    """
    from ..annotations.apply import apply, result_file
    from ..annotations.log import FILE, Annotations, append, read_annotations
    from ..export.json import read_json

    source = result_file(path)
    wanted = read_formats(formats) if formats else ()
    timeline, beside = read_json(source), source.parent / FILE
    kept = read_annotations(beside) if beside.exists() else Annotations.of(timeline)
    kept.check_fits(timeline, str(beside))
    before = len(kept.edits)
    for file in files or ():
        given = read_annotations(file)
        given.check_fits(timeline, str(file))
        kept = append(beside, given.edits, timeline)
    if undo is not None:
        kept = append(beside, [_undoing(kept, undo, author)], timeline)
    if as_json:
        typer.echo(kept.to_json(), nl=False)
    elif show or not (files or undo or formats):
        _list(kept)
    if not as_json and (files or undo):
        added = len(kept.edits) - before
        typer.echo(f"{beside}: edits added: {added}, in force: {len(kept.active)}")
        if not wanted:
            typer.echo("Files written before do not have them: write them anew with --format LIST")
    if wanted:
        edited = apply(timeline, kept)
        for note in edited.notes[len(timeline.notes) :]:
            complain(note.message)
        _export(timeline, edited, kept, wanted, out or source.parent, overwrite, source)


def _undoing(kept: Annotations, wanted: str, author: str | None) -> Edit:
    from ..annotations.edits import Undo

    if wanted == LAST:
        if not kept.active:
            raise InputError("there is no edit to undo")
        wanted = kept.active[-1].id
    return Undo(of=wanted, author=author if author is not None else os.environ.get("USER", ""))


def _list(kept: Annotations) -> None:
    from rich.table import Table
    from rich.text import Text

    from . import display

    if not kept.edits:
        typer.echo("no edits")
        return
    active = {edit.id for edit in kept.active}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("id", no_wrap=True)
    for name in ("when (UTC)", "by", "edit"):
        table.add_column(name, ratio=1 if name == "edit" else None, overflow="fold")
    for edit in kept.edits:
        gone = "" if edit.id in active or edit.kind == "undo" else " (undone)"
        when = str(edit.time)[:16].replace("T", " ")
        table.add_row(edit.id, when, Text(edit.author or "-"), Text(_told(edit) + gone))
    display.stdout().print(table)


def _told(edit: Edit) -> str:
    """Say what an edit does in a line: ``label: 1 to 4 s, subject person-1, label happy``."""
    rest = edit.model_dump(exclude={"id", "time", "author", "kind"}, exclude_none=True)
    stretch = [f"{rest.pop('start'):g} to {rest.pop('end'):g} s"] if "end" in rest else []
    return f"{edit.kind}: {', '.join([*stretch, *(f'{k} {v}' for k, v in rest.items())])}"


def _export(
    found: Timeline,
    edited: Timeline,
    kept: Annotations,
    formats: tuple[str, ...],
    out: Path,
    overwrite: bool,
    source: Path,
) -> None:
    """Write the formats with the edits; the page gets them as edits, to go on with."""
    from ..core.protocols import ExportFormat
    from ..export import EXPORTERS, file_name, finish
    from ..export.html import annotate_report

    for name in formats:
        kind: ExportFormat = EXPORTERS.load(name)
        to = out / file_name(name)
        if to.resolve() == source.resolve():
            raise InputError(
                f"{to} is the result as it was found and is never changed: give --out DIR to "
                "write an edited one elsewhere"
            )
        if name == "html":
            edits = [edit.model_dump(mode="json") for edit in kept.edits]
            page = source.with_suffix(".html")
            annotate_report(found, to, edits, page=page, overwrite=overwrite)
        else:
            finish([kind(to, overwrite=overwrite)], edited)
        typer.echo(to)


def agreement(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT…",
            show_default=False,
            help="Results with edits: folders (searched), or JSON files.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare what was labelled by hand with what the machine said: Cohen's kappa."""
    from ..annotations.agreement import agreement as compare
    from ..annotations.agreement import pairs_of
    from ..annotations.apply import load_result
    from . import display

    files = [file for path in paths for file in _annotated(path)]
    pairs = [pair for file in files for pair in pairs_of(load_result(file))]
    if not pairs:
        raise InputError(
            "nothing to compare: no label was set or confirmed by hand in these results; do that "
            "on their pages (keys 1 to 8, and c)"
        )
    found = compare(pairs)
    if as_json:
        display.stdout().print_json(data=asdict(found) | {"files": [str(f) for f in files]})
        return
    _show(found, len(files))


def _annotated(path: Path) -> Sequence[Path]:
    """Return the results with edits at a path or below it."""
    from ..annotations.log import FILE

    if not path.exists():
        raise InputError(f"{path} does not exist; give folders of results, or JSON files")
    if not path.is_dir():
        return [path]
    found = [file.parent / "timeline.json" for file in sorted(path.rglob(FILE))]
    return [file for file in found if file.is_file()]


def _show(found: Agreement, files: int) -> None:
    from rich.table import Table

    from . import display

    screen = display.stdout()
    interval = found.interval
    width = "" if interval is None else f" (95 %: {interval[0]:.2f} … {interval[1]:.2f})"
    screen.print(
        f"{found.slots} slots of {found.clusters} people in {files} files were labelled by hand: "
        f"the machine says the same in {found.same} ({_percent(found.same, found.slots)})"
    )
    screen.print(f"Cohen's kappa {_kappa(found.kappa)}{width}")
    if found.uncertain:
        screen.print(f"{found.uncertain} more are left out: there the machine was uncertain")
    table = Table(box=None, pad_edge=False)
    for name in ("label", "hand", "machine", "both", "kappa"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for row in found.labels:
        counts: tuple[Any, ...] = (row.hand, row.machine, row.both)
        table.add_row(row.label, *map(str, counts), _kappa(row.kappa))
    screen.print(table)
    for warning in found.warnings:
        screen.print(f"Note: {warning}", soft_wrap=True)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"


def _kappa(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
