"""A group model of four streams: one graph a stream, and a head that joins what they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.loader import construct
from ..errors import InputError, ModelError
from ..models.card import Card
from ..models.recogniser import OnnxRecogniser
from ..models.runtime import Session, answer
from .streams import Clip, Stream, StreamPreparation

_AT_ONCE = 4  # clips in one inference: at full size each takes hundreds of megabytes


class GroupRecogniser(OnnxRecogniser):
    """Says of a clip or photo whether the group's mood is positive, neutral or negative.

    A stream whose evidence is missing is not run; the head was taught to do without. The file
    ``weights`` is the head, the others are named after their streams.

    Args:
        card: the model's card.
        files: paths of its files by role.
        threads: intra-op threads of the sessions.

    Raises:
        ModelError: if the card's preparation makes no sense or a stream's file is missing.
    """

    history: int = 1
    """Over how many moments, the last ones, its answers are averaged in a film."""

    def __init__(self, card: Card, files: Mapping[str, Path], threads: int = 1) -> None:
        try:
            self.preparation = construct(StreamPreparation, dict(card.preparation), "preparation")
        except InputError as e:
            raise ModelError(f"card {card.id!r}: {e}; get or export the model again") from e
        if missing := [s.value for s in self.preparation.streams if s.value not in files]:
            raise ModelError(f"model {card.id!r} lacks the files of {', '.join(missing)}")
        super().__init__(card, files, threads)
        self._widths = dict(zip(self.preparation.streams, self.preparation.widths, strict=True))
        self._files, self._threads = files, threads
        self._streams: dict[Stream, Session] = {}

    def prepare(self, sample: Any) -> NDArray[Any]:
        """Cut what the nets see out of a `Clip`, or out of what `StreamPreparation.pack` made."""
        if not isinstance(sample, Clip):
            sample = np.asarray(sample, np.uint8)
        return self.preparation.row(sample)

    def logits(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Run streams and head on prepared rows: float32, (rows, labels), uncalibrated.

        Raises:
            InputError: if a row has none of the model's streams.
        """
        here = self.preparation.here(rows)
        if not here.any(axis=1).all():
            known = ", ".join(s.value for s in self.preparation.streams)
            raise InputError(f"the model {self.model_id!r} looks at {known}, and nothing is there")
        features = [
            self._run(stream, rows, here[:, i], 1, width, 0.0)
            for i, (stream, width) in enumerate(self._widths.items())
        ]
        scores, *_ = answer(
            self._session, np.concatenate(features, axis=1), here.astype(np.float32)
        )
        return self._logits(scores, len(rows))

    def _everything(self, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float32], None, None]:
        """Return the logits; there are no embeddings, and no valence and arousal."""
        return self.logits(rows), None, None

    def stream_logits(self, rows: Sequence[NDArray[Any]]) -> dict[Stream, NDArray[np.float32]]:
        """Return what each stream says alone, (rows, labels); NaN where it is missing."""
        here = self.preparation.here(rows)
        return {
            stream: self._run(stream, rows, here[:, i], 0, len(self.taxonomy), np.nan)
            for i, stream in enumerate(self._widths)
        }

    def _run(
        self,
        stream: Stream,
        rows: Sequence[NDArray[Any]],
        here: NDArray[np.bool_],
        output: int,
        width: int,
        otherwise: float,
    ) -> NDArray[np.float32]:
        """Return one output of a stream's graph, (rows, width), where the stream is here."""
        wanted = np.flatnonzero(here)
        parts = []
        for start in range(0, len(wanted), _AT_ONCE):
            some = [rows[i] for i in wanted[start : start + _AT_ONCE]]
            parts.append(self._session_of(stream).answer(self.preparation.collate(stream, some)))
        out = np.full((len(rows), width), otherwise, np.float32)
        if parts:
            out[wanted] = np.concatenate([part[output] for part in parts])
        return out

    def _session_of(self, stream: Stream) -> Session:
        """Open a stream's graph when it is needed: a photo needs two of four."""
        if stream not in self._streams:
            self._streams[stream] = Session(self._files[stream.value], self._threads)
        return self._streams[stream]
