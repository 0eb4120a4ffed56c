"""`emofuse export`: results that are there already, in other formats."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import Overwrite, Quiet, names, result

if TYPE_CHECKING:
    from ..core.protocols import Exporter, ExportFormat


def export(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT…", show_default=False, help="timeline.json, or folders of results."
        ),
    ],
    formats: Annotated[
        str,
        result(
            "--format", metavar="LIST", show_default=False, help=f"Formats: {names('exporters')}."
        ),
    ],
    out: Annotated[
        Path | None, result(metavar="DIR", help="Folder for them; default: beside each result.")
    ] = None,
    blur_faces: Annotated[
        bool, result("--blur-faces", help="Make faces unrecognizable (mp4). Look through it.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write results in other formats, without analyzing anything again."""
    from ..annotations import load_result
    from ..export import exporters, finish, result_name
    from ..export.found import find_results
    from ..export.people import write_summary
    from . import display as show
    from .options import read_formats

    kinds = [exporters()[name] for name in read_formats(formats)]
    if blur_faces and not any(kind.name == "mp4" for kind in kinds):
        raise InputError("--blur-faces is for the format mp4; add it to --format")
    results = find_results(paths)
    root = Path(os.path.commonpath([path.parent.absolute() for path in results]))
    for path in results:
        home = path.parent if out is None else out / path.parent.absolute().relative_to(root)
        if any((home / result_name(kind)).resolve() == path.resolve() for kind in kinds):
            raise InputError(
                f"{path} is the result as it was found and is never changed: give --out DIR"
            )
        opened = [_open(kind, home, overwrite, blur_faces) for kind in kinds]
        timeline = load_result(path)
        finish(opened, timeline)
        if not quiet:
            for kind in kinds:
                show.stdout().print(str(home / result_name(kind)), soft_wrap=True)
    if len(results) > 1 and any(kind.name == "summary" for kind in kinds):
        whole = (root if out is None else out) / "summary.csv"
        write_summary((load_result(path) for path in results), whole, overwrite=overwrite)
        if not quiet:
            show.stdout().print(str(whole), soft_wrap=True)


def _open(kind: ExportFormat, home: Path, overwrite: bool, blur_faces: bool) -> Exporter:
    from ..export import result_name
    from ..render.video import AnnotatedVideoExporter

    path = home / result_name(kind)
    if kind is AnnotatedVideoExporter:
        return AnnotatedVideoExporter(path, overwrite=overwrite, blur_faces=blur_faces)
    return kind(path, overwrite=overwrite)
