"""What every ONNX recogniser has in common: run, calibrate, wrap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Scores
from ..core.labels import Taxonomy
from .card import Card
from .runtime import Session


class OnnxRecogniser(ABC):
    """A recogniser whose model is an ONNX graph: batch of prepared samples → logits.

    Subclasses say how one sample is prepared and, if rows differ in length, how
    they are stacked. The entry-point group ``emofuse.recognisers`` names them.

    Args:
        card: the model's card.
        files: paths of its files by role (``"weights"`` at least).
        threads: intra-op threads of the session.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        self.card = card
        self._session = Session(files["weights"], threads)

    @property
    def model_id(self) -> str:
        """The card's id."""
        return self.card.id

    @property
    def taxonomy(self) -> Taxonomy:
        """The card's taxonomy."""
        return self.card.taxonomy

    @abstractmethod
    def prepare(self, sample: Any) -> NDArray[Any]:
        """Turn one `Sample.data` into one row. Pure; training calls this very method."""

    def collate(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Stack prepared rows into the graph's inputs."""
        return (np.stack(rows),)

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Run the graph on prepared rows: float32, shape (len(rows), labels), uncalibrated."""
        return self._session.logits(*self.collate(rows))

    def infer(self, batch: Sequence[NDArray[Any]]) -> list[Scores]:
        """Score prepared samples in order: calibrated probabilities, never logits."""
        if not batch:
            return []
        p = self.card.calibration.probabilities(self.logits(batch), self.taxonomy.multi_label)
        return [Scores(self.taxonomy, row) for row in p]
