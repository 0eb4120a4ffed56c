"""`emofuse runs`: trainings side by side. Reads what their folders hold; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .options import Overwrite

if TYPE_CHECKING:
    from ..training.core.run_files import Confusion

app = typer.Typer(help="List trainings, or lay several over each other.", no_args_is_help=True)

_METRICS, _CONFIG, _CARDS = "metrics.jsonl", "config.yaml", "model"
_ROOMY = 70  # characters from which on a line holds every figure of a metric
_COLUMNS = 3
_PLACES = ("run", "out", "data")
"""Settings that say where things lie, not how the net was trained."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What a run's folder says.

    Args:
        folder: of the run.
        history: the metrics of each epoch.
        settings: dotted key → value.
        finished: whether its model was exported.
        confusion: what its model takes for what, on validation; None if it was not kept.
    """

    folder: Path
    history: Sequence[Mapping[str, float]]
    settings: Mapping[str, Any]
    finished: bool
    confusion: Confusion | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was measured, in order."""
        from ..training.core.curves import metrics_of

        return metrics_of(self.history)


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs.")] = Path("runs"),
) -> None:
    """List the trainings in a folder: how far each is, and its last metrics."""
    found = [_read(path.parent) for path in sorted(folder.glob(f"**/{_METRICS}"))]
    if not found:
        raise InputError(f"no training in {folder}: expected folders that hold {_METRICS}")
    _show(found)


@app.command("compare")
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Picture: curves over each other, confusion matrices side by side."
        ),
    ] = Path("runs.png"),
    overwrite: Overwrite = False,
) -> None:
    """Draw several trainings over each other, and say in what they differ.

    Curves by epoch, training and validation; below them a confusion matrix each.
    """
    from ..io.files import refuse_existing
    from . import picture

    runs = [_read(folder) for folder in folders]
    if len(runs) < 2:
        raise InputError("give two runs or more; one has its curves.png")
    picture.check(out)
    refuse_existing(out, overwrite)
    names = titles(runs)
    _draw(runs, names, out)
    for run in runs:
        if run.confusion is None:
            typer.echo(
                f"{run.folder}: no confusion matrix; a recognizer keeps one when its training ends"
            )
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
    from ..training.core.run_files import read_confusion, read_history

    history = read_history(folder)
    config = folder / _CONFIG
    settings = dict(_flat(read_file(config))) if config.is_file() else {}
    kept = {key: value for key, value in settings.items() if key not in _PLACES}
    finished = any((folder / _CARDS).glob("*.toml"))
    return TrainingRun(folder, history, kept, finished, read_confusion(folder))


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{above}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return pairs


def _show(runs: Sequence[TrainingRun]) -> None:
    """Print a line for each metric of each run: legible at 80 columns, whatever was measured."""
    from rich.table import Table

    from . import display as show

    screen = show.stdout()
    figures: dict[str, Callable[[Sequence[float]], float]] = {
        "min": min,
        "max": max,
        "last": lambda values: values[-1],
    }
    if screen.width < _ROOMY:
        del figures["min"], figures["max"]
    table = Table(box=None)
    for name in ("run", "epochs", "metric"):
        table.add_column(name, overflow="fold", no_wrap=name == "metric")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        epochs = f"{len(run.history)}{'' if run.finished else ' (unfinished)'}"
        for number, metric in enumerate(run.metrics):
            values = [f[metric] for f in run.history if metric in f]
            shown = (f"{figure(values):.4g}" for figure in figures.values())
            table.add_row(*(("", "") if number else (str(run.folder), epochs)), metric, *shown)
    screen.print(table)


def _draw(runs: Sequence[TrainingRun], names: Sequence[str], out: Path) -> None:
    from ..training.core import curves
    from . import picture

    shown = curves.panels(tuple(dict.fromkeys(name for run in runs for name in run.metrics)))
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    matrices = [(run.confusion, n) for run, n in zip(runs, names, strict=True) if run.confusion]
    sizes = [curves.matrix_size(confusion) for confusion, _ in matrices]
    height = 2.8 * rows + 0.25 * len(runs)
    below = max((high for _, high in sizes), default=0.0)
    width = max(4.0 * columns, sum(wide for wide, _ in sizes))
    page = picture.figure_class()(figsize=(width, height + below), layout="constrained")
    heights = [height, below] if matrices else [height]
    parts: Any = page.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_curves(parts[0], runs, names, shown, columns)
    if matrices:
        row = parts[1].subplots(1, len(matrices), squeeze=False)[0]
        for panel, (confusion, title) in zip(row, matrices, strict=True):
            name = f"{fill(title, 36)}\nvalidation, % of each row"
            curves.draw_matrix(panel, confusion, name)
    picture.save(page, out, dpi=110)


def _draw_curves(
    part: Any,
    runs: Sequence[TrainingRun],
    names: Sequence[str],
    shown: Mapping[str, Sequence[str]],
    columns: int,
) -> None:
    """Draw a panel for each metric, a color for each run; what is of training is dotted."""
    from ..training.core import curves

    for number, (name, metrics) in enumerate(shown.items(), start=1):
        panel = part.add_subplot(-(-len(shown) // columns), columns, number)
        for color, (run, title) in enumerate(zip(runs, names, strict=True)):
            look = {"color": f"C{color % 10}"}
            for metric in metrics[:-1]:
                curves.plot(panel, run.history, metric, linestyle=":", **look)
            curves.plot(panel, run.history, metrics[-1], label=title, **look)
        curves.finish(panel, f"{name} (dotted: training)" if len(metrics) > 1 else name)
    handles, labels = part.axes[0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside lower center", fontsize=8)
