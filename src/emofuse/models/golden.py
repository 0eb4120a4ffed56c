"""Golden pairs: what a model answered when it was exported, to be answered for ever.

``weights/ID.golden.npz`` holds arrays ``input_…`` (raw inputs of `prepare`, in
order) and ``logits``, shape (inputs, labels). Replaying them catches a changed
preparation, a damaged graph and a runtime that computes something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .card import Card
from .store import WEIGHTS

TOLERANCE = 2e-2
"""Largest difference of logits that is the same answer: other processors round otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Raw inputs of `prepare` and the logits they must give, float32 (inputs, labels)."""

    inputs: Sequence[Any]
    logits: NDArray[np.float32]


def golden_path(card: Card, folder: Path = WEIGHTS) -> Path:
    """Return where a model's golden pair is, or should be: in the folder of its files."""
    return folder / f"{card.id}.golden.npz"


def read_golden(path: Path) -> Golden:
    """Read a golden pair.

    Raises:
        ModelError: if it is missing, unreadable, empty or inconsistent.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names = sorted((n for n in data.files if n.startswith("input_")), key=_natural)
            inputs = [_raw(data[name]) for name in names]
            logits = data["logits"]
    except (OSError, ValueError, KeyError) as e:
        raise ModelError(f"no usable golden pair at {path}: {e}; export the model again") from e
    if not inputs or logits.ndim != 2 or len(logits) != len(inputs):
        raise ModelError(
            f"the golden pair {path} needs one row of logits per input, got {len(inputs)} inputs "
            f"and logits of shape {logits.shape}; export the model again"
        )
    return Golden(inputs, logits)


@runtime_checkable
class Predictions(Protocol):
    """What has a golden pair: a model that can be asked for its logits, e.g. a recogniser."""

    @property
    def model_id(self) -> str:
        """Name of the model."""
        ...

    def prepare(self, sample: Any) -> NDArray[Any]:
        """Turn a raw input into a row."""
        ...

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Answer rows."""
        ...


def replay(recogniser: Any, golden: Golden) -> float:
    """Let a model (see `Predictions`) answer its golden inputs; return the largest difference.

    Raises:
        ModelError: if it answers otherwise than when it was exported.
    """
    if not isinstance(recogniser, Predictions):
        name = getattr(recogniser, "model_id", recogniser)
        raise ModelError(f"{name!r} has no logits to compare with a golden pair")
    rows = [recogniser.prepare(raw) for raw in golden.inputs]
    logits = recogniser.logits(rows)
    if logits.shape != golden.logits.shape:
        raise ModelError(
            f"model {recogniser.model_id!r} answers its golden inputs with logits of shape "
            f"{logits.shape}, expected {golden.logits.shape}"
        )
    difference = float(np.abs(logits - golden.logits).max())
    if not difference <= TOLERANCE or (logits.argmax(1) != golden.logits.argmax(1)).any():
        raise ModelError(
            f"model {recogniser.model_id!r} no longer answers as when it was exported: logits "
            f"differ by up to {difference:.3g}, allowed are {TOLERANCE:g} and the same labels"
        )
    return difference


def _raw(array: NDArray[Any]) -> Any:
    """Undo what storing in an array does to a text."""
    return array.item() if array.dtype.kind == "U" else array


def _natural(name: str) -> tuple[int, str]:
    """Sort key that puts input_10 behind input_9."""
    return len(name), name
