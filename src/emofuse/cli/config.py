"""`emofuse config`: print all settings; `emofuse config convert`: translate another project's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import Overwrite

app = typer.Typer(help="Print all settings, or translate those of another project.")


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings to start from.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Those of `emofuse live` and live sessions.")
    ] = False,
) -> None:
    """Print all settings with their values as YAML, to be saved, changed and used."""
    if context.invoked_subcommand is not None:
        return
    from ..analyzer import read_config
    from ..config.loader import to_yaml
    from ..streaming import live_config

    typer.echo(to_yaml(read_config(file, base=live_config() if live else None)), nl=False)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(metavar="OLD.yaml", help="The file to translate.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for face.yaml, speech.yaml and so on.")
    ] = Path(),
    overwrite: Overwrite = False,
) -> None:
    """Translate a training configuration with facial_model, speech_model, fusion_model, training.

    What has no counterpart is told, and stands on top of the files as comments.
    """
    from ..config.convert import convert, to_files
    from ..config.loader import read_file
    from ..io.atomic import write_atomic

    made = convert(read_file(file))
    for name in made.files:
        if (out / name).exists() and not overwrite:
            raise InputError(f"{out / name} exists; choose another --out, or add --overwrite")
    for name, text in to_files(made).items():
        write_atomic(out / name, text)
        typer.echo(out / name)
    for note in made.notes:
        typer.echo(f"not translated: {note}", err=True)
