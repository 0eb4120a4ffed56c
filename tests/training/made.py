"""Small corpora and configurations that the tests of training make."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LABELS = ("happy", "sad")


def face(label: str, rng: np.random.Generator, side: int = 48) -> np.ndarray:
    """A happy one is bright above, a sad one below."""
    pixels = rng.integers(60, 120, (side, side))
    half = slice(0, side // 2) if label == "happy" else slice(side // 2, side)
    pixels[half] += 80
    return pixels.astype(np.uint8)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def faces(
    root: Path,
    sizes: Mapping[str, int] | None = None,
    labels: Sequence[str] = LABELS,
    speakers: int = 0,
) -> Path:
    """Write pictures and a table of them, for the recipe `csv`; return the table."""
    rng = np.random.default_rng(1)
    rows = []
    for split, n in (sizes or {"train": 32, "validation": 16}).items():
        for i in range(n):
            label = labels[i % len(labels)]
            name = f"{split}-{i}.png"
            root.mkdir(parents=True, exist_ok=True)
            Image.fromarray(face(label, rng)).save(root / name)
            row = {"path": name, "label": label, "split": split}
            rows.append(row | ({"speaker": f"s{i % speakers}"} if speakers else {}))
    return write_table(root / "table.csv", rows)


def face_config(run: Path, table: Path, **more: Any) -> dict[str, Any]:
    """A configuration that learns such faces in seconds, as plain types."""
    return {
        "id": "tiny",
        "run": str(run),
        "batch": 8,
        "corpora": [{"name": "csv", "root": str(table)}],
        "net": {"name": "compact", "stem": 16, "widths": [16], "blocks": [1], "dropout": 0.0},
        "targets": {"votes": 0.0},
        "loop": {"epochs": 3, "lr": 0.05, "ema": 0.5, "bf16": False},
        **more,
    }
