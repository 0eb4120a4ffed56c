"""Results of jobs with what was corrected by hand: read, edited, and written anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ...annotations.apply import apply
from ...annotations.edits import Edit
from ...annotations.log import FILE, Annotations, append, read_annotations
from ...core.timeline import Timeline
from ...export import export as write
from ...export import file_name
from ...export.html import annotate_report
from ...export.json import read_json

FOLDER = "edited"
"""Folder within a job's results for what is written of the edited one."""


def annotations_of(result: Path) -> Annotations:
    """Return the edits of a result (its JSON file).

    Raises:
        InputError: if they cannot be read.
    """
    beside = result.parent / FILE
    return read_annotations(beside) if beside.exists() else Annotations.of(_found(result))


def add(result: Path, edits: Iterable[Edit], etag: str | None) -> Annotations:
    """Add edits to a result; see `emofuse.annotations.append`.

    Raises:
        EditConflictError: if the etag is not that of the edits there.
        InputError: if an edit cannot be done.
    """
    return append(result.parent / FILE, edits, _found(result), etag)


def timeline_of(result: Path) -> Timeline:
    """Return a result with its edits.

    Raises:
        InputError: if it cannot be read.
    """
    found = _found(result)
    beside = result.parent / FILE
    return apply(found, read_annotations(beside)) if beside.exists() else found


def folder_of(result: Path) -> Path:
    """Return the folder in which a result with its edits is written; edits have one each time."""
    return result.parent / FOLDER / annotations_of(result).etag


def export(result: Path, folder: Path, format_: str, media: Path | None = None) -> None:
    """Write a result in a format, with its edits if the folder is that of an edited one.

    Args:
        result: the result as it was found (its JSON file).
        folder: where the file goes.
        format_: the format's name.
        media: the medium, for formats that need it.

    Raises:
        InputError: if it cannot be written.
    """
    path = folder / file_name(format_)
    is_new = folder.parent.name == FOLDER
    if is_new:
        for old in folder.parent.glob("*"):
            if old.name != folder.name:
                shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if is_new and format_ == "html":
        edits = [edit.model_dump(mode="json") for edit in annotations_of(result).edits]
        page = result.with_suffix(".html")
        annotate_report(_found(result), path, edits, page=page, overwrite=True)
        return
    timeline = timeline_of(result) if is_new else _found(result)
    if media is not None:
        timeline = replace(timeline, media=replace(timeline.media, path=str(media)))
    write(timeline, format_, path, overwrite=True)


def is_edited(result: Path) -> bool:
    """Whether anything was corrected by hand in a result (its JSON file)."""
    return (result.parent / FILE).exists()


def _found(result: Path) -> Timeline:
    return _read(result, result.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(result: Path, _changed: int) -> Timeline:
    """Read a result as it was found; the last ones are remembered, for they are edited at once."""
    return read_json(result)
