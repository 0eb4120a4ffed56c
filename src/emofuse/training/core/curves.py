"""Pictures of a training: its figures by epoch, and what is taken for what."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .loop import METRICS

_COLUMNS = 4
_BLUE = "#3b6ea5"


def draw_curves(run: Path) -> Path | None:
    """Draw the figures of a run by epoch into ``curves.png``.

    Returns:
        The picture's path, or None (with a warning) where matplotlib is missing.
    """
    text = (run / METRICS).read_text(encoding="utf-8")
    history = [json.loads(line) for line in text.splitlines()]
    names = [name for name in history[-1] if name not in ("epoch", "seconds")]
    columns = min(_COLUMNS, len(names))
    figure = _figure(3.6 * columns, 2.7 * -(-len(names) // columns))
    if figure is None:
        return None
    for i, name in enumerate(names):
        panel = figure.add_subplot(-(-len(names) // columns), columns, i + 1)
        panel.set_title(name.replace("_", " "), fontsize=10)
        points = [(f["epoch"], f[name]) for f in history if name in f]
        panel.plot(*zip(*points, strict=True), color=_BLUE, marker="." if len(points) < 40 else "")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
        panel.xaxis.get_major_locator().set_params(integer=True)
        if i >= len(names) - columns:
            panel.set_xlabel("epoch", fontsize=8)
    figure.savefig(run / "curves.png", dpi=110)
    return run / "curves.png"


def draw_confusion(
    run: Path, counts: NDArray[np.int64], labels: Sequence[str], name: str = "confusion.png"
) -> Path | None:
    """Draw a confusion matrix: a row an actual label, its cells in % of the row.

    Args:
        run: folder of the picture.
        counts: samples by actual (row) and answered (column) label.
        labels: names of both.
        name: of the picture.

    Returns:
        The picture's path, or None (with a warning) where matplotlib is missing.
    """
    rows = [i for i in range(len(labels)) if counts[i].sum()]
    columns = [i for i in range(len(labels)) if counts[:, i].sum() or i in rows]
    shown = counts[np.ix_(rows, columns)]
    share = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)
    cell = 0.62 if len(columns) < 15 else 0.42
    figure = _figure(1.9 + cell * len(columns), 1.3 + cell * len(rows))
    if figure is None:
        return None
    panel = figure.add_subplot()
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(share.shape):
        if share[i, j] >= 0.005:
            colour = "white" if share[i, j] > 0.55 else "black"
            text = f"{100 * share[i, j]:.0f}"
            panel.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    panel.set_xticks(range(len(columns)), [labels[i] for i in columns], rotation=45, ha="right")
    sizes = shown.sum(axis=1)
    panel.set_yticks(range(len(rows)), [f"{labels[i]} ({n})" for i, n in zip(rows, sizes)])  # noqa: B905
    panel.tick_params(labelsize=8, length=0)
    panel.set_xlabel("answer", fontsize=9)
    panel.set_ylabel("label (samples)", fontsize=9)
    panel.set_title("validation, % of each row", fontsize=10)
    figure.savefig(run / name, dpi=110)
    return run / name


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        warnings.warn("no pictures: matplotlib is not installed", stacklevel=3)
        return None
    return Figure(figsize=(math.ceil(width * 10) / 10, height), layout="constrained")
