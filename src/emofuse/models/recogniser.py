"""What every recogniser of a graph has in common: run, calibrate, wrap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Affect, Prediction, Probabilities
from ..core.labels import Taxonomy
from ..errors import ModelError
from .card import Card
from .runtime import answer, open_graph

_Answer = tuple[NDArray[np.float32], "NDArray[np.float32] | None", "NDArray[np.float64] | None"]


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


class OnnxRecogniser(ABC):
    """A recogniser whose model is a graph: batch of prepared samples → logits.

    The graph is an ONNX file, or a TFLite one. It may answer with logits or with
    probabilities, as the card says, and with more columns than there are labels: the first
    ones count. Rows of different lengths are run one by one.

    Subclasses say how one sample is prepared and, if rows differ in length, how
    they are stacked. The entry-point group ``emofuse.recognisers`` names them.

    Args:
        card: the model's card.
        files: paths of its files by role (``"weights"`` at least).
        threads: intra-op threads of the session.

    Raises:
        ModelError: if the graph cannot be loaded, or lacks the output that the card names.
    """

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        self.card = card
        self._session = open_graph(files["weights"], threads)
        if card.output is not None and card.output not in self._session.outputs:
            raise ModelError(
                f"the card of {card.id!r} names the output {card.output!r}, its graph has "
                f"{', '.join(self._session.outputs)}; get or export the model again"
            )

    @property
    def model_id(self) -> str:
        """The card's id."""
        return self.card.id

    @property
    def taxonomy(self) -> Taxonomy:
        """The card's taxonomy."""
        return self.card.taxonomy

    @property
    def embedding(self) -> int | None:
        """Width of the embeddings, as in the card."""
        return self.card.embedding

    @abstractmethod
    def prepare(self, sample: Any) -> NDArray[Any]:
        """Turn one `Sample.data` into one row. Pure; training calls this very method."""

    def collate(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Stack prepared rows into the graph's inputs."""
        return (np.stack(rows),)

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Run the graph on prepared rows: float32, shape (len(rows), labels), uncalibrated."""
        return self.outputs(rows)[0]

    def infer(self, batch: Sequence[NDArray[Any]]) -> list[Prediction]:
        """Prediction prepared samples in order: calibrated probabilities, never logits.

        Raises:
            ModelError: if the graph's answers or embeddings are not what the card declares.
        """
        if not batch:
            return []
        logits, embeddings, affects = self._everything(batch)
        p = self.card.calibration.probabilities(logits, self.taxonomy.multi_label)
        # Copies: a view would keep the embeddings of the whole batch alive.
        rows = [None] * len(batch) if embeddings is None else [e.copy() for e in embeddings]
        felt = [None] * len(batch) if affects is None else [Affect(*map(float, a)) for a in affects]
        return [Prediction(self._scores(x), e, a) for x, e, a in zip(p, rows, felt, strict=True)]

    def _scores(self, row: NDArray[np.float32]) -> Probabilities:
        try:
            return Probabilities(self.taxonomy, row)
        except ValueError as e:
            raise ModelError(
                f"model {self.model_id!r} gave scores that are none over {self.taxonomy.name!r}: "
                f"{e}; get or export the model again"
            ) from e

    def outputs(
        self, rows: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the graph on prepared rows.

        Returns:
            Uncalibrated logits, float32 (len(rows), labels), and embeddings, float32
            (len(rows), `embedding`); None if the card declares none.

        Raises:
            ModelError: if the graph's answers or embeddings are not what the card declares.
        """
        logits, embeddings, _ = self._everything(rows)
        return logits, embeddings

    def _everything(self, rows: Sequence[NDArray[Any]]) -> _Answer:
        """Run the graph on prepared rows: logits, embeddings, and valence and arousal, (n, 2)."""
        if len(rows) > 1 and len({row.shape for row in rows}) > 1 and not self._pads:
            return self._one_by_one(rows)
        outputs = answer(self._session, *self.collate(rows))
        scores, *more = self._chosen(outputs)
        n = len(rows)
        return self._logits(scores, n), self._embedded(more, n), self._felt(outputs)

    def _felt(self, outputs: Sequence[NDArray[Any]]) -> NDArray[np.float64] | None:
        affect = self.card.affect
        if affect is None:
            return None
        rows = outputs[self._index(affect.output)] if affect.output else outputs[0]
        rows = rows.reshape(len(rows), -1)
        columns = max(affect.valence, affect.arousal)
        if rows.shape[1] <= columns or not np.isfinite(rows).all():
            raise ModelError(
                f"the card of {self.model_id!r} finds valence and arousal in columns up to "
                f"{columns}, its graph gives {rows.shape}; get, import or export the model again"
            )
        return affect.read(rows)

    def _index(self, output: str) -> int:
        if output not in self._session.outputs:
            raise ModelError(
                f"the card of {self.model_id!r} names the output {output!r}, its graph has "
                f"{', '.join(self._session.outputs)}; get, import or export the model again"
            )
        return self._session.outputs.index(output)

    def _embedded(self, more: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float32] | None:
        if self.embedding is None:
            return None
        if not more or more[0].shape != (rows, self.embedding):
            got = f"shape {more[0].shape}" if more else "no such output"
            raise ModelError(
                f"the card of {self.model_id!r} declares embeddings of width {self.embedding}, its "
                f"graph gives {got} for {rows} samples; get or export the model again"
            )
        return more[0].astype(np.float32)

    def _chosen(self, outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the scores of the head that the card names, and the embedding if there is one."""
        if self.card.output is None:
            return outputs
        self._index(self.card.output)
        named = dict(zip(self._session.outputs, outputs, strict=True))
        return [named[self.card.output], *(x for name, x in named.items() if name == "embedding")]

    @property
    def _pads(self) -> bool:
        """Whether `collate` brings rows to one length."""
        return type(self).collate is not OnnxRecogniser.collate

    def _one_by_one(self, rows: Sequence[NDArray[Any]]) -> _Answer:
        logits, embeddings, affects = zip(*(self._everything([row]) for row in rows), strict=True)
        return np.concatenate(logits), _joined(embeddings), _joined(affects)

    def _logits(self, scores: NDArray[Any], rows: int) -> NDArray[np.float32]:
        labels = len(self.card.taxonomy)
        if scores.shape[0] != rows or scores.size < rows * labels:
            raise ModelError(
                f"the card of {self.model_id!r} names {labels} labels, its graph gives "
                f"{scores.shape} for {rows} samples; get, import or export the model again"
            )
        columns = scores.reshape(rows, -1)[:, :labels]
        return self.card.scores.logits(columns, self.card.taxonomy.multi_label)
