"""A picture of a training: one panel per figure of ``metrics.jsonl``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from .loop import METRICS


def draw_curves(run: Path) -> Path | None:
    """Draw the figures of a run by epoch into ``curves.png``.

    Returns:
        The picture's path, or None (with a warning) where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        warnings.warn("no curves.png: matplotlib is not installed", stacklevel=2)
        return None
    text = (run / METRICS).read_text(encoding="utf-8")
    history = [json.loads(line) for line in text.splitlines()]
    names = [name for name in history[0] if name not in ("epoch", "seconds")]
    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for i, name in enumerate(names):
        panel = figure.add_subplot(1, len(names), i + 1, title=name, xlabel="epoch")
        panel.plot([f["epoch"] for f in history], [f[name] for f in history])
        panel.grid(alpha=0.3)
    figure.savefig(run / "curves.png", dpi=100)
    return run / "curves.png"
