"""What a run's folder holds for people to look at: read here, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

METRICS, CONFUSION = "metrics.jsonl", "confusion.json"

BOOKKEEPING = ("epoch", "seconds")
"""Keys of an epoch that are no metrics."""


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """What a model takes for what.

    Args:
        counts: samples by actual (row) and predicted (column) label, (labels, labels).
        labels: names of both.
    """

    counts: NDArray[np.int64]
    labels: Sequence[str]

    def save(self, folder: Path) -> None:
        """Write it into the folder of a run."""
        text = json.dumps({"labels": list(self.labels), "counts": self.counts.tolist()})
        (folder / CONFUSION).write_text(text + "\n", encoding="utf-8")


def read_history(folder: Path) -> list[dict[str, float]]:
    """Read the metrics of each epoch.

    Raises:
        InputError: if the folder is not one of a run.
    """
    try:
        text = (folder / METRICS).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or e
        raise InputError(
            f"{folder} is not the folder of a training: cannot read {METRICS} in it: {reason}; "
            "`emofuse runs list FOLDER` finds those below a folder"
        ) from e


def read_confusion(folder: Path) -> Confusion | None:
    """Read the confusion matrix on validation; None where the run has not written one.

    Raises:
        InputError: if it is damaged.
    """
    path = folder / CONFUSION
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        found = Confusion(np.array(held["counts"], np.int64), list(held["labels"]))
        if found.counts.shape != (len(found.labels),) * 2:
            raise ValueError(f"{found.counts.shape} counts of {len(found.labels)} labels")
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"cannot read {path}: {e}; train again to write it anew") from e
    return found
