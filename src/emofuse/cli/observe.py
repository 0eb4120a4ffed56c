"""`emofuse analyze --image … --audio … --text …`: one observation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..analyzer import AnalyzerConfig


def observe(
    image: Path | None,
    audio: Path | None,
    text: str | None,
    face_crop: bool,
    settings: AnalyzerConfig,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Observe a face, a voice and words; print what came of it, and write it to `out`."""
    from ..io.atomic import write_atomic
    from ..observe import Observer
    from . import display as show

    file = out / "observation.json" if out is not None else None
    if file is not None and file.exists() and not overwrite:
        raise InputError(f"{file} exists; choose another --out, or add --overwrite")
    observer = Observer(config=settings)
    found = observer.observe(image=image, audio=audio, text=text, face_crop=face_crop)
    if file is not None:
        content = json.dumps(found.to_mapping(), ensure_ascii=False, indent=2)
        write_atomic(file, content + "\n")
    if as_json:
        show.stdout().print_json(data=found.to_mapping())
        return
    show.stdout().print(show.observation(found))
    if file is not None:
        typer.echo(file)
