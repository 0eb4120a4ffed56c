"""The page that lists a batch of results: sorted, filtered, with links to each file's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core.estimates import SubjectKind
from ..core.media import MediaKind
from ..core.time import NS, to_ns
from ..io.files import ResultFile
from .html import HONEST, document, viewer_file
from .palette import colours_of
from .summary import Summary, count, person_name, short_clock

_LISTED = 5
"""People shown at most for each file: the longest present."""

_BRIEF_S = 2.0
_BRIEF_PART = 0.02
"""Whoever is there for less time, or less of it, is shown faintly: too little to judge."""


@dataclass(frozen=True, slots=True)
class Row:
    """One file of a batch, in plain types that a journal can hold.

    Args:
        file: name or path of the medium.
        kind: what it is, e.g. ``"video"``; empty if nothing came of it.
        duration: its length, seconds; 0 if it has none.
        people: for each person (the group is none) ``name``, ``shares`` (label → part of the
            time), ``uncertain`` (part), ``present`` (seconds), ``coverage`` (part),
            ``confidence``, ``quality``.
        notes: remarks on what was left out, guessed or repaired.
        page: its page, relative to the overview; None if there is none.
        error: why it failed; None if it did not.
        group: if it was asked for, its ``label``, ``confidence``, ``faces``, ``read`` (part) and
            ``dispersion`` (or None).
        picture: a small picture of it as a data URI; None if there is none.
        faceless: part of its picture's time without a face; None without a picture.
        files: its results by format, relative to the overview.
        by_hand: whether it has edits by hand, which are counted.
    """

    file: str
    kind: str = ""
    duration: float = 0.0
    people: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    page: str | None = None
    error: str | None = None
    group: Mapping[str, Any] | None = None
    picture: str | None = None
    faceless: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    by_hand: bool = False

    @property
    def confidence(self) -> float | None:
        """Mean confidence over everybody, by the time they are there; None without anybody."""
        return self._mean("confidence")

    @property
    def uncertain(self) -> float | None:
        """Part of everybody's time that is uncertain; None without anybody."""
        return self._mean("uncertain")

    def _mean(self, key: str) -> float | None:
        weights = [max(p["present"], 1e-3) for p in self.people]
        values = [p[key] * w for p, w in zip(self.people, weights, strict=True)]
        return sum(values) / sum(weights) if weights else None


def row_of(
    summary: Summary,
    page: str | None = None,
    picture: str | None = None,
    files: Mapping[str, str] | None = None,
) -> Row:
    """Return what the overview shows of a file; see `Row` for the arguments."""
    return Row(
        file=summary.file,
        kind=summary.kind.value,
        duration=summary.duration_ns / NS,
        people=[
            {
                "name": p.name or person_name(p.subject, summary.kind),
                "shares": {label: round(share, 4) for label, share in p.shares.items()},
                "uncertain": round(p.uncertain, 4),
                "present": round(p.present_ns / NS, 3),
                "coverage": round(p.coverage, 4),
                "confidence": round(p.confidence, 4),
                "quality": round(p.quality, 4),
            }
            for p in summary.shown
            if p.subject.kind is not SubjectKind.GROUP
        ],
        notes=[note.message for note in summary.notes],
        page=page,
        group=_group(summary),
        picture=picture,
        faceless=None if summary.faceless is None else round(summary.faceless, 4),
        files=files or {},
    )


def _group(summary: Summary) -> dict[str, Any] | None:
    """Return a group's mood in plain types: the mood it has most of the time."""
    if summary.mood is None:
        return None
    everybody = next(p for p in summary.people if p.subject.kind is SubjectKind.GROUP)
    mood = summary.mood
    return {
        "label": everybody.label,
        "confidence": round(everybody.confidence, 4),
        "faces": round(mood.faces, 2),
        "read": round(mood.read, 4),
        "dispersion": None if mood.dispersion is None else round(mood.dispersion, 4),
    }


def write_overview(
    rows: Iterable[Row],
    path: Path | str,
    *,
    overwrite: bool = False,
    tables: Sequence[str] = (),
) -> None:
    """Write the page: shares per person, certainty, links, errors; sorted and filtered there.

    Args:
        rows: the files.
        path: where the page goes.
        overwrite: replace an existing one.
        tables: names of the tables of all files that lie beside it.

    Raises:
        InputError: if `path` exists and `overwrite` is False, or cannot be written.
    """
    with ResultFile(Path(path), overwrite=overwrite) as f:
        f.write(overview_page(rows, tables))


def overview_page(rows: Iterable[Row], tables: Sequence[str] = ()) -> str:
    """Return the page of `write_overview` as text."""
    rows = tuple(rows)
    labels = dict.fromkeys(label for r in rows for p in r.people for label in p["shares"])
    groups = any(r.group for r in rows)
    head = "".join(
        f'<th{" class=num" if numeric else ""} aria-sort="none">'
        f'<button type="button">{name}</button></th>'
        for name, numeric in (*(_GROUP_COLUMNS if groups else ()), *_COLUMNS)
    )
    labels |= dict.fromkeys(r.group["label"] for r in rows if r.group)
    choices = "".join(f"<option>{escape(label)}</option>" for label in labels)
    body = (
        f'<header><p class="overline">emofuse · results</p><h1>{_title(rows)}</h1></header>{HONEST}'
        f'<section class="card"><h2>Files</h2>{_tables(tables)}{_edited(rows)}'
        f"{_legend(colours_of(labels))}"
        '<p class="tools"><label>Find <input type="search" id="find"></label> '
        f'<label>Mostly <select id="label"><option value="">any label</option>{choices}</select>'
        '</label> <label>Show <select id="flag"><option value="">all</option>'
        f"{_flag_choices(rows)}</select></label> "
        '<output id="shown"></output></p>'
        f'<div class="scroll"><table id="files"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(_row(r, groups) for r in rows)}</tbody></table></div></section>"
    )
    return document("emofuse results", body, script=viewer_file("overview.js"))


_COLUMNS = (
    ("file", False),
    ("length", True),
    ("people", True),
    ("mean confidence", True),
    ("uncertain", True),
    ("no face", True),
    ("who expressed what", False),
)


_GROUP_COLUMNS = (
    ("", False),
    ("group", False),
    ("sure", True),
    ("faces", True),
    ("read", True),
    ("dispersion", True),
)


def _title(rows: Sequence[Row]) -> str:
    failed = sum(r.error is not None for r in rows)
    whole = sum(r.duration for r in rows)
    parts = [count(len(rows), "file")]
    if whole:
        parts.append(short_clock(to_ns(whole)))
    if failed:
        parts.append(f"{failed} failed")
    return ", ".join(parts)


def _row(row: Row, groups: bool) -> str:
    name = escape(row.file)
    if row.page:
        name = f'<a href="{escape(quote(row.page, errors="replace"))}">{name}</a>'
    links = (
        f'<a href="{escape(quote(file, errors="replace"))}">{escape(kind)}</a>'
        for kind, file in row.files.items()
        if file != row.page
    )
    name += f'<p class="small">{" · ".join(links)}</p>' if row.files else ""
    name += '<p class="small">corrected by hand</p>' if row.by_hand else ""
    timed = row.kind not in ("", MediaKind.IMAGE.value)
    lead = next((label for p in row.people if not _brief(p, row) for label in p["shares"]), "")
    if groups:
        lead = row.group["label"] if row.group else ""
    confidence = None if all(_brief(p, row) for p in row.people) else row.confidence
    cells = (
        *(_group_cells(row) if groups else ()),
        (name, row.file, ""),
        (short_clock(to_ns(row.duration)) if timed else "", row.duration, "num"),
        (str(len(row.people)) if row.kind else "", len(row.people), "num"),
        (_percent(confidence), _sortable(confidence), "num"),
        (_percent(row.uncertain), _sortable(row.uncertain), "num"),
        (_percent(row.faceless), _sortable(row.faceless), "num"),
        ("".join(_says(row)), lead, ""),
    )
    tds = "".join(
        f'<td{f" class={kind}" if kind else ""} data-key="{escape(str(key))}">{text}</td>'
        for text, key, kind in cells
    )
    return f'<tr data-label="{escape(lead)}" data-flags="{" ".join(_flags(row))}">{tds}</tr>'


_FLAGS = {
    "failed": "failed",
    "notes": "with remarks",
    "hand": "corrected by hand",
    "uncertain": "mostly uncertain",
    "faceless": "mostly without a face",
    "brief": "too little to judge",
}
"""What files can be picked by."""


def _flags(row: Row) -> Iterator[str]:
    if row.error:
        yield "failed"
        return
    if row.notes:
        yield "notes"
    if row.by_hand:
        yield "hand"
    if (row.uncertain or 0) > 0.5:
        yield "uncertain"
    if (row.faceless or 0) > 0.5:
        yield "faceless"
    if all(_brief(p, row) for p in row.people):
        yield "brief"


def _flag_choices(rows: Sequence[Row]) -> str:
    """Offer what some file is, with how many are."""
    counts = Counter(flag for row in rows for flag in _flags(row))
    return "".join(
        f'<option value="{flag}">{told} ({counts[flag]})</option>'
        for flag, told in _FLAGS.items()
        if counts[flag]
    )


def _tables(names: Sequence[str]) -> str:
    links = (f'<a href="{escape(quote(name))}">{escape(name)}</a>' for name in names)
    return f"<p>Of all files: {' · '.join(links)}</p>" if names else ""


def _edited(rows: Sequence[Row]) -> str:
    """Say whether edits by hand are counted."""
    edited = sum(row.by_hand for row in rows)
    if not edited:
        return ""
    were = "was" if edited == 1 else "were"
    return (
        f"<p>{count(edited, 'file')} {were} corrected by hand: this page and the tables of all "
        "files have the edits of when they were written.</p>"
    )


def _brief(person: Mapping[str, Any], row: Row) -> bool:
    """Whether a person is there for too short a time to be judged."""
    timed = row.duration > 0 and row.kind != MediaKind.IMAGE.value
    return timed and (person["present"] < _BRIEF_S or person["coverage"] < _BRIEF_PART)


def _group_cells(row: Row) -> Sequence[tuple[str, Any, str]]:
    """Return the cells of a group's mood: text, sort key, class."""
    image = f'<img class="picture" alt="" src="{escape(row.picture)}">' if row.picture else ""
    if row.group is None:
        return ((image, row.file, ""), ("", "", ""), *(("", -1, "num") for _ in range(4)))
    g = row.group
    apart = g["dispersion"]
    return (
        (image, row.file, ""),
        (f"<b>{escape(g['label'])}</b>", g["label"], "mood"),
        (_percent(g["confidence"]), g["confidence"], "num"),
        (f"{g['faces']:.3g}", g["faces"], "num"),
        (_percent(g["read"]) if g["faces"] else "", g["read"], "num"),
        ("" if apart is None else f"{apart:.2f}", _sortable(apart), "num"),
    )


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.0%}"


def _sortable(part: float | None) -> float:
    return -1.0 if part is None else part


def _says(row: Row) -> Iterator[str]:
    if row.error:
        yield f'<span class="error">{escape(row.error)}</span>'
        return
    for person in row.people[:_LISTED]:
        yield _person(person, row)
    if not row.people:
        yield '<span class="small">no face, voice or words found</span>'
    if (more := len(row.people) - _LISTED) > 0:
        yield f'<p class="small">and {more} more</p>'
    for note in row.notes:
        yield f'<p class="small">{escape(note)}</p>'


def _person(person: Mapping[str, Any], row: Row) -> str:
    """A person's bar is as long as their part of the medium: half a second is no result."""
    timed = row.duration > 0 and row.kind != MediaKind.IMAGE.value
    coverage = person["coverage"] if timed else 1.0
    brief = _brief(person, row)
    there = f"{person['present']:.1f} s of {short_clock(to_ns(row.duration))}" if timed else ""
    if brief:
        there += ": too little to judge"
    bar = f'<div class="extent" style="width:{max(100 * coverage, 2):.1f}%">{_shares(person)}</div>'
    return (
        f'<div class="who{" brief" if brief else ""}"><span>{escape(person["name"])}</span>'
        f'<div>{bar}<span class="small">{there}</span></div></div>'
    )


def _shares(person: Mapping[str, Any]) -> str:
    shares, uncertain = person["shares"], person["uncertain"]
    colours = colours_of(shares)
    parts = "".join(
        f'<span style="width:{100 * share:.2f}%;background:{colours[label]}"></span>'
        for label, share in shares.items()
    )
    if uncertain:
        parts += f'<span class="hatched" style="width:{100 * uncertain:.2f}%"></span>'
    told = [f"{label} {share:.0%}" for label, share in shares.items()]
    told += [f"uncertain {uncertain:.0%}"] if uncertain else []
    text = escape(", ".join(told))
    return f'<div class="shares" role="img" title="{text}" aria-label="{text}">{parts}</div>'


def _legend(colours: Mapping[str, str]) -> str:
    items = "".join(
        f'<li><i style="background:{colour}"></i>{escape(label)}</li>'
        for label, colour in colours.items()
    )
    items += '<li><i class="hatched"></i>uncertain</li>'
    return f'<ul class="legend" aria-label="colors">{items}</ul>'
