"""What ``emofuse corpus`` shows in a terminal, with rich."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ..core.labels import LabelMap
from ..corpora import statistics as counts
from ..corpora.labels import load_map
from ..corpora.manifest import Manifest, Split
from ..corpora.recipe import Recipe
from ..corpora.statistics import SpeakerFacts
from ..corpora.validate import Problem, Report

ROOMY = 110
"""Characters from which on a line holds everything about a corpus."""

_SPARE = ("share", "canonical", "hours", "median")
"""Columns that a narrow screen does without first, the last first."""

_MOST = 30  # speakers that are listed one by one


def recipes(known: Iterable[Recipe], width: int) -> RenderableType:
    """Return the table of all corpora; where it is narrow, one of two columns.

    Args:
        known: the corpora.
        width: of the screen, in characters.
    """
    advice = "`emofuse corpus show NAME` says where to get one and how its folder should look."
    table = _narrow(known) if width < ROOMY else _wide(known)
    return Group(table, Text(), Text(advice))


def _wide(known: Iterable[Recipe]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("corpus", "of", "how to get it", "what", "licence"):
        table.add_column(name, no_wrap=name in ("corpus", "how to get it"), overflow="fold")
    for recipe in known:
        facts = (_modalities(recipe), way(recipe), recipe.title, recipe.licence)
        table.add_row(Text(recipe.name, "bold"), *facts)
    return table


def _narrow(known: Iterable[Recipe]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("corpus", no_wrap=True)
    table.add_column("what; of; how to get it; licence", ratio=1)
    for recipe in known:
        facts = "; ".join(filter(None, (_modalities(recipe), way(recipe), recipe.licence)))
        table.add_row(Text(recipe.name, "bold"), Text(f"{recipe.title}\n{facts}"))
    return table


def _modalities(recipe: Recipe) -> str:
    return ", ".join(modality.value for modality in recipe.modalities)


def way(recipe: Recipe) -> str:
    """Say in a word how to get a corpus; nothing of one's own."""
    if recipe.downloads:
        return "--download"
    return recipe.access.value if recipe.home else ""


def card(recipe: Recipe) -> RenderableType:
    """Return what is known of a corpus before its files are there."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    facts = {
        "what": recipe.title,
        "media": ", ".join(medium.value for medium in recipe.media),
        "labellings": ", ".join(recipe.labellings) or "yours",
        "licence": recipe.licence,
        "cite": recipe.citation,
        "home": recipe.home,
        "get it": _ways(recipe),
        "layout": recipe.layout,
        "options": "\n".join(f"--set {k}=…: {v}" for k, v in recipe.options.items()),
        "note": recipe.remark,
    }
    for name, fact in facts.items():
        if fact:
            table.add_row(name, fact)
    maps = [load_map(name) for name in dict.fromkeys(recipe.labellings.values())]
    return Group(Text(recipe.name, "bold"), table, *(_label_map(to) for to in maps))


def _ways(recipe: Recipe) -> str:
    if recipe.downloads:
        return f"emofuse corpus prepare {recipe.name} --root DIR --download"
    return f"{recipe.access.value}: {recipe.source}" if recipe.home else ""


def _label_map(to: LabelMap) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column(f"label of {to.source.name}", no_wrap=True)
    table.add_column("canonical label", overflow="fold")
    for label in to.source.labels:
        table.add_row(label, canonical(label, to))
    return Group(Text(), table)


def canonical(label: str, to: LabelMap) -> str:
    """Say where a native label goes: ``happy``, or why nowhere."""
    if label in to.dropped:
        return f"– ({to.dropped[label]})"
    row = to.weights.get(label, {})
    return ", ".join(k if v == 1 else f"{v:.0%} {k}" for k, v in row.items())


def report(found: Report, fate: Callable[[Problem], str] | None = None) -> RenderableType:
    """Return the table of a corpus' problems.

    Args:
        found: what was found.
        fate: says what becomes of a problem.
    """
    notes = [Text(f"Note: {note}") for note in found.notes]
    if not found.findings:
        return Group(Text("No problems were found."), *notes)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("problem", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("what")
    table.add_column("such as", overflow="fold")
    for finding in found.findings:
        what = "; ".join(part for part in (finding.problem.meaning, finding.detail) if part)
        then = Text(f": {fate(finding.problem)}" if fate else "")
        name = Text.assemble((finding.problem.value, "bold"), then)
        table.add_row(name, str(finding.count), what, "\n".join(finding.examples))
    return Group(table, *notes)


def closing(kept: Manifest, found: Report, to: LabelMap) -> RenderableType:
    """Return one line on what a manifest holds."""
    dropped = len(found.manifest) - len(kept)
    parts = [_plural(len(kept), "sample"), *(_held(kept, found))]
    if dropped:
        parts.append(f"{dropped} dropped")
    if unused := [label for label in to.source.labels if label in to.dropped]:
        parts.append(f"without a canonical label: {', '.join(unused)}")
    return Text("; ".join(parts))


def corpus(found: Report, to: LabelMap, width: int) -> RenderableType:
    """Return all figures of a corpus; what has no room on a narrow screen is left out.

    Args:
        found: what was found.
        to: where its labels go.
        width: of the screen, in characters.
    """
    manifest = found.manifest
    people = counts.speakers(manifest)
    lengths = counts.durations(manifest, found.files)
    tables = [labels(manifest, to)]
    tables += [durations(manifest, lengths)] if lengths else []
    tables += [_speakers(people, manifest)] if people else []
    shown = [fit(table, width) for table in tables]
    if people and len(shown[-1].columns) < len(tables[-1].columns):  # all labels or none
        shown[-1] = fit(_speakers(people, manifest, by_label=False), width)
    parts: list[RenderableType] = [part for table in shown for part in (Text(), table)]
    if any(len(a.columns) < len(b.columns) for a, b in zip(shown, tables, strict=True)):
        parts += [Text(), Text("Some columns have no room here; --json prints them all.")]
    return Group(_heading(found), *parts, Text(), report(found))


def fit(table: Table, width: int) -> Table:
    """Leave out columns of a table of figures until it fits: those to spare, then the last."""
    columns = list(table.columns)
    while len(columns) > 1 and sum(map(_width, columns)) + 2 * (len(columns) - 1) > width:
        columns.remove(([c for c in columns[1:] if c.header in _SPARE] or columns)[-1])
    fitting = Table(box=None, pad_edge=False, header_style="bold", show_footer=table.show_footer)
    for column in columns:
        fitting.add_column(
            column.header,
            column.footer,
            justify=column.justify,
            no_wrap=column.no_wrap,
            overflow=column.overflow,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        fitting.add_row(*row)
    return fitting


def _width(column: Column) -> int:
    return max(len(str(text)) for text in (column.header, column.footer, *column.cells))


def _heading(found: Report) -> RenderableType:
    manifest = found.manifest
    text = [_plural(len(manifest), "sample"), *_held(manifest, found)]
    return Text.assemble((manifest.corpus, "bold"), f"  {', '.join(text)}")


def _held(manifest: Manifest, found: Report) -> Iterable[str]:
    speakers = {entry.speaker for entry in manifest} - {None}
    folds = {entry.fold for entry in manifest} - {None}
    hours = sum(counts.durations(manifest, found.files).values()) / 3600
    if speakers:
        yield _plural(len(speakers), "speaker")
    if folds:
        yield _plural(len(folds), "fold")
    if hours:
        yield f"{hours:.1f} hours" if hours >= 0.1 else f"{hours * 3600:.1f} seconds"


def labels(manifest: Manifest, to: LabelMap) -> Table:
    """Return the table label × split; a sample with votes counts in shares."""
    splits = [split for split in Split if any(entry.split is split for entry in manifest)]
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("label", "all samples", no_wrap=True)
    table.add_column("canonical", overflow="fold")
    for split in splits:
        size = sum(entry.split is split for entry in manifest)
        table.add_column(split.value, str(size), justify="right", no_wrap=True)
    table.add_column("all", str(len(manifest)), justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for label, row in counts.label_counts(manifest).items():
        total = sum(row.values())
        cells = [f"{row[split]:.0f}" for split in splits]
        share = f"{total / len(manifest):.1%}"
        table.add_row(label, canonical(label, to), *cells, f"{total:.0f}", share)
    return table


def durations(manifest: Manifest, lengths: Mapping[str, float]) -> Table:
    """Return the table of durations by split."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("duration", no_wrap=True)
    for name in ("samples", "hours", "mean", "median", "shortest", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    parts = {split.value: manifest.of(split) for split in Split} | {"all": manifest}
    for name, part in parts.items():
        known = [lengths[entry.id] for entry in part if entry.id in lengths]
        if known:
            figures = (statistics.fmean(known), statistics.median(known), min(known), max(known))
            cells = (f"{seconds:.2f} s" for seconds in figures)
            table.add_row(name, str(len(known)), f"{sum(known) / 3600:.2f}", *cells)
    return table


def _speakers(people: Sequence[SpeakerFacts], manifest: Manifest, by_label: bool = True) -> Table:
    return speakers(people, manifest, by_label) if len(people) <= _MOST else groups(people)


def speakers(people: Sequence[SpeakerFacts], manifest: Manifest, by_label: bool = True) -> Table:
    """Return the table of speakers, one a row, with their samples in all or by label, too."""
    known = [
        name for name in ("sex", "age", "race") if any(getattr(p, name) is not None for p in people)
    ]
    folds = any(person.fold is not None for person in people)
    names = [label for label in manifest.taxonomy.labels if any(label in p.labels for p in people)]
    names = names if by_label else []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("speaker", *known, *(["fold"] if folds else []), "split", "samples", *names):
        table.add_column(name, justify="right" if name in (*names, "samples") else "left")
    for person in people:
        facts = [_cell(getattr(person, name)) for name in known]
        facts += [_cell(person.fold)] if folds else []
        splits = ", ".join(split.value for split in Split if person.splits.get(split))
        cells = [_cell(person.labels.get(label)) for label in names]
        table.add_row(person.speaker, *facts, splits, str(person.samples), *cells)
    return table


def groups(people: Sequence[SpeakerFacts]) -> Table:
    """Return the table of speakers by sex, age and race and split, where they are many."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    splits = [split for split in Split if any(person.splits.get(split) for person in people)]
    table.add_column("speakers", no_wrap=True)
    for name in (*(split.value for split in splits), "all", "samples"):
        table.add_column(name, justify="right")

    def row(name: str, chosen: Sequence[SpeakerFacts]) -> None:
        cells = [str(sum(bool(p.splits.get(split)) for p in chosen)) for split in splits]
        table.add_row(name, *cells, str(len(chosen)), str(sum(p.samples for p in chosen)))

    for name in ("sex", "race"):
        for value in sorted({getattr(p, name) for p in people} - {None}):
            row(f"{name}: {value}", [p for p in people if getattr(p, name) == value])
    for decade in sorted({p.age // 10 for p in people if p.age is not None}):
        label = f"age: {decade}0 to {decade}9"
        row(label, [p for p in people if p.age is not None and p.age // 10 == decade])
    row("all", people)
    return table


def recipe_mapping(recipe: Recipe) -> dict[str, Any]:
    """Return what is known of a corpus as plain types."""
    return {
        "name": recipe.name,
        "title": recipe.title,
        "modalities": [modality.value for modality in recipe.modalities],
        "media": [medium.value for medium in recipe.media],
        "labellings": dict(recipe.labellings),
        "licence": recipe.licence,
        "citation": recipe.citation,
        "home": recipe.home,
        "access": recipe.access.value if recipe.home else None,
        "obtain": recipe.source,
        "layout": recipe.layout,
        "options": dict(recipe.options),
        "downloads": [download.url for download in recipe.downloads],
        "remark": recipe.remark,
    }


def corpus_mapping(found: Report, to: LabelMap) -> dict[str, Any]:
    """Return the figures of a corpus as plain types."""
    manifest = found.manifest
    lengths = counts.durations(manifest, found.files)
    return {
        "corpus": manifest.corpus,
        "taxonomy": manifest.taxonomy.name,
        "samples": len(manifest),
        "seconds": round(sum(lengths.values()), 3) if lengths else None,
        "splits": Counter(entry.split.value for entry in manifest),
        "labels": {
            label: {"canonical": dict(to.weights.get(label, {}))}
            | {split.value: round(n, 3) for split, n in row.items()}
            for label, row in counts.label_counts(manifest).items()
        },
        "speakers": [
            {"speaker": p.speaker, "sex": p.sex, "age": p.age, "race": p.race, "fold": p.fold}
            | {"samples": p.samples, "labels": dict(p.labels)}
            for p in counts.speakers(manifest)
        ],
        "problems": {
            finding.problem.value: {
                "count": finding.count,
                "detail": finding.detail,
                "examples": list(finding.examples),
            }
            for finding in found.findings
        },
        "notes": list(found.notes),
    }


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("s" if n != 1 else "")
