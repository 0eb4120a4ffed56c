"""The page that people look at: one file, offline, the whole timeline to zoom into.

Everything that comes from media (names, words) is escaped, and a content
security policy in the page itself forbids it to load anything or to run any
script but the ones written here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from ..core.estimates import Estimate, Modality, Subject, SubjectKind
from ..core.media import Diagnostic, Frame, MediaInfo, MediaKind
from ..core.time import clock
from ..core.timeline import Timeline
from ..io.files import ResultFile
from .chartdata import by_subject, chart_data, data_uri
from .palette import colours_of
from .summary import Person, Summary, describe, describe_doubt, person_name, short_clock, summarise
from .thumbnails import Thumbnail, Thumbnails, best_face
from .whole import WholeTimeline

_LISTED = 5
"""People shown at most for each file of a batch: the longest present."""

_MOST = 8
"""People shown at once on a page: the longest present; the others are unfolded on demand."""

_NAMES = {
    Modality.FACE: "face",
    Modality.SPEECH: "voice",
    Modality.TEXT: "words",
    Modality.FUSED: "result",
}


class HtmlExporter(WholeTimeline):
    """Writes a timeline with `write_report`, with thumbnails of the frames it was given."""

    name = "html"
    suffix = ".html"
    content_type = "text/html; charset=utf-8"
    summary = "a page to look at; needs no network"

    def __init__(self, path: Path, *, overwrite: bool = False, shared: Path | None = None) -> None:
        super().__init__(path, overwrite=overwrite, shared=shared)
        self._thumbnails = Thumbnails()

    def write(self, item: Frame | Estimate | Timeline) -> None:
        """Keep the timeline, and small pictures of some frames."""
        super().write(item)
        self._thumbnails.write(item)

    def save(self, timeline: Timeline) -> None:
        """Write the file."""
        write_report(timeline, self.path, self._thumbnails.thumbnails, overwrite=self.overwrite)


def write_report(
    timeline: Timeline,
    path: Path | str,
    thumbnails: Sequence[Thumbnail] = (),
    *,
    overwrite: bool = False,
) -> None:
    """Write a timeline as one self-contained HTML page.

    Args:
        timeline: what to show; an hour of it makes a page of about 7 MB, 5 of
            them plotly's own script.
        path: where the page goes.
        thumbnails: pictures of the medium (from `Thumbnails`), drawn above the
            time axis and cut into portraits.
        overwrite: replace an existing page.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.write(render_report(timeline, thumbnails))


def render_report(timeline: Timeline, thumbnails: Sequence[Thumbnail] = ()) -> str:
    """Return the page of `write_report` as text."""
    summary = _numbered(summarise(timeline))
    rows = by_subject(timeline)
    portraits = {
        p.subject: _portrait(p.subject, rows.get((p.subject, Modality.FACE), ()), thumbnails)
        for p in summary.people
    }
    still = _is_still(timeline)
    body = [
        _header(timeline, summary),
        _in_short(summary, portraits, timed=not still),
    ]
    scripts: list[tuple[str, str]] = []
    if still:
        body.append(_still(timeline, summary, thumbnails))
    elif summary.people:
        data = chart_data(timeline, summary, rows, thumbnails)
        body.append(_charts(summary, portraits, data["labels"], bool(data["thumbnails"])))
        scripts = [("plotly", _plotly()), ("page", _asset("page.js"))]
        body.append(_data_block(data))
    body += [_spoken(timeline), _how_to_read(timeline)]
    return _page(f"{timeline.media.name} – emofuse", body, scripts, timeline.provenance.version)


def _numbered(summary: Summary) -> Summary:
    """Put the longest present first, as many as the page shows at once, these by number."""
    shown = sorted(summary.people[:_MOST], key=lambda p: p.subject)
    return replace(summary, people=(*shown, *summary.people[_MOST:]))


# ------------------------------------------------------------------- a batch


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One file of a batch, for `index_page`.

    Args:
        file: name or path of the medium.
        summary: what came out; None if nothing did.
        page: its page, relative to the index; None if there is none.
        error: why it failed; None if it did not.
    """

    file: str
    summary: Summary | None = None
    page: str | None = None
    error: str | None = None


def index_page(entries: Iterable[IndexEntry], path: Path | str, *, overwrite: bool = False) -> None:
    """Write the page that lists a batch of results: shares per person, links, errors.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    entries = tuple(entries)
    failed = sum(e.error is not None for e in entries)
    seen = (label for e in entries if e.summary for p in e.summary.people for label in p.shares)
    rows = "".join(_index_row(e) for e in entries)
    title = f"{_count(len(entries), 'file')}" + (f", {failed} failed" if failed else "")
    body = [
        f'<header><p class="brand">emofuse · results</p><h1>{title}</h1></header>',
        _HONEST,
        f"<h2>Files</h2>{_legend(colours_of(dict.fromkeys(seen)))}"
        '<div class="scroll"><table><thead><tr><th>file</th><th class="num">length</th>'
        f"<th>who expressed what</th></tr></thead><tbody>{rows}</tbody></table></div>",
    ]
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.write(_page("emofuse results", body, (), ""))


def _index_row(entry: IndexEntry) -> str:
    name = escape(entry.file)
    if entry.page:
        name = f'<a href="{escape(quote(entry.page, errors="replace"))}">{name}</a>'
    length, people = "", ""
    if entry.summary:
        length = short_clock(entry.summary.duration_ns)
        people = "".join(
            f'<div class="who"><span>{escape(person_name(p.subject, entry.summary.kind))}</span>'
            f"{_shares(p)}</div>"
            for p in entry.summary.people[:_LISTED]
        )
        people = people or '<span class="small">no face, voice or words found</span>'
        if more := len(entry.summary.people) - _LISTED:
            people += f'<p class="small">and {more} more</p>' if more > 0 else ""
        people += "".join(f'<p class="small">{escape(n.message)}</p>' for n in entry.summary.notes)
    if entry.error:
        people += f'<span class="error">{escape(entry.error)}</span>'
    return f'<tr><td>{name}</td><td class="num">{length}</td><td>{people}</td></tr>'


# ------------------------------------------------------------ parts of the page

_HONEST = (
    '<p class="honest"><strong>This shows expressions, not feelings.</strong> A program judged '
    "what a face, a voice and words look and sound like; it is often wrong, and what somebody "
    "truly felt it cannot know. Do not base decisions about people on it.</p>"
)

_GLYPHS = {
    SubjectKind.FACE: '<circle cx="12" cy="8" r="4.5"/>'
    '<path d="M3.5 21c.6-5 4-7 8.5-7s7.9 2 8.5 7"/>',
    SubjectKind.SPEAKER: '<path d="M4 10v4M8 6v12M12 3v18M16 7v10M20 10v4"/>',
    SubjectKind.GROUP: '<circle cx="8" cy="9" r="3.5"/><circle cx="16" cy="9" r="3.5"/>'
    '<path d="M2 20c.5-4 3-5.5 6-5.5s5.5 1.5 6 5.5M14 15c4-1.5 7.5.5 8 5"/>',
}


def _header(timeline: Timeline, summary: Summary) -> str:
    media = timeline.media
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in _facts(media, timeline, summary))
    notes = "".join(f'<p class="note">{escape(_remark(n))}</p>' for n in timeline.notes)
    return (
        '<header><p class="brand">emofuse · who expressed what, and when</p>'
        f'<h1>{escape(media.name)}</h1><ul class="facts">{facts}</ul></header>{notes}{_HONEST}'
    )


def _portrait(subject: Subject, rows: Sequence[Estimate], thumbnails: Sequence[Thumbnail]) -> str:
    """Show a subject's best face, or a sign if there is no picture of it."""
    jpeg = best_face(rows, thumbnails)
    if jpeg is not None:
        return f'<img class="portrait" src="{data_uri(jpeg)}" alt="">'
    return (
        '<svg class="portrait" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.6" stroke-linecap="round" aria-hidden="true">'
        f"{_GLYPHS[subject.kind]}</svg>"
    )


def _remark(note: Diagnostic) -> str:
    at = None if note.at_ns is None else clock(note.at_ns)
    return note.message if at is None or at in note.message else f"{note.message} (at {at})"


def _facts(media: MediaInfo, timeline: Timeline, summary: Summary) -> list[str]:
    facts = [] if _is_still(timeline) else [clock(timeline.duration_ns)]
    if media.video:
        fps = f", {media.video.fps:.3g} fps" if media.video.fps else ""
        facts.append(f"picture {media.video.width} × {media.video.height}{fps}")
    elif media.kind is MediaKind.AUDIO:
        facts.append("no picture")
    if media.audio:
        facts.append(f"sound {media.audio.rate / 1000:.3g} kHz")
    elif media.kind is MediaKind.VIDEO:
        facts.append("no sound")
    faces = sum(p.subject.kind is SubjectKind.FACE for p in summary.people)
    if media.video or media.kind is MediaKind.IMAGE:
        facts.append(_count(faces, "face") if faces else "no faces found")
    return facts if media.kind is MediaKind.IMAGE else [*facts, _words_source(timeline)]


def _words_source(timeline: Timeline) -> str:
    """Say where the words come from: a given text is exact, a recognised one is not."""
    given, recogniser = timeline.media.text, timeline.provenance.components.get("asr")
    if not timeline.of(Modality.TEXT):
        return "no words"
    if timeline.media.kind is MediaKind.TEXT:
        return "a text: its times are those of reading it aloud"
    if given:
        return (
            "words from the file's own subtitles" if given == "subtitles" else f"words from {given}"
        )
    return f"words recognised by {recogniser}, with errors" if recogniser else "with words"


def _in_short(summary: Summary, portraits: Mapping[Subject, str], timed: bool) -> str:
    if not summary.people:
        return (
            '<h2>In short</h2><p class="none">No face, no voice and no words were found, '
            "so there is nothing to show. That is a result, not an error.</p>"
        )
    people = [_person(p, summary, portraits[p.subject], timed) for p in summary.people]
    lists = [
        f'<ul class="people">{"".join(part)}</ul>' for part in (people[:_MOST], people[_MOST:])
    ]
    return f"<h2>In short</h2>{_folded(lists[0], lists[1], len(people) - _MOST)}"


def _folded(first: str, rest: str, more: int) -> str:
    """Show the rest on demand: a crowd has more faces than a page has room."""
    if more <= 0:
        return first
    title = f"{more} more, seen or heard for less time"
    return f"{first}<details class='more'><summary>{title}</summary>{rest}</details>"


def _person(p: Person, summary: Summary, portrait: str, timed: bool) -> str:
    facts = [f"mean confidence {p.confidence:.0%}"] if timed else []
    facts.append(f"evidence quality {p.quality:.0%}")
    if timed and summary.duration_ns and summary.kind is not MediaKind.TEXT:
        verb = "seen" if p.subject.kind is SubjectKind.FACE else "heard"
        if verb == "heard" and len(summary.people) > 1:
            verb = "heard apart from any face"
        present, total = short_clock(p.present_ns), short_clock(summary.duration_ns)
        facts.insert(0, f"{verb} for {present} of {total} ({p.coverage:.0%})")
    if rejection_reason := describe_doubt(p):
        facts.append(rejection_reason)
    facts.append("from " + " + ".join(_NAMES[m] for m in p.modalities))
    name = person_name(p.subject, summary.kind)
    text = escape(_spaced(describe(p, timed=timed)))
    return (
        f'<li class="person">{portrait}<p class="says"><b>{escape(name)}:</b> {text}</p>'
        f"{_shares(p) if timed else ''}"
        f'<p class="small">{escape(_spaced(" · ".join(facts)))}</p></li>'
    )


def _shares(p: Person) -> str:
    colours = colours_of(p.shares)
    parts = "".join(
        f'<span style="width:{100 * share:.2f}%;background:{colours[label]}" '
        f'{_ink(colours[label])}title="{escape(label)} {share:.0%}">'
        f"<em>{escape(label)} {_spaced(f'{share:.0%}')}</em></span>"
        for label, share in p.shares.items()
    )
    spoken = ", ".join(f"{label} {share:.0%}" for label, share in p.shares.items())
    return f'<div class="shares" role="img" aria-label="{escape(spoken)}">{parts}</div>'


def _charts(
    summary: Summary,
    portraits: Mapping[Subject, str],
    labels: Sequence[Mapping[str, str]],
    pictured: bool,
) -> str:
    doubted = any(p.doubts for p in summary.people)
    colours = {x["name"]: x["colour"] for x in labels}
    charts = [
        f'<article class="chart"><header>{portraits[p.subject]}'
        f"<h3>{escape(_chart_name(p, summary))}</h3>"
        f'</header><div class="plot" id="plot-{i}"></div></article>'
        for i, p in enumerate(summary.people)
    ]
    folded = _folded("".join(charts[:_MOST]), "".join(charts[_MOST:]), len(charts) - _MOST)
    buttons = "".join(
        f'<button type="button" data-act="{act}" title="{title}" aria-label="{title}">'
        f"{sign}</button>"
        for act, title, sign in (
            ("back", "Earlier", "←"),
            ("on", "Later", "→"),
            ("out", "Zoom out", "−"),
            ("in", "Zoom in", "+"),
            ("all", "Show the whole length", "all"),
        )
    )
    strip = '<div class="track strip" id="strip"></div>' if pictured else ""
    return (
        f'<h2 id="timeline">Timeline</h2>{_legend(colours, doubted)}'
        '<div class="sticky"><div><div class="tools"><output id="where"></output>'
        f'<button type="button" id="watch" title="Play the file beside its timeline; '
        f'it stays on this machine">▶ watch along</button>{buttons}'
        '<input type="file" id="file" accept="video/*,audio/*" hidden></div>'
        f'{strip}<div class="track axis" id="axis"></div></div></div>{folded}'
        '<img id="preview" class="preview" alt="" hidden>'
        '<div id="tip" class="tip"></div>'
        '<noscript><p class="note">The charts need JavaScript, which is switched off. '
        "The summary above and the tables beside this page hold the same results.</p></noscript>"
    )


def _chart_name(p: Person, summary: Summary) -> str:
    name = person_name(p.subject, summary.kind)
    alone = len(summary.people) == 1 or p.subject.kind is not SubjectKind.SPEAKER
    return name if alone else f"{name}, while it is not given to a face"


def _legend(colours: Mapping[str, str], uncertain: bool = False) -> str:
    items = "".join(
        f'<li><i style="background:{colour}"></i>{escape(label)}</li>'
        for label, colour in colours.items()
    )
    items += '<li><i class="hatch"></i>uncertain</li>' if uncertain else ""
    return f'<ul class="legend" aria-label="colours">{items}</ul>'


def _still(timeline: Timeline, summary: Summary, thumbnails: Sequence[Thumbnail]) -> str:
    """Show a single picture: there is no time to draw along, only probabilities."""
    picture = f'<img src="{data_uri(thumbnails[0].jpeg)}" alt="the picture">' if thumbnails else ""
    tables = ""
    for p in summary.people:
        e = next(e for e in timeline if e.subject == p.subject and e.modality is p.basis)
        colours = colours_of(e.probabilities.taxonomy.labels)
        rows = "".join(
            f"<tr><td>{escape(label)}</td><td style='width:60%'><div class='shares'>"
            f"<span style='width:{100 * value:.1f}%;background:{colours[label]}'></span></div></td>"
            f"<td class='num'>{_spaced(f'{value:.0%}')}</td></tr>"
            for label, value in sorted(e.probabilities.items(), key=lambda item: -item[1])
        )
        rejection_reason = (
            f"<p>Uncertain. {escape(e.uncertain.reason.sentence)}</p>" if e.uncertain else ""
        )
        tables += f"<h3>{escape(person_name(p.subject))}</h3>{rejection_reason}<table><tbody>{rows}</tbody></table>"
    return f'<h2>In the picture</h2><div class="still">{picture}<div>{tables}</div></div>'


def _spoken(timeline: Timeline) -> str:
    rows = "".join(_spoken_row(e) for e in timeline.of(Modality.TEXT))
    if not rows:
        return ""
    return (
        "<details open><summary>What was said</summary>"
        f"<p class='small'>{escape(_words_source(timeline))}; the label tells what the words "
        "express, apart from voice and face</p>"
        '<div class="scroll"><table><thead><tr><th>when</th><th>words</th><th>label</th>'
        f'<th class="num">confidence</th></tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _spoken_row(e: Estimate) -> str:
    colour = colours_of((e.label,))[e.label]
    when = (
        f'<button type="button" class="jump" data-from="{e.span.start:.3f}" '
        f'data-to="{e.span.end:.3f}">{short_clock(e.span.start_ns)}</button>'
    )
    return (
        f"<tr><td>{when}</td><td>{escape(str(e.details.get('text', '')))}</td>"
        f'<td><span class="chip"><i style="background:{colour}"></i>{escape(e.label)}</span></td>'
        f'<td class="num">{_spaced(f"{e.confidence:.0%}")}</td></tr>'
    )


def _how_to_read(timeline: Timeline) -> str:
    p = timeline.provenance
    models = "".join(
        f"<tr><td>{_NAMES[m]}</td><td>{escape(model)}</td></tr>" for m, model in p.models.items()
    )
    parts = "".join(
        f"<tr><td>{escape(role)}</td><td>{escape(str(name))}</td></tr>"
        for role, name in p.components.items()
    )
    return (
        "<details><summary>How to read this page</summary><dl class='how'>"
        "<dt>Bands and mix</dt><dd>The thick band is the result of all evidence together; its "
        "colour is the most probable label, and the paler it is, the less sure. Below it, the "
        "probabilities of all labels, stacked. The thin bands show what face, voice and words said "
        "each by themselves. Grey stretches are empty: nobody was seen or heard there.</dd>"
        "<dt>Confidence</dt><dd>The probability that the model gives its top label, adjusted so "
        "that on its test data “70 %” was right about 70 times in 100. On other material it is "
        "less reliable, and a person asked to name the expression may well disagree.</dd>"
        "<dt>Uncertain</dt><dd>Hatched stretches: the evidence is too poor, or the most probable "
        "label not probable enough, to rely on it. The pointer shows the reason. The label that "
        "stands there is the best guess, and often wrong.</dd>"
        "<dt>Quality</dt><dd>How good the evidence was: size, sharpness and light of the face; "
        "noise and length of the speech; how sure the words are. It is not about the person.</dd>"
        "<dt>Share and disagreement</dt><dd>How much face, voice and words each counted in the "
        "result, and how far they contradict each other: 0 % if all say the same, 100 % if they "
        "exclude each other. A sarcastic “great” is a typical disagreement.</dd>"
        "<dt>Who is who</dt><dd>“Face 2” is a face followed through the picture, not a known "
        "person. Who leaves and comes back may get a new number. A voice is given to the face "
        "whose mouth moves while it is heard, and stands by itself where that is not clear or "
        "nobody seen seems to speak.</dd></dl></details>"
        "<details><summary>What made this page</summary>"
        f"<table><tbody><tr><td>emofuse</td><td>{escape(p.version)}</td></tr>{models}{parts}"
        f"<tr><td>file</td><td>{escape(timeline.media.path or timeline.media.name)}</td></tr>"
        "</tbody></table></details>"
    )


def _is_still(timeline: Timeline) -> bool:
    starts = {e.span.start_ns for e in timeline}
    return len(starts) == 1 and (timeline.media.kind is MediaKind.IMAGE or not timeline.duration_ns)


# ------------------------------------------------------------------ the shell


def _page(title: str, body: Sequence[str], scripts: Sequence[tuple[str, str]], version: str) -> str:
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for _, text in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; media-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_asset("page.html")).substitute(
        policy=policy,
        version=escape(version),
        title=escape(title),
        style=_asset("page.css"),
        body="\n".join(body),
        scripts="\n".join(f"<script>{text}</script>" for _, text in scripts),
    )


def _data_block(data: Mapping[str, Any]) -> str:
    """Write data where no script runs; "<" cannot end the block early when it is escaped."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="data">{text}</script>'


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # 5 MB of text, only for this page

    text: str = get_plotlyjs()
    return text.replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _ink(colour: str) -> str:
    """Ask for white letters on a dark colour (by its relative luminance, WCAG 2)."""
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 'class="dark" ' if 0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2 < 0.2 else ""


def _spaced(text: str) -> str:
    """Write 62% as 62 %, with a space that does not break."""
    return text.replace(" %", "%").replace("%", "\u00a0%")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
