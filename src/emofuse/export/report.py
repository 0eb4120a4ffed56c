"""A report to print: who expressed what, what was said, and how it was found out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..core.details import TextDetails
from ..core.estimates import Modality
from ..core.modality import name_of
from ..core.time import NS, clock
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .html import HONEST, document
from .palette import colours_of
from .people import transitions_of
from .runs import names_of
from .slots import estimates_of
from .strips import strips
from .summary import (
    Person,
    Summary,
    describe,
    describe_doubt,
    describe_evidence,
    people_by_name,
    short_clock,
    short_span,
    summarise,
)
from .whole import WholeTimeline

_MOMENTS = 8
"""Moments of a person that are listed: the longest that are not neutral."""


_SEEN = 0.01
"""Labels of a smaller mean probability are left out of a person's table."""


class ReportExporter(WholeTimeline):
    """Writes a timeline as a report."""

    name = "report"
    stem = "report"
    suffix = ".html"
    content_type = "text/html; charset=utf-8"
    summary = "a report to print, or to save as PDF in a browser"
    on_request = True

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        with ResultFile(self.path, overwrite=self.overwrite) as f:
            f.write(report_page(timeline))


def report_page(timeline: Timeline) -> str:
    """Return the report as a page: A4 when it is printed, without scripts.

    It has a table of everybody, a part for each person (strips along time, labels, moments, what is
    uncertain and why), what was said, what was noted, and models and settings. What was put right
    by hand is in it.
    """
    summary = summarise(timeline)
    people = people_by_name(summary)
    facts = escape(" · ".join(summary.facts))
    body = (
        f'<header><p class="overline">emofuse · report</p><h1>{escape(timeline.media.name)}</h1>'
        f"<p>{facts}</p></header>{HONEST}{_everybody(people, summary)}"
        f"{''.join(_parts(timeline, people, summary))}{_words(timeline)}{_remarks(timeline)}"
        f"{_how(timeline)}"
    )
    title = f"Report: {timeline.media.name}"
    return document(title, body, style=_STYLE, version=timeline.provenance.version)


_STYLE = """
.shares { min-width: 120px; }
td { overflow-wrap: break-word; }
.person svg { min-width: 520px; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 28px; align-items: start; }
dl.how { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dl.how dt, dl.how dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 620px) { .two { grid-template-columns: 1fr; } }
@page { size: A4; margin: 15mm; }
@media print {
  body { font-size: 9.5pt; }
  thead { display: table-header-group; }
  .card.long { break-inside: auto; }
  th, td { padding: 2px 10px 2px 0; }
  .card { padding: 10px 14px; margin-top: 10px; }
  .hatched, .shares span, i, rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def _everybody(people: Sequence[Person], summary: Summary) -> str:
    if not people:
        return '<section class="card"><p>No face, voice or words were found.</p></section>'
    rows = (
        (
            f"<b>{escape(p.name)}</b>",
            f"{short_clock(p.present_ns)} ({p.coverage:.0%})" if summary.timed else "",
            escape(p.label),
            _bar(p.shares, p.uncertain),
            f"{p.uncertain:.0%}",
            f"{p.confidence:.0%}",
        )
        for p in people
    )
    heads = ("who", "present", "most often", "labels by time", "uncertain", "mean confidence")
    colours = colours_of(dict.fromkeys(label for p in people for label in p.shares))
    legend = "".join(
        f'<li><i style="background:{colour}"></i>{escape(label)}</li>'
        for label, colour in colours.items()
    )
    return (
        '<section class="card long"><h2>Everybody</h2>'
        f'<ul class="legend" aria-label="colors">{legend}'
        f'<li><i class="hatched"></i>uncertain</li></ul>{_table(heads, rows)}</section>'
    )


def _bar(shares: Mapping[str, float], uncertain: float) -> str:
    colours = colours_of(shares)
    parts = "".join(
        f'<span style="width:{100 * share:.2f}%;background:{colours[label]}"></span>'
        for label, share in shares.items()
    )
    if uncertain:
        parts += f'<span class="hatched" style="width:{100 * uncertain:.2f}%"></span>'
    told = escape(", ".join(f"{label} {share:.0%}" for label, share in shares.items()))
    return f'<div class="shares" role="img" aria-label="{told}">{parts}</div>'


def _parts(timeline: Timeline, people: Sequence[Person], summary: Summary) -> Iterator[str]:
    """Yield a part for each person."""
    told = estimates_of(timeline, people)
    for p in people:
        estimates = told[p.subject]
        labels = dict.fromkeys(k for e in estimates for k in e.probabilities.taxonomy.labels)
        weights = [e.span.duration_ns or 1 for e in estimates]
        means = {
            label: sum(
                w * dict(e.probabilities.items()).get(label, 0.0)
                for e, w in zip(estimates, weights, strict=True)
            )
            / sum(weights)
            for label in labels
        }
        rows = (
            (escape(label), f"{p.shares.get(label, 0.0):.0%}", f"{mean:.0%}")
            for label, mean in sorted(means.items(), key=lambda item: -item[1])
            if mean >= _SEEN or p.shares.get(label)
        )
        evidence = " · ".join(describe_evidence(p, summary))
        yield (
            f'<section class="card person"><h2>{escape(p.name)}</h2>'
            f"<p>{escape(describe(p, timed=summary.timed))}<br>"
            f'<span class="small">{escape(evidence)}</span></p>'
            f'<div class="scroll">{strips(p, estimates, timeline.duration_ns)}</div>'
            f'<div class="two">{_table(("label", "of the time", "mean probability"), rows)}'
            f"{_moments(p, summary)}</div></section>"
        )


def _moments(person: Person, summary: Summary) -> str:
    if not summary.timed:
        return ""
    runs = [run for run in person.runs if run.label != "neutral"]
    best = sorted(runs, key=lambda run: -run.span.duration_ns)[:_MOMENTS]
    rows = (
        (short_span(run.span), escape(run.label), f"{run.confidence:.0%}")
        for run in sorted(best, key=lambda run: run.span)
    )
    doubt = describe_doubt(person)
    changes = f"{transitions_of(person)} transitions between sure labels"
    told = escape("; ".join(x for x in (changes, doubt) if x))
    table = _table(("longest moments", "label", "confidence"), rows) if best else ""
    return f'<div>{table}<p class="small">{told}</p></div>'


def _words(timeline: Timeline) -> str:
    names = names_of(timeline)
    said = [(e, e.find_details(TextDetails)) for e in timeline.of(Modality.TEXT)]
    rows = [
        (
            clock(e.span.start_ns),
            escape(details.speaker or names[e.subject]),
            escape(details.text),
            f"{escape(e.label)} {e.confidence:.0%}",
        )
        for e, details in said
        if details is not None and details.text
    ]
    if not rows:
        return ""
    table = _table(("at", "who", "what was said", "the words alone"), rows)
    return f'<section class="card long"><h2>Words</h2>{table}</section>'


def _remarks(timeline: Timeline) -> str:
    names = names_of(timeline)
    by_hand = [
        (
            short_span(r.span),
            escape(r.kind.value),
            escape("" if r.subject is None else names.get(r.subject, str(r.subject))),
            escape(r.text),
        )
        for r in timeline.remarks
    ]
    notes = "".join(f"<li>{escape(note.message)}</li>" for note in timeline.notes)
    parts = _table(("at", "by hand", "who", "remark"), by_hand) if by_hand else ""
    parts += f"<ul>{notes}</ul>" if notes else ""
    return f'<section class="card long"><h2>Remarks</h2>{parts}</section>' if parts else ""


def _how(timeline: Timeline) -> str:
    made = timeline.provenance
    rows: dict[str, Any] = {
        "emofuse": made.version,
        **{name_of(m): model for m, model in made.models.items()},
        **made.components,
        "read": f"{timeline.duration_ns / NS:.1f} s",
        "file": timeline.media.path or timeline.media.name,
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in rows.items())
    return (
        f'<section class="card"><h2>How this was made</h2><dl class="how">{items}</dl>'
        '<p class="small">A label counts for the time in which it is the most probable and the '
        "result is not uncertain. All settings are in timeline.json. How often the models err on "
        "strangers is told by <i>emofuse models show</i>.</p></section>"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of HTML cells."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'
