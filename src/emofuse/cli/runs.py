"""`emofuse runs`: trainings side by side. Reads what their folders hold; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, MissingExtra
from .options import Overwrite

app = typer.Typer(help="List trainings, or lay several over each other.", no_args_is_help=True)

_METRICS, _CONFIG, _CARDS = "metrics.jsonl", "config.yaml", "model"
_BOOKKEEPING = ("epoch", "seconds")
_PLACES = ("run", "out", "data")
"""Settings that say where things lie, not how the net was trained."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What a run's folder says.

    Args:
        folder: of the run.
        history: the figures of each epoch.
        settings: dotted key → value.
        finished: whether its model was exported.
    """

    folder: Path
    history: Sequence[Mapping[str, float]]
    settings: Mapping[str, Any]
    finished: bool

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what was measured, in order."""
        return tuple(dict.fromkeys(n for f in self.history for n in f if n not in _BOOKKEEPING))


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs.")] = Path("runs"),
) -> None:
    """List the trainings in a folder: how far each is, and its last figures."""
    found = [_read(path.parent) for path in sorted(folder.glob(f"**/{_METRICS}"))]
    if not found:
        raise InputError(f"no training in {folder}: expected folders that hold {_METRICS}")
    _show(found)


@app.command("compare")
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Picture of all curves over each other.")
    ] = Path("runs.png"),
    overwrite: Overwrite = False,
) -> None:
    """Draw the curves of several trainings over each other, and say in what they differ."""
    from ..io.files import refuse_existing

    runs = [_read(folder) for folder in folders]
    if len(runs) < 2:
        raise InputError("give two runs or more; one has its curves.png")
    refuse_existing(out, overwrite)
    names = titles(runs)
    _draw(runs, names, out)
    for run, name in zip(runs, names, strict=True):
        typer.echo(f"{run.folder}: {name}")
    _show(runs)
    typer.echo(out)


def titles(runs: Sequence[TrainingRun]) -> list[str]:
    """Name runs by the settings in which they differ; by their folders where they do not.

    Example:
        >>> a = TrainingRun(Path("a"), [], {"net.name": "vgg16", "loop.seed": 1}, True)
        >>> b = TrainingRun(Path("b"), [], {"net.name": "cnn4", "loop.seed": 1}, True)
        >>> titles([a, b])
        ['net.name=vgg16', 'net.name=cnn4']
    """
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    differ = [k for k in keys if len({repr(run.settings.get(k)) for run in runs}) > 1]
    names = [
        ", ".join(f"{k}={run.settings[k]}" for k in differ if k in run.settings) for run in runs
    ]
    alike = len(set(names)) < len(names)
    return [str(run.folder) if alike else name for run, name in zip(runs, names, strict=True)]


def _read(folder: Path) -> TrainingRun:
    from ..config.loader import read_file

    try:
        text = (folder / _METRICS).read_text(encoding="utf-8")
        history = [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as e:
        raise InputError(f"{folder} is no folder of a run: cannot read its {_METRICS}: {e}") from e
    config = folder / _CONFIG
    settings = dict(_flat(read_file(config))) if config.is_file() else {}
    kept = {key: value for key, value in settings.items() if key not in _PLACES}
    return TrainingRun(folder, history, kept, any((folder / _CARDS).glob("*.toml")))


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{above}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return pairs


def _show(runs: Sequence[TrainingRun]) -> None:
    """Print a line for each figure of each run: legible at 80 columns, whatever was measured."""
    from rich.table import Table

    from . import display as show

    table = Table(box=None)
    for name in ("run", "epochs", "figure"):
        table.add_column(name, overflow="fold")
    for name in ("least", "most", "last"):
        table.add_column(name, justify="right")
    for run in runs:
        epochs = f"{len(run.history)}{'' if run.finished else ' (unfinished)'}"
        for number, figure in enumerate(run.figures):
            values = [f[figure] for f in run.history if figure in f]
            shown = (f"{v:.4g}" for v in (min(values), max(values), values[-1]))
            table.add_row(*(("", "") if number else (str(run.folder), epochs)), figure, *shown)
    show.stdout().print(table)


def _draw(runs: Sequence[TrainingRun], names: Sequence[str], out: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as e:
        raise MissingExtra("train", "drawing a picture (matplotlib)") from e

    figures = tuple(dict.fromkeys(name for run in runs for name in run.figures))
    columns = min(3, len(figures))
    rows = -(-len(figures) // columns)
    page = Figure(figsize=(4 * columns, 2.8 * rows + 0.25 * len(runs)), layout="constrained")
    for number, name in enumerate(figures, start=1):
        panel = page.add_subplot(rows, columns, number)
        panel.set_title(name.replace("_", " "), fontsize=10)
        for run, title in zip(runs, names, strict=True):
            points = [(f["epoch"], f[name]) for f in run.history if name in f]
            if points:
                panel.plot(*zip(*points, strict=True), label=title)
        panel.grid(alpha=0.25)
        panel.set_xlabel("epoch", fontsize=8)
    handles, labels = page.axes[0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside lower center", fontsize=8)
    page.savefig(out, dpi=110)
