"""`emofuse compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import Overwrite, Quiet, complain, result

if TYPE_CHECKING:
    from ..comparison.groups import Recording
    from ..comparison.measures import Alignment
    from ..comparison.statistics import Comparison

_STEPS = 240
"""Steps of a course at most: longer ones get longer steps."""


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B…",
            show_default=False,
            help="Results, or folders of results: each is a group. With --groups: where they lie.",
        ),
    ],
    out: Annotated[Path, result(metavar="DIR", help="Folder for the page and the tables.")],
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Table with file, group and, if wanted, participant, person."
        ),
    ] = None,
    align: Annotated[
        str, typer.Option(metavar="start|marks", help="Lay courses upon each other by this.")
    ] = "start",
    markers: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Moments to align by: file, time (seconds)."),
    ] = None,
    before: Annotated[float, typer.Option(min=0, help="Seconds before a marker.")] = 5.0,
    after: Annotated[float, typer.Option(min=0.1, help="Seconds after a marker.")] = 15.0,
    step: Annotated[float, typer.Option(min=0.1, help="Seconds of a step of a course.")] = 1.0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Compare results: distributions, courses of time, differences, by participant."""
    from ..comparison import compare as compare_groups
    from ..comparison import read_groups
    from ..comparison.report import write_comparison
    from . import display as show

    if align not in ("start", "marks"):
        raise InputError(f"--align: got {align!r}, expected start or marks")
    recordings = read_groups(paths, groups)
    alignment = _alignment(recordings, align, markers, before, after, step)
    found = compare_groups(recordings, alignment)
    files = write_comparison(found, out, overwrite=overwrite)
    if quiet:
        return
    for text in found.warnings:
        complain(text)
    screen = show.stdout()
    screen.print(_table(found))
    for file in files:
        screen.print(str(file), soft_wrap=True)


def _alignment(
    recordings: Sequence[Recording],
    align: str,
    markers: Path | None,
    before: float,
    after: float,
    step: float,
) -> Alignment:
    from ..comparison.measures import Alignment, marks_of

    if markers is not None:
        return Alignment(_read_markers(markers, recordings), before, after, step)
    if align == "marks":
        marks = marks_of(recordings)
        if not marks:
            raise InputError(
                "--align marks: none of the results has a mark; set some on its page (key m), or "
                "give --markers FILE"
            )
        return Alignment(marks, before, after, step)
    longest = max((r.timeline.duration_ns for r in recordings), default=0) / 1e9
    longer = step
    while longest / longer > _STEPS:
        longer *= 2
    return Alignment(None, 0.0, max(longest, longer), longer)


def _read_markers(path: Path, recordings: Sequence[Recording]) -> Mapping[str, Sequence[float]]:
    """Read a table of moments; a file is named as in the table of groups."""
    from ..comparison.groups import find_result, read_table

    known = {r.path: r.timeline for r in recordings}
    found: dict[str, list[float]] = {}
    for number, row in enumerate(read_table(path, ("file", "time")), 2):
        where = f"{path}, line {number}"
        try:
            time = float(row["time"])
        except ValueError:
            raise InputError(f"{where}: got the time {row['time']!r}, expected seconds") from None
        found.setdefault(str(find_result(row["file"], known, path.parent, where)), []).append(time)
    return found


def _table(found: Comparison) -> object:
    """Return the differences whose intervals do not hold 0, or all where there are none."""
    from rich.table import Table

    clear = [d for d in found.differences if d.clear]
    some = clear or [d for d in found.differences if d.measure.startswith("share")]
    table = Table(box=None, pad_edge=False)
    for name in ("measure", "A", "B", "mean A", "mean B", "difference", "95 %", "effect"):
        table.add_column(name, justify="left" if name in "measure A B" else "right")
    for d in some:
        interval = "" if d.interval is None else f"{d.interval[0]:+.3f} … {d.interval[1]:+.3f}"
        effect = "" if d.effect is None else f"{d.effect:+.2f}"
        means = f"{d.mean_a:.3f}", f"{d.mean_b:.3f}"
        table.add_row(d.measure, d.a, d.b, *means, f"{d.difference:+.3f}", interval, effect)
    return table
