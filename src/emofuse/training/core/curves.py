"""Pictures of trainings: metrics by epoch, and what is taken for what. Needs no torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .run_files import BOOKKEEPING, Confusion, read_history

History = Sequence[Mapping[str, float]]

_COLUMNS = 4
_BLUE, _ORANGE = "#3b6ea5", "#d1702c"

TRAINING_AND_VALIDATION = {"loss": ("loss", "log_loss"), "accuracy": ("train_accuracy", "accuracy")}
"""Panel → the metric on training samples and the one on validation samples that share it."""


def panels(metrics: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Distribute metrics over panels: training and validation share one.

    Example:
        >>> panels(["loss", "lr", "train_accuracy", "accuracy", "log_loss"])
        {'loss': ('loss', 'log_loss'), 'lr': ('lr',), 'accuracy': ('train_accuracy', 'accuracy')}
    """
    home = {
        metric: panel
        for panel, pair in TRAINING_AND_VALIDATION.items()
        if set(pair) <= set(metrics)
        for metric in pair
    }
    out: dict[str, tuple[str, ...]] = {}
    for metric in metrics:
        panel = home.get(metric, metric)
        out.setdefault(panel, TRAINING_AND_VALIDATION[panel] if metric in home else (metric,))
    return out


def metrics_of(history: History) -> tuple[str, ...]:
    """Return the names of what was measured, in order."""
    return tuple(dict.fromkeys(n for f in history for n in f if n not in BOOKKEEPING))


def draw_curves(run: Path, title: str = "") -> Path | None:
    """Draw the metrics of a run by epoch into ``curves.png``.

    Args:
        run: its folder.
        title: what was trained.

    Returns:
        The picture's path, or None (with a warning) where matplotlib is missing.
    """
    history = read_history(run)
    shown = panels(metrics_of(history))
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = _figure(3.6 * columns, 2.7 * rows + (0.3 if title else 0))
    if figure is None:
        return None
    if title:
        figure.suptitle(title, fontsize=11)
    for number, (name, metrics) in enumerate(shown.items(), start=1):
        panel = figure.add_subplot(rows, columns, number)
        for metric, (part, color) in zip(metrics, _looks(metrics), strict=True):
            plot(panel, history, metric, label=part, color=color)
        finish(panel, name)
        if len(metrics) > 1:
            panel.legend(fontsize=8, frameon=False)
    figure.savefig(run / "curves.png", dpi=110)
    return run / "curves.png"


def plot(panel: Any, history: History, metric: str, **look: Any) -> None:
    """Draw one metric by epoch, as far as epochs have it."""
    points = [(f["epoch"], f[metric]) for f in history if metric in f]
    if points:
        marker = "." if len(points) < 40 else ""
        panel.plot(*zip(*points, strict=True), marker=marker, **look)


def finish(panel: Any, title: str) -> None:
    """Give a panel of curves its title and axes."""
    panel.set_title(title.replace("_", " "), fontsize=10)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel("epoch", fontsize=8)


def draw_confusion(run: Path, confusion: Confusion, title: str = "validation") -> Path | None:
    """Draw a confusion matrix into ``confusion.png``, see `draw_matrix`.

    Returns:
        The picture's path, or None (with a warning) where matplotlib is missing.
    """
    figure = _figure(*matrix_size(confusion))
    if figure is None:
        return None
    draw_matrix(figure.add_subplot(), confusion, f"{title}, % of each row")
    figure.savefig(run / "confusion.png", dpi=110)
    return run / "confusion.png"


def matrix_size(confusion: Confusion) -> tuple[float, float]:
    """Return how wide and high a confusion matrix is drawn, in inches."""
    rows, columns = _met(confusion)
    cell = 0.62 if len(columns) < 15 else 0.42
    return 1.9 + cell * len(columns), 1.3 + cell * len(rows)


def draw_matrix(panel: Any, confusion: Confusion, title: str) -> None:
    """Draw a confusion matrix: a row an actual label, its cells in % of the row."""
    counts, labels = confusion.counts, confusion.labels
    rows, columns = _met(confusion)
    shown = counts[np.ix_(rows, columns)]
    sizes = shown.sum(axis=1)
    share = shown / np.maximum(sizes[:, None], 1)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(share.shape):
        if share[i, j] >= 0.005:
            color = "white" if share[i, j] > 0.55 else "black"
            text = f"{100 * share[i, j]:.0f}"
            panel.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
    panel.set_xticks(range(len(columns)), [labels[i] for i in columns], rotation=45, ha="right")
    names = [f"{labels[i]} ({n})" for i, n in zip(rows, sizes, strict=True)]
    panel.set_yticks(range(len(rows)), names)
    panel.tick_params(labelsize=8, length=0)
    panel.set_xlabel("answer", fontsize=9)
    panel.set_ylabel("label (samples)", fontsize=9)
    panel.set_title(title, fontsize=10)


def _met(confusion: Confusion) -> tuple[list[int], list[int]]:
    """Return the labels that samples have, and those that they have or are given."""
    counts = confusion.counts
    rows = [i for i in range(len(counts)) if counts[i].sum()]
    return rows, [i for i in range(len(counts)) if counts[:, i].sum() or i in rows]


def _looks(metrics: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if len(metrics) == 1:
        return (("", _BLUE),)
    return ("training", _ORANGE), ("validation", _BLUE)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        warnings.warn("no pictures: matplotlib is not installed", stacklevel=3)
        return None
    return Figure(figsize=(math.ceil(width * 10) / 10, height), layout="constrained")
