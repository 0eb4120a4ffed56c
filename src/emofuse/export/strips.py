"""Who expressed what along time, as strips of one color a label: SVG for notebooks and print.

Colors are never alone: stretches that are wide enough have their label written on them, and every
stretch has it as a title.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..core.estimates import Estimate, Modality
from ..core.modality import modalities, name_of
from ..core.time import NS, Span
from ..core.timeline import Timeline
from .palette import colours_of
from .slots import estimates_of
from .summary import (
    UNCERTAIN,
    Person,
    describe,
    describe_evidence,
    people_by_name,
    runs_of,
    short_clock,
    summarise,
)

WIDTH = 720
"""Units of the drawing across; it scales to the room that there is."""

_LEFT, _TALL, _LOW, _GAP = 52, 20, 12, 3
_LETTER = 5.6
"""About the width of a letter."""

EXPRESSIONS = (
    "Expressions, not feelings: what a face, a voice and words look and sound like. What somebody "
    "feels no program can know."
)
"""What every result says that has no room for more."""


def strips(person: Person, estimates: Sequence[Estimate], whole: int) -> str:
    """Draw one person: the result, and below it what each modality says.

    Args:
        person: from `summarise`.
        estimates: the results of the person; see `estimates_of`.
        whole: length of the medium, in nanoseconds.

    Returns:
        An SVG element; empty if there is no time to draw along.
    """
    if not whole:
        return ""
    rows = rows_of(person, estimates)
    labels = dict.fromkeys(e.label for _, estimates in rows for e in estimates)
    colours, parts, top = colours_of(labels), [], 0
    for modality, estimates in rows:
        height = _TALL if modality is person.basis else _LOW
        parts.append(
            f'<text x="{_LEFT - 6}" y="{top + height / 2 + 3.5}" text-anchor="end" font-size="10" '
            f'fill="currentColor">{escape(name_of(modality))}</text>'
        )
        for span, label in stretches(estimates):
            parts.append(_stretch(span, label, colours.get(label), whole, top, height))
        top += height + _GAP
    parts.extend(_axis(whole, top))
    said = escape(f"{person.name}: {describe(person)}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {top + 14}" width="100%" role="img" aria-label="{said}" '
        f'font-family="system-ui, sans-serif">{_HATCHES}{"".join(parts)}</svg>'
    )


def stretches(estimates: Sequence[Estimate]) -> Iterator[tuple[Span, str]]:
    """Yield stretches of one label; uncertain ones are called ``uncertain``."""
    sure = runs_of(e for e in estimates if not e.uncertain)
    yield from ((run.span, run.label) for run in sure)
    for e in estimates:
        if e.uncertain:
            yield e.span, UNCERTAIN


def fragment(timeline: Timeline) -> str:
    """Return a timeline as a piece of HTML, for notebooks."""
    summary = summarise(timeline)
    everybody = people_by_name(summary)
    told = estimates_of(timeline, everybody)
    people = "".join(
        f"<p><b>{escape(p.name)}</b> · {escape(describe(p, timed=summary.timed))}<br>"
        f"<small>{escape(' · '.join(describe_evidence(p, summary)))}</small></p>"
        f"{strips(p, told[p.subject], timeline.duration_ns)}"
        for p in everybody
    )
    nobody = "<p>no face, voice or words found</p>"
    facts = escape(" · ".join(summary.facts))
    notes = "".join(f"<li>{escape(note.message)}</li>" for note in summary.notes)
    return (
        f'<div style="max-width: 60em"><p><b>{escape(timeline.media.name)}</b> · {facts}</p>'
        f"{people or nobody}{f'<ul>{notes}</ul>' if notes else ''}"
        f"<p><small>{EXPRESSIONS}</small></p></div>"
    )


def rows_of(
    person: Person, result: Sequence[Estimate]
) -> list[tuple[Modality, Sequence[Estimate]]]:
    """Return a person's result, and what each modality says in it."""
    subject = person.subject
    rows: list[tuple[Modality, Sequence[Estimate]]] = [(person.basis, result)]
    for m in modalities() if person.basis is Modality.FUSED else ():
        said = [
            Estimate(subject, e.span, e.fusion.probabilities[m], m, e.quality, e.model_id)
            for e in result
            if e.fusion is not None and m in e.fusion.probabilities
        ]
        if said:
            rows.append((m, said))
    return rows


def _stretch(
    span: Span, label: str, colour: str | None, whole: int, top: float, height: float
) -> str:
    x, width = _x(span.start_ns, whole), max(_x(span.end_ns, whole) - _x(span.start_ns, whole), 0.4)
    fill = "url(#emofuse-uncertain)" if colour is None or label == UNCERTAIN else colour
    times = f"{short_clock(span.start_ns)}–{short_clock(span.end_ns)}"
    box = (
        f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{height}" fill="{fill}">'
        f"<title>{escape(label)} {times}</title></rect>"
    )
    if height < _TALL or width < _LETTER * len(label) + 6 or label == UNCERTAIN:
        return box
    return box + (
        f'<text x="{x + width / 2:.1f}" y="{top + height / 2 + 3.5}" text-anchor="middle" '
        f'font-size="10" fill="{ink_on(fill)}" pointer-events="none">{escape(label)}</text>'
    )


def _x(time_ns: int, whole: int) -> float:
    return _LEFT + (WIDTH - _LEFT - 2) * min(time_ns / whole, 1.0)


def ink_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a color."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else "#fff"


def _axis(whole: int, top: float) -> Iterator[str]:
    """Yield times below the strips, at round distances."""
    seconds = whole / NS
    step = next(
        s for s in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 1e12) if seconds / s < 9
    )
    at = 0.0
    while at <= seconds and step < 1e12:
        x = _x(round(at * NS), whole)
        anchor = "start" if at == 0 else "end" if seconds - at < step / 4 else "middle"
        yield (
            f'<text x="{x:.1f}" y="{top + 9}" text-anchor="{anchor}" font-size="9" '
            f'fill="currentColor">{short_clock(round(at * NS))}</text>'
        )
        at += step


_HATCHES = (
    '<defs><pattern id="emofuse-uncertain" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="5" height="5" fill="#888" fill-opacity=".15"/>'
    '<line x1="0" y1="0" x2="0" y2="5" stroke="#888" stroke-width="1.6"/></pattern></defs>'
)
