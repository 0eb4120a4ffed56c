"""A figure for papers: probabilities along time, what is uncertain, what each modality says."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality
from ..core.modality import name_of
from ..core.time import NS, Span, clock
from ..core.timeline import Timeline
from ..errors import InputError, MissingExtra
from ..io.atomic import atomic_path
from .palette import colours_of
from .slots import estimates_of
from .strips import EXPRESSIONS, ink_on, rows_of, stretches
from .summary import (
    UNCERTAIN,
    Person,
    describe,
    find_subjects,
    people_by_name,
    short_clock,
    summarise,
)
from .whole import WholeTimeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PEOPLE = 6
"""People who are drawn unless others are asked for: the longest present."""

_WIDTH = 7.2
"""Inches: two columns of a journal."""

_COLUMNS = 1200
"""Moments that are drawn at most; longer stretches are drawn as means."""

_STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "emofuse",
}


class _FigureExporter(WholeTimeline):
    """Writes a timeline with `write_figure`."""

    stem = "figure"
    suffix = ""
    needs, extra = "matplotlib", "figure"
    on_request = True

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_figure(timeline, self.path, format=self.suffix[1:])


class PngExporter(_FigureExporter):
    """Writes a figure as a picture."""

    name, suffix, content_type = "png", ".png", "image/png"
    summary = "a figure, 300 dots an inch; needs matplotlib"


class SvgExporter(_FigureExporter):
    """Writes a figure as a drawing that can be edited."""

    name, suffix, content_type = "svg", ".svg", "image/svg+xml"
    summary = "a figure to edit; needs matplotlib"


class PdfExporter(_FigureExporter):
    """Writes a figure for print."""

    name, suffix, content_type = "pdf", ".pdf", "application/pdf"
    summary = "a figure for papers; needs matplotlib"


def write_figure(timeline: Timeline, path: Path | str, *, format: str | None = None) -> None:
    """Write the figure of `draw` as PNG (300 dpi), SVG or PDF, told by the name of the file.

    Raises:
        MissingExtra: if matplotlib is not installed.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    format = format or path.suffix[1:].lower()
    figure = draw(timeline)
    from matplotlib import rc_context

    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
    with atomic_path(path) as part, rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in another script
        figure.savefig(part, format=format, dpi=300, metadata=metadata)


def draw(
    timeline: Timeline,
    *,
    people: Sequence[str] | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Figure:
    """Draw a timeline: a panel for each person.

    A panel has the probabilities of the result as a stack along time, and strips of labels below:
    the result (hatched where it is uncertain) and what each modality says. Colors are
    those of the pages, which people with color blindness can tell apart; strips have their labels
    written on them where there is room. A picture, which has no time, gets bars.

    Args:
        timeline: what to draw.
        people: whom, by id or name; default: the six who are there longest.
        start: first second; default: the start of the medium.
        end: last second; default: its end.

    Returns:
        A figure 7.2 inches wide, drawn without pyplot.

    Raises:
        InputError: if there is nobody of a name, or `start` is not before `end`.
        MissingExtra: if matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as e:
        raise MissingExtra("figure", "a figure") from e
    summary = summarise(timeline)
    everybody = people_by_name(summary)
    chosen = _choose(timeline, everybody, people)
    left = 0.0 if start is None else start
    right = timeline.duration_ns / NS if end is None else end
    if summary.timed and chosen and not left < right:
        raise InputError(f"a figure needs a start before its end, got {left:g} s and {right:g} s")
    with rc_context(_STYLE):
        left_out = len(everybody) - len(chosen)
        if not summary.timed:
            return _bars(timeline, chosen, _note(left_out))
        told = estimates_of(timeline, chosen)
        rows = [rows_of(p, told[p.subject]) for p in chosen]
        heights = [h for some in rows for h in (_AREA, _STRIP * len(some))]
        figure = Figure(
            figsize=(_WIDTH, 1.0 + sum(heights) + 0.45 * len(rows)), layout="constrained"
        )
        axes = figure.subplots(
            max(len(heights), 1), 1, sharex=True, squeeze=False, height_ratios=heights or [1]
        ).ravel()
        used: dict[str, None] = {}
        for n, (person, some) in enumerate(zip(chosen, rows, strict=True)):
            used |= _area(axes[2 * n], person, some[0][1], left, right)
            _strips(axes[2 * n + 1], some, left, right)
        if chosen:
            _time_axis(axes[-1], left, right)
            _legend(figure, used, _note(left_out))
        else:
            axes[0].set_axis_off()
            axes[0].text(0.5, 0.5, "no face, voice or words found", ha="center")
        _title(figure, timeline)
        return figure


_AREA, _STRIP = 0.85, 0.17
"""Heights of a stack and of a strip, in inches."""


def _choose(
    timeline: Timeline, everybody: Sequence[Person], people: Sequence[str] | None
) -> Sequence[Person]:
    if people is None:
        return everybody[:_PEOPLE]
    wanted = {subject for name in people for subject in find_subjects(timeline, name)}
    return [p for p in everybody if p.subject in wanted]


def _area(
    axes: Axes, person: Person, estimates: Sequence[Estimate], left: float, right: float
) -> dict[str, None]:
    """Draw the probabilities as a stack; return the labels in it."""
    labels = tuple(estimates[0].probabilities.taxonomy.labels)
    edges, p = columns(estimates, labels, left, right)
    floor = np.zeros(len(p))
    colours = colours_of(labels)
    for i, label in enumerate(labels):
        top = floor + p[:, i]
        axes.stairs(top, edges, baseline=floor, fill=True, color=colours[label], lw=0)
        floor = top
    axes.set_xlim(left, right)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability")
    axes.tick_params(bottom=False)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"{person.name}: {describe(person, most=0)}"
    axes.set_title(title, loc="left", fontsize=8.5, parse_math=False)
    return dict.fromkeys(labels)


def columns(
    estimates: Sequence[Estimate], labels: Sequence[str], left: float, right: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of columns in seconds, and mean probabilities in them.

    Args:
        estimates: of one person over one taxonomy, in order.
        labels: what to return.
        left: first second.
        right: last second.

    Returns:
        Edges, shape (n + 1,), and probabilities, shape (n, len(labels)): NaN where nobody is.
        Columns are as long as most estimates, unless that makes too many.
    """
    known = [e for e in estimates if e.probabilities.taxonomy.labels == tuple(labels)]
    lengths = Counter(e.span.duration for e in known if e.span.duration_ns)
    step = lengths.most_common(1)[0][0] if lengths else right - left
    step *= max(1, math.ceil((right - left) / step / _COLUMNS))
    count = max(1, math.ceil(round((right - left) / step, 6)))
    edges = np.append(left + step * np.arange(count), right)
    total, weight = np.zeros((count, len(labels))), np.zeros(count)
    for e in known:
        first = int(np.clip(np.searchsorted(edges, e.span.start, "right") - 1, 0, count - 1))
        last = int(np.clip(np.searchsorted(edges, e.span.end, "left"), first + 1, count))
        for k in range(first, last):
            both = min(e.span.end, edges[k + 1]) - max(e.span.start, edges[k])
            if both > 0:
                total[k] += both * e.probabilities.values
                weight[k] += both
    with np.errstate(invalid="ignore"):
        return edges, total / np.where(weight > 0, weight, np.nan)[:, None]


def _strips(
    axes: Axes, rows: Sequence[tuple[Modality, Sequence[Estimate]]], left: float, right: float
) -> None:
    """Draw what the result and each modality say as rows of labels."""
    points = (_WIDTH - 1.0) * 72 / (right - left)  # of a second, about
    for n, (_, estimates) in enumerate(rows):
        colours = colours_of(dict.fromkeys(e.label for e in estimates))
        for span, label in stretches(estimates):
            place = [(span.start, span.duration)], (n - 0.42, 0.84)
            if label == UNCERTAIN:
                axes.broken_barh(*place, facecolor="none", lw=0, hatch="/////", edgecolor="0.45")
                continue
            axes.broken_barh(*place, facecolor=colours[label], lw=0)
            seen = span.clip(Span.of_seconds(left, right))
            if seen and seen.duration * points > 4.2 * len(label):
                axes.text(
                    (seen.start + seen.end) / 2, n, label, ha="center", va="center_baseline",
                    fontsize=6.5, color=ink_on(colours[label]), parse_math=False,
                )  # fmt: skip
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [name_of(m) for m, _ in rows])
    axes.tick_params(left=False, bottom=False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _time_axis(axes: Axes, left: float, right: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 6, 10]))
    form = clock if right - left < 8 else short_clock
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: form(max(0, round(x * NS)))))
    axes.tick_params(bottom=True)
    axes.set_xlabel("time")


def _bars(timeline: Timeline, people: Sequence[Person], note: str) -> Figure:
    """Draw people of a picture: bars of probabilities."""
    from matplotlib.figure import Figure

    count = max(1, len(people))
    figure = Figure(figsize=(_WIDTH, 1.0 + 1.6 * count), layout="constrained")
    axes = figure.subplots(count, 1, sharex=True, squeeze=False).ravel()
    for panel, person in zip(axes, people, strict=False):
        e = timeline.of(person.basis, person.subject)[0]
        labels, p = zip(*e.probabilities.items(), strict=True)
        colours = colours_of(labels)
        bars = panel.barh(labels, p, color=[colours[label] for label in labels])
        panel.bar_label(bars, [f"{x:.0%}" for x in p], padding=2, fontsize=7)
        panel.invert_yaxis()
        panel.set_xlim(0, 1)
        panel.spines[["top", "right"]].set_visible(False)
        title = f"{person.name}: {describe(person, timed=False)}"
        panel.set_title(title, loc="left", fontsize=8.5, parse_math=False)
    axes[-1].set_xlabel("probability")
    figure.supxlabel(note, fontsize=6.5, color="0.35")
    _title(figure, timeline)
    return figure


def _legend(figure: Figure, labels: Iterable[str], note: str) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=c, label=label) for label, c in colours_of(labels).items()]
    handles.append(Patch(facecolor="none", edgecolor="0.45", hatch="/////", label=UNCERTAIN))
    figure.legend(
        handles=handles, loc="outside lower left", ncols=5, frameon=False, fontsize=7.5,
        title=note, title_fontproperties={"size": 6.5}, alignment="left",
    )  # fmt: skip


def _note(left_out: int) -> str:
    return f"{left_out} more not drawn. {EXPRESSIONS}" if left_out else EXPRESSIONS


def _title(figure: Figure, timeline: Timeline) -> None:
    name = timeline.media.name
    figure.suptitle(name, x=0.01, ha="left", fontsize=10, weight="bold", parse_math=False)
