"""A picture of a corpus: labels by split, durations, speakers. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.labels import LabelMap
from ..corpora import statistics as counts
from ..corpora.manifest import Manifest, Split
from ..corpora.statistics import SpeakerFacts
from ..corpora.validate import Report
from ..export.palette import COLOURS
from . import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY = "#c9c9c9"  # of labels without a place among the canonical ones
_STRENGTH = {Split.TRAIN: 1.0, Split.VALIDATION: 0.6, Split.TEST: 0.3}
_MOST = 120  # speakers whose bars can still be told apart
_NAMED = 30  # and whose names have room


def draw(found: Report, to: LabelMap, path: Path) -> None:
    """Draw a corpus' figures into a file; one that is there is replaced.

    Raises:
        InputError: if it cannot be written.
        MissingExtra: if matplotlib is not installed.
    """
    manifest = found.manifest
    lengths = counts.durations(manifest, found.files)
    people = counts.speakers(manifest)
    shown = 1 + bool(lengths) + (1 < len(people) <= _MOST)
    rows = len(counts.label_counts(manifest))
    height = 2.0 + 0.28 * max(rows, 9)
    figure = picture.figure_class()(figsize=(6.4 * shown, height), layout="constrained")
    panels = iter(figure.subplots(1, shown, squeeze=False)[0])
    _labels(next(panels), manifest, to)
    if lengths:
        _durations(next(panels), manifest, lengths)
    if 1 < len(people) <= _MOST:
        _speakers(next(panels), manifest, people, to)
    figure.suptitle(f"{manifest.corpus}: {len(manifest):,} samples", fontweight="bold")
    picture.save(figure, path, dpi=120)


def _labels(panel: Axes, manifest: Manifest, to: LabelMap) -> None:
    """Bars of samples by label; the fainter parts are held back."""
    rows = counts.label_counts(manifest)
    names = list(rows)
    left = np.zeros(len(names))
    colours = [_colour(name, to) for name in names]
    for split in Split:
        widths = np.array([rows[name][split] for name in names])
        if widths.any():
            alpha = _STRENGTH[split]
            panel.barh(names, widths, left=left, color=colours, alpha=alpha, edgecolor="white")
            panel.bar(0, 0, color="#555555", alpha=alpha, label=split.value)
        left += widths
    for y, total in enumerate(left):
        panel.text(total, y, f" {total:,.0f}", va="center", fontsize="small")
    panel.set(title="samples by label and split", xlabel="samples")
    panel.set(xlim=(0, left.max() * 1.14), ylim=(len(names) - 0.4, -0.6))
    _legend(panel)
    _plain(panel)


def _durations(panel: Axes, manifest: Manifest, lengths: Mapping[str, float]) -> None:
    known = [
        [lengths[entry.id] for entry in manifest.of(split) if entry.id in lengths]
        for split in Split
    ]
    top = float(np.percentile(list(lengths.values()), 99.5)) * 1.05 + 0.01
    panel.hist(
        [np.clip(part, 0, top) for part in known if part],
        bins=40,
        range=(0, top),
        stacked=True,
        color=[str(0.35 + 0.22 * i) for i, part in enumerate(known) if part],
        label=[split.value for split, part in zip(Split, known, strict=True) if part],
    )
    hours = sum(lengths.values()) / 3600
    size = f"{hours:.1f} hours" if hours >= 0.1 else f"{hours * 3600:.1f} seconds"
    panel.set(title=f"durations ({size} in all)", xlabel="seconds", ylabel="samples")
    _legend(panel)
    _plain(panel)


def _speakers(panel: Axes, manifest: Manifest, people: list[SpeakerFacts], to: LabelMap) -> None:
    """Bars of samples by speaker, in the labels' colours, split after split."""
    order = {split: number for number, split in enumerate(Split)}
    people = sorted(people, key=lambda p: min(order[split] for split in p.splits))
    places, bottom = np.arange(len(people)), np.zeros(len(people))
    for name in manifest.taxonomy.labels:
        heights = np.array([person.labels.get(name, 0) for person in people])
        panel.bar(places, heights, 0.9, bottom, color=_colour(name, to))
        bottom += heights
    names = [person.speaker for person in people] if len(people) <= _NAMED else []
    panel.set_xticks(places[: len(names)], names)
    panel.tick_params(axis="x", rotation=90, labelsize="small")
    firsts = [min(order[split] for split in person.splits) for person in people]
    for split, number in order.items():
        if number in firsts:
            first = firsts.index(number)
            middle = first + (firsts.count(number) - 1) / 2
            panel.text(middle, bottom.max() * 1.03, split.value, ha="center", fontsize="small")
            if first:
                panel.axvline(first - 0.5, color="#555555", linewidth=1, linestyle=":")
    panel.margins(x=0.01)
    panel.set(title="samples by speaker and label", xlabel=f"{len(people)} speakers")
    panel.set_ylim(0, bottom.max() * 1.1)
    _plain(panel)


def _colour(label: str, to: LabelMap) -> str:
    row = to.weights.get(label, {})
    best = max(row, key=lambda name: row[name], default="")
    return COLOURS.get(best, _GREY)


def _legend(panel: Axes) -> None:
    """The splits, half an inch below the panel, where no bar is in the way."""
    height = panel.get_window_extent().height / panel.figure.dpi
    below = -0.5 / height
    panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, below), ncols=len(Split))


def _plain(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
