"""`emofuse config`: print all settings, copy files of settings, translate another project's."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import Overwrite

app = typer.Typer(help="Print all settings, copy a training's, or translate another project's.")


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


@app.command("list")
def list_files() -> None:
    """List the files of settings for trainings that come with emofuse."""
    from rich.table import Table

    from . import display as show

    table = Table(box=None, show_header=False)
    for name, text in sorted(_files().items()):
        table.add_row(name, _summary(text))
    show.stdout().print(table)


@app.command("copy")
def copy(
    name: Annotated[str, typer.Argument(help="One of `emofuse config list`.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to (NAME in this folder).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a file of settings, to be changed and given to --config."""
    from ..io.atomic import write_atomic
    from ..io.files import refuse_existing

    known = _files()
    name = name if name in known else f"{name}.yaml"
    if name not in known:
        raise InputError(f"no file of settings {name!r}; there are {', '.join(sorted(known))}")
    target = out or Path(name)
    refuse_existing(target, overwrite)
    write_atomic(target, known[name])
    typer.echo(target)


def _files() -> dict[str, str]:
    """Return the files of settings: those in the package, in a checkout those beside it."""
    import emofuse

    home = Path(emofuse.__file__).parent
    folder = home / "configs"
    if not folder.is_dir():
        folder = home.parents[1] / "configs"
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.yaml")}


def _summary(text: str) -> str:
    """Return the first sentence of the comment that a file begins with."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ") for line in lines).partition(". ")[0].rstrip(".")


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
