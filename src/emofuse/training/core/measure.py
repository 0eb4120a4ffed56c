"""Metrics of predictions on samples, as the loop logs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics import calibration
from ...evaluation.metrics import classification as metrics

Floats = NDArray[np.float32]


def predict_in_batches(
    rows: Sequence[NDArray[Any]],
    owner: NDArray[np.int64],
    ask: Callable[[Sequence[NDArray[Any]]], Floats],
    size: int = 128,
) -> Floats:
    """Return a model's logits for samples: those of a sample's pieces are averaged.

    Args:
        rows: prepared pieces.
        owner: index of the sample that each piece belongs to, (pieces,).
        ask: returns logits (n, labels) of n pieces.
        size: most pieces at once.
    """
    # Rows of about one length together, so that none is mostly padding.
    order = np.argsort([row.shape[-1] for row in rows], kind="stable")
    parts = [order[k : k + size] for k in range(0, len(rows), size)]
    answers = np.concatenate([ask([rows[i] for i in part]) for part in parts])
    logits = np.empty_like(answers)
    logits[order] = answers
    return averaged(logits, owner)


def averaged(logits: Floats, owner: NDArray[np.int64]) -> Floats:
    """Average the logits of each sample's pieces."""
    if len(owner) == int(owner.max(initial=-1)) + 1:  # one piece each
        return logits
    sums = np.zeros((int(owner.max()) + 1, logits.shape[1]), np.float32)
    np.add.at(sums, owner, logits)
    counts = np.bincount(owner)[:, None]
    mean: Floats = (sums / counts).astype(np.float32)
    return mean


def classified(logits: Floats, label: Floats, covered: NDArray[np.bool_]) -> dict[str, float]:
    """Measure logits against labels (both (n, labels)), asked for the covered labels only."""
    n = label.shape[1]
    closed = np.where(covered, logits, -1e4).astype(np.float32)
    actual, answer = label.argmax(axis=1), closed.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(actual, answer),
        "uar": metrics.uar(actual, answer, n),
        "macro_f1": metrics.macro_f1(actual, answer, n),
        "log_loss": calibration.log_loss(metrics.one_hot(actual, n), closed),
    }


def by_secondary_labels(logits: Floats, secondary: Floats) -> dict[str, float]:
    """Measure predictions against the majority of the secondary labels, where they have one."""
    hard, kept = majority(secondary, logits)
    if not len(hard):
        return {}
    actual, answer = hard.argmax(axis=1), kept.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(actual, answer),
        "macro_f1": metrics.macro_f1(actual, answer, hard.shape[1]),
    }


def majority(target: Floats, logits: Floats) -> tuple[Floats, Floats]:
    """Give all of a target to its largest share; leave rows out where two share the most."""
    most = np.sort(target, axis=1)[:, -2:]
    clear = most[:, 1] > most[:, 0]
    hard = np.eye(target.shape[1], dtype=np.float32)[target[clear].argmax(axis=1)]
    return hard, logits[clear]
