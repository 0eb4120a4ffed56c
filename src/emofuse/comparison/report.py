"""A comparison as a page and as tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.time import NS
from ..export.html import HONEST, document
from ..export.palette import colours_of
from ..export.slots import as_text
from ..export.summary import short_clock
from ..io.files import ResultFile
from .measures import LABELS, MEASURES
from .statistics import FEW, RESAMPLES, SEED, Comparison, Difference, Group

PAGE, DIFFERENCES = "comparison.html", "differences.csv"
PARTICIPANTS, COURSES = "participants.csv", "courses.csv"

_LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colors of groups (Okabe and Ito), in turn; each has its own dashes, too."""

_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4")


def write_comparison(found: Comparison, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``comparison.html`` and the tables ``differences``, ``participants``, ``courses``.

    Returns:
        The files.

    Raises:
        InputError: if one exists and `overwrite` is False, or cannot be written.
    """
    with ResultFile(folder / PAGE, overwrite=overwrite) as f:
        f.write(comparison_page(found))
    tables = ((DIFFERENCES, _difference_rows), (PARTICIPANTS, _participants), (COURSES, _courses))
    for name, rows in tables:
        with ResultFile(folder / name, overwrite=overwrite, newline="") as f:
            table = csv.writer(f)
            table.writerows([as_text(value) for value in row] for row in rows(found))
    return [folder / name for name in (PAGE, *(name for name, _ in tables))]


# ---------------------------------------------------------------- tables


def _difference_rows(found: Comparison) -> Iterator[Sequence[Any]]:
    yield (
        *("measure", "group_a", "group_b", "participants_a", "participants_b", "mean_a", "mean_b"),
        *("difference", "low", "high", "effect", "effect_low", "effect_high", "paired"),
    )
    for d in found.differences:
        low, high = d.interval or (None, None)
        effect_low, effect_high = d.effect_interval or (None, None)
        yield (
            *(d.measure, d.a, d.b, d.count_a, d.count_b, d.mean_a, d.mean_b, d.difference),
            *(low, high, d.effect, effect_low, effect_high, int(d.paired)),
        )


def _participants(found: Comparison) -> Iterator[Sequence[Any]]:
    yield ("group", "participant", *(name.replace(" ", "_") for name in MEASURES))
    for g in found.groups:
        for participant, values in zip(g.participants, g.values, strict=True):
            yield (g.name, participant, *map(_number, values))


def _courses(found: Comparison) -> Iterator[Sequence[Any]]:
    edges = found.alignment.edges
    yield ("group", "start", "end", "participants", *(f"mean_{label}" for label in LABELS))
    for g in found.groups:
        for k, (mean, seen) in enumerate(zip(_mean_course(g), _seen(g), strict=True)):
            yield (g.name, float(edges[k]), float(edges[k + 1]), int(seen), *map(_number, mean))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean_course(group: Group) -> NDArray[np.float64]:
    """Return the mean course over participants, shape (steps, labels)."""
    known = np.isfinite(group.courses)
    count = known.sum(axis=0)
    total: NDArray[np.float64] = np.where(known, group.courses, 0.0).sum(axis=0)
    return total / np.where(count > 0, count, np.nan)


def _seen(group: Group) -> NDArray[np.int64]:
    """Return how many participants are there in each step."""
    count: NDArray[np.int64] = np.isfinite(group.courses).all(axis=2).sum(axis=0)
    return count


# ---------------------------------------------------------------- the page


def comparison_page(found: Comparison) -> str:
    """Return the page as text."""
    names = ", ".join(g.name for g in found.groups)
    pairs = dict.fromkeys((d.a, d.b) for d in found.differences)
    warnings = "".join(f"<li>{escape(text)}</li>" for text in found.warnings)
    body = (
        f'<header><p class="overline">emofuse · comparison</p><h1>{escape(names)}</h1></header>'
        f'{HONEST}<section class="card warn"><h2>Before you believe it</h2><ul>{warnings}</ul>'
        f"</section>{_groups(found.groups)}{_distributions(found.groups)}"
        f"{''.join(_pair(found, a, b) for a, b in pairs)}{_time_courses(found)}{_HOW}"
    )
    return document(f"Comparison: {names}", body, style=_STYLE, version=version("emofuse"))


_STYLE = """
.warn { border-left: 4px solid var(--warn); }
.warn ul { margin: 0; padding-left: 1.2em; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 14px; }
.panels figure { margin: 0; }
.panels figcaption { font-size: .9rem; margin: 0 0 2px; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; list-style: none; }
.key svg { vertical-align: middle; margin-right: 6px; }
td.bar { min-width: 160px; padding-left: 14px; }
td.bar svg { vertical-align: middle; }
tr.clear td { font-weight: 600; }
td { overflow-wrap: break-word; }
.stack { display: flex; height: 22px; gap: 1px; border-radius: 5px; overflow: hidden; }
.stack span { min-width: 1px; }
"""


def _groups(groups: Sequence[Group]) -> str:
    rows = "".join(
        f"<tr><td>{escape(g.name)}</td><td class=num>{len(g.participants)}</td>"
        f"<td class=num>{g.recordings}</td>"
        f"<td class=num>{short_clock(round(g.seconds * NS))}</td></tr>"
        for g in groups
    )
    return (
        '<section class="card"><h2>Groups</h2><div class="scroll"><table><thead><tr><th>group</th>'
        "<th class=num>participants</th><th class=num>recordings</th><th class=num>evidence</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _distributions(groups: Sequence[Group]) -> str:
    colours = colours_of(LABELS)
    parts = []
    for g in groups:
        if not g.participants:
            continue
        shares = dict(zip((*LABELS, "uncertain"), g.mean[: len(LABELS) + 1], strict=True))
        told = ", ".join(f"{label} {x:.0%}" for label, x in shares.items() if round(x, 2))
        spans = "".join(
            f'<span class="hatched" style="width:{100 * x:.2f}%"></span>'
            if label == "uncertain"
            else f'<span style="width:{100 * x:.2f}%;background:{colours[label]}"></span>'
            for label, x in shares.items()
        )
        parts.append(
            f"<p><b>{escape(g.name)}</b></p>"
            f'<div class="stack" role="img" aria-label="{escape(told)}">{spans}</div>'
            f'<p class="small">{escape(told)}</p>'
        )
    legend = "".join(
        f'<li><i style="background:{colour}"></i>{label}</li>' for label, colour in colours.items()
    )
    return (
        '<section class="card"><h2>Distributions</h2><p>Part of the time for which a label is the '
        "result, mean over participants.</p>"
        f'<ul class="legend" aria-label="colors">{legend}<li><i class="hatched"></i>uncertain</li>'
        f"</ul>{''.join(parts)}</section>"
    )


def _pair(found: Comparison, a: str, b: str) -> str:
    some = [d for d in found.differences if (d.a, d.b) == (a, b)]
    reach = max((abs(x) for d in some for x in _reach(d) if _is_part(d)), default=0.0) or 1.0
    effect = "d" if some[0].paired else "g"
    rows = "".join(_difference(d, reach if _is_part(d) else None) for d in some)
    return (
        f'<section class="card"><h2>{escape(b)} against {escape(a)}</h2><div class="scroll">'
        '<table class="differences"><thead><tr><th>measure</th>'
        f"<th class=num>{escape(a)}</th><th class=num>{escape(b)}</th>"
        f"<th class=num>difference</th><th class=num>95 % interval</th><th>around 0</th>"
        f"<th class=num>{effect}</th><th class=num>its interval</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _is_part(d: Difference) -> bool:
    """Whether a measure is a part of 1, so that it is drawn on the common scale."""
    return d.measure.startswith(("share", "mean")) or d.measure in ("uncertain", "confidence")


def _reach(d: Difference) -> tuple[float, ...]:
    return d.interval or (d.difference,)


def _difference(d: Difference, reach: float | None) -> str:
    interval = _pair_of_numbers(d.interval)
    effect = "" if d.effect is None else f"{d.effect:+.2f}"
    return (
        f"<tr{' class=clear' if d.clear else ''}><td>{escape(d.measure)}</td>"
        f"<td class=num>{d.mean_a:.3f}</td><td class=num>{d.mean_b:.3f}</td>"
        f"<td class=num>{d.difference:+.3f}</td><td class=num>{interval}</td>"
        f'<td class="bar">{_whisker(d, reach) if reach else ""}</td>'
        f"<td class=num>{effect}</td>"
        f"<td class=num>{_pair_of_numbers(d.effect_interval, 2)}</td></tr>"
    )


def _pair_of_numbers(pair: tuple[float, float] | None, digits: int = 3) -> str:
    return "" if pair is None else f"{pair[0]:+.{digits}f} … {pair[1]:+.{digits}f}"


def _whisker(d: Difference, reach: float) -> str:
    """Draw a difference and its interval around 0."""

    def x(value: float) -> float:
        return 80 + 74 * value / reach

    line = ""
    if d.interval:
        low, high = map(x, d.interval)
        line = f'<path d="M{low:.1f} 8H{high:.1f}" stroke="currentColor" stroke-width="2"/>'
    return (
        '<svg viewBox="0 0 160 16" width="160" height="16" aria-hidden="true">'
        '<line x1="80" x2="80" y1="0" y2="16" stroke="var(--soft)"/>'
        f'{line}<circle cx="{x(d.difference):.1f}" cy="8" r="3.5" fill="currentColor"/></svg>'
    )


_WIDE, _HIGH, _LEFT, _LOW = 300, 130, 30, 18


def _time_courses(found: Comparison) -> str:
    """Draw a panel for each label, with a line for each group."""
    shown = [g for g in found.groups if np.isfinite(g.courses).any()]
    if not shown:
        return ""
    means = [_mean_course(g) for g in shown]
    bands = [g.band() for g in shown]
    top = [
        *(np.nanmax(m) for m in means),
        *(np.nanmax(b[1]) for b in bands if b and np.isfinite(b[1]).any()),
    ]
    highest = min(1.0, max(0.1, float(np.ceil(max(top) * 10) / 10)))
    panels = "".join(
        f"<figure><figcaption>{label}</figcaption>"
        f"{_panel(found, i, means, bands, highest)}</figure>"
        for i, label in enumerate(LABELS)
    )
    key = "".join(
        f'<li><svg width="34" height="10" aria-hidden="true">{_line(n, "M1 5H33")}</svg>'
        f"{escape(g.name)}</li>"
        for n, g in enumerate(shown)
    )
    marks = found.alignment.times is not None
    what = "seconds from the markers" if marks else "time from the start"
    band = f" Shaded: 95 % bootstrap interval (groups of {FEW} or more)." if any(bands) else ""
    return (
        '<section class="card"><h2>Courses of time</h2><p>Mean probability over participants; '
        f"{what}, in steps of {found.alignment.bin:g} s.{band}</p>"
        f'<ul class="key">{key}</ul><div class="panels">{panels}</div></section>'
    )


def _panel(
    found: Comparison,
    i: int,
    means: Sequence[NDArray[np.float64]],
    bands: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]] | None],
    highest: float,
) -> str:
    edges = found.alignment.edges
    at = (edges[:-1] + edges[1:]) / 2

    def x(seconds: Any) -> Any:
        return _LEFT + (_WIDE - _LEFT - 4) * (seconds - edges[0]) / (edges[-1] - edges[0])

    def y(p: Any) -> Any:
        return 4 + (_HIGH - _LOW - 4) * (1 - p / highest)

    parts = []
    for p in (0, highest / 2, highest):
        parts.append(
            f'<path d="M{_LEFT} {y(p):.1f}H{_WIDE - 4}" stroke="var(--grid)"/>'
            f'<text x="{_LEFT - 4}" y="{y(p) + 3:.1f}" text-anchor="end" font-size="9" '
            f'fill="var(--soft)">{p:.2g}</text>'
        )
    for seconds in _ticks(edges):
        anchor = "end" if x(seconds) > _WIDE - 14 else "middle"
        told = (
            f"{seconds:g}"
            if found.alignment.times is not None
            else short_clock(round(seconds * NS))
        )
        parts.append(
            f'<text x="{x(seconds):.1f}" y="{_HIGH - 4}" text-anchor="{anchor}" font-size="9" '
            f'fill="var(--soft)">{told}</text>'
        )
    if edges[0] < 0:
        parts.append(f'<path d="M{x(0):.1f} 4V{_HIGH - _LOW}" stroke="var(--soft)"/>')
    for n, (mean, band) in enumerate(zip(means, bands, strict=True)):
        if band is not None:
            parts.extend(_shade(n, x(at), y(band[0][:, i]), y(band[1][:, i])))
        parts.append(_line(n, _path(x(at), y(mean[:, i]))))
    told = "; ".join(
        f"{g.name} {np.nanmean(m[:, i]):.2f}" for g, m in zip(_drawn(found), means, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" width="100%" role="img" '
        f'aria-label="mean {LABELS[i]}: {escape(told)}">{"".join(parts)}</svg>'
    )


def _shade(
    n: int, xs: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> Iterator[str]:
    """Fill between two lines, stretch by stretch where both are known."""
    known = np.isfinite(low) & np.isfinite(high)
    cuts = np.flatnonzero(np.diff(known.astype(int))) + 1
    for some in np.split(np.arange(len(xs)), cuts):
        if known[some[0]]:
            there, back = (
                zip(xs[some], high[some], strict=True),
                zip(xs[some], low[some], strict=True),
            )
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*there, *reversed([*back])])
            yield f'<polygon points="{points}" fill="{_LINES[n % 6]}" fill-opacity=".16"/>'


def _drawn(found: Comparison) -> list[Group]:
    return [g for g in found.groups if np.isfinite(g.courses).any()]


def _ticks(edges: NDArray[np.float64]) -> Iterator[float]:
    span = edges[-1] - edges[0]
    step = next(s for s in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 36000) if span / s < 6)
    first = np.ceil(edges[0] / step) * step
    yield from (float(t) for t in np.arange(first, edges[-1] + 1e-9, step))


def _path(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    """Return a line that is broken where nobody is."""
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if not np.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)


def _line(n: int, path: str) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="{_LINES[n % 6]}" stroke-width="2" '
        f'stroke-dasharray="{_DASHES[n % 6]}" stroke-linecap="round"/>'
    )


_HOW = f"""
<details><summary>How this was made</summary><dl class="how">
<dt>Unit</dt><dd>The participant. Recordings of one participant in a group are averaged by the
seconds of evidence in them; without a table each recording is a participant of its own. Everybody
in a recording counts together unless the table names a person.</dd>
<dt>Measures</dt><dd><i>share</i>: part of the time for which the label is the result; uncertain
time is nobody's. <i>mean</i>: mean probability over all of the time, uncertain or not.
<i>transitions</i>: one sure label after another.</dd>
<dt>Intervals</dt><dd>2.5th to 97.5th percentile of {RESAMPLES:,} bootstrap samples of
participants within their group (seed {SEED}); none with fewer than {FEW}. They are not corrected
for the number of comparisons. Bold: the interval does not hold 0.</dd>
<dt>Effect sizes</dt><dd>Hedges' g: the difference in pooled standard deviations, corrected for
small samples. Where the same participants are in both groups, it is d of their own
differences.</dd>
<dt>What it cannot say</dt><dd>The models err, and not alike on all people, languages and
recordings: a difference between groups may be one in light, sound or age. It is one of
expressions as a program reads them.</dd>
</dl></details>
"""
