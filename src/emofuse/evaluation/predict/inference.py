"""Runs a model on the samples of a corpus, in one or several views of each.

A view says which part of a medium the model gets: the whole face or text, the windows
of a clip under some `Segmentation`, or any of these after corruption. Each medium is
read once for all views. No torch: the ONNX model runs through the recogniser's own
`prepare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...core.protocols import Recogniser
from ...corpora.manifest import Entry
from ...errors import InputError, ModelError
from ...io.images import read_image
from ...models.card import Calibration, Card
from ...sources.audio import read_audio
from ...speech.vad import RATE
from ..protocol.label_alignment import LabelAlignment
from .segmentation import Segmentation, Segmenter

Floats = NDArray[np.float32]
Piece = tuple[Any, float]
"""What `prepare` takes, and the weight of its prediction for the sample (e.g. seconds)."""
View = Callable[[Any, Entry], Sequence[Piece]]
"""Cuts a medium (RGB uint8 face, waveform at 16 kHz, or text) of an entry into pieces."""
Tick = Callable[[], object]
"""Called after each unit of work."""
Progress = Callable[[str, int], Tick]
"""Starts a progress bar from a title and a number of units."""

_BATCH = 64
_GATHERED = 1024  # texts that wait, so that those of about equal length share a batch


@runtime_checkable
class LogitRecogniser(Recogniser, Protocol):
    """A recogniser that has a card and gives uncalibrated logits, as evaluation needs."""

    @property
    def card(self) -> Card:
        """Calibration, labels and files of the model."""
        ...

    def outputs(self, rows: Sequence[NDArray[Any]]) -> tuple[Floats, Floats | None]:
        """Return logits, (rows, labels), and embeddings, (rows, width), if there are any."""
        ...


def with_logits(recogniser: Recogniser) -> LogitRecogniser:
    """Return a recogniser as one that gives logits.

    Raises:
        ModelError: if it gives none.
    """
    if not isinstance(recogniser, LogitRecogniser):
        raise ModelError(f"{recogniser.model_id!r} gives no logits and cannot be evaluated")
    return recogniser


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's predictions for the pieces of a set of samples.

    Args:
        logits: of each piece, uncalibrated, shape (pieces, model's labels).
        sample: which sample each piece is of, shape (pieces,).
        weight: of each piece, > 0, shape (pieces,).
        samples: number of samples; some may have no pieces.
        embeddings: of each piece, shape (pieces, width); None if the model gives none.
    """

    logits: Floats
    sample: NDArray[np.int64]
    weight: Floats
    samples: int
    embeddings: Floats | None = None

    @property
    def missed(self) -> NDArray[np.bool_]:
        """Samples without any piece: no face or no voice was found, bool (samples,)."""
        out = np.ones(self.samples, bool)
        out[self.sample] = False
        return out

    def probabilities(self, alignment: LabelAlignment, calibration: Calibration) -> Floats:
        """Average each sample's calibrated predictions: (samples, len(alignment.labels)).

        A sample without pieces gets the alignment's fallback.
        """
        rows = alignment.probabilities(self.logits, calibration)
        return self._mean(rows, alignment.fallback, normalize=not alignment.model.multi_label)

    def unmasked(self, alignment: LabelAlignment, calibration: Calibration) -> NDArray[np.int64]:
        """Return each sample's best label of all of `alignment.space`, unmasked: (samples,)."""
        fallback = np.zeros(len(alignment.space))
        fallback[alignment.shared] = alignment.fallback
        rows = alignment.unmasked(self.logits, calibration)
        best: NDArray[np.int64] = self._mean(rows, fallback, normalize=True).argmax(axis=1)
        return best

    def subset(self, keep: NDArray[np.bool_]) -> Predictions:
        """Return the predictions for some samples, renumbered; `keep` is bool (samples,)."""
        number = np.cumsum(keep) - 1
        of = keep[self.sample]
        return Predictions(
            self.logits[of],
            number[self.sample[of]],
            self.weight[of],
            int(keep.sum()),
            None if self.embeddings is None else self.embeddings[of],
        )

    def _mean(self, rows: NDArray[Any], fallback: NDArray[Any], normalize: bool) -> Floats:
        # A trace of the fallback, which decides where there is no piece.
        out = np.tile(1e-9 * fallback, (self.samples, 1))
        total = np.full(self.samples, 1e-9)
        np.add.at(out, self.sample, rows * self.weight[:, None])
        np.add.at(total, self.sample, self.weight)
        if normalize:
            total = np.maximum(out.sum(axis=1), 1e-12)
        out /= total[:, None]
        return out.astype(np.float32)


def predict(
    recogniser: LogitRecogniser,
    entries: Sequence[Entry],
    views: Sequence[View],
    tick: Tick = lambda: None,
    read: Callable[[Entry], Any] | None = None,
) -> list[Predictions]:
    """Run a model on every entry in every view.

    Args:
        recogniser: the model.
        entries: the samples.
        views: which part of each medium it gets; `whole` and `windows` make them.
        tick: called after each entry.
        read: reads an entry's medium; default: `reader` of the model's card.

    Returns:
        One `Predictions` per view.

    Raises:
        InputError: if there are no entries, or a medium cannot be read.
    """
    if not entries:
        raise InputError("no samples to measure on: the split, fold or filter leaves none")
    read = read or reader(recogniser.card)
    runs = [_ViewRun(recogniser) for _ in views]
    for i, entry in enumerate(entries):
        medium = read(entry)
        for view, run in zip(views, runs, strict=True):
            run.add(i, view(medium, entry))
        tick()
    return [run.predictions(len(entries)) for run in runs]


def whole(medium: Any, entry: Entry) -> Sequence[Piece]:
    """View a medium as one piece: a face or a text."""
    return ((medium, 1.0),)


def crops(faces: Sequence[Piece], entry: Entry) -> Sequence[Piece]:
    """View the faces that were found in a scene, see `scenes.Finder`."""
    return faces


def windows(card: Card, segmentation: Segmentation) -> View:
    """Return the view of clips as windows.

    Raises:
        InputError: if the card has no window.
    """
    segmenter = Segmenter(segmentation, card.window)

    def view(sound: Floats, entry: Entry) -> Sequence[Piece]:
        return [(sample.data, sample.span.duration) for sample in segmenter(sound)]

    return view


def view_of(card: Card, segmentation: Segmentation = Segmentation.FULL) -> View:
    """Return the ordinary view of a model's modality."""
    return windows(card, segmentation) if card.modality is Modality.SPEECH else whole


def reader(card: Card) -> Callable[[Entry], Any]:
    """Return the function that reads an entry's medium for a model.

    Raises:
        ModelError: if no corpus has the model's modality.
    """
    readers = {Modality.FACE: read_face, Modality.SPEECH: read_sound, Modality.TEXT: read_text}
    if card.modality not in readers:
        raise ModelError(
            f"model {card.id!r} is of modality {card.modality.value}: it cannot be evaluated"
        )
    return readers[card.modality]


def read_face(entry: Entry) -> NDArray[np.uint8]:
    """Read an entry's image as RGB uint8, (height, width, 3).

    Raises:
        InputError: if there is none or it cannot be read.
    """
    if entry.path is None:
        raise InputError(f"entry {entry.id!r} has no image, which a face model needs")
    try:
        return read_image(entry.path).pixels
    except InputError as e:
        raise InputError(
            f"{e}. A face model needs images of faces: extract the corpus again, or leave the "
            "entry out of the manifest"
        ) from e


def read_sound(entry: Entry) -> Floats:
    """Read an entry's audio, from its start to its end, as float32 (n,) at 16 kHz.

    Raises:
        InputError: if there is none or it cannot be read.
    """
    if entry.path is None:
        raise InputError(f"entry {entry.id!r} has no audio, which a speech model needs")
    sound = read_audio(entry.path, RATE)
    start, end = getattr(entry, "start", None), getattr(entry, "end", None)
    if start is None and end is None:
        return sound
    return sound[round((start or 0.0) * RATE) : None if end is None else round(end * RATE)]


def read_text(entry: Entry) -> str:
    """Return an entry's text.

    Raises:
        InputError: if there is none.
    """
    if not (entry.text or "").strip():
        raise InputError(f"entry {entry.id!r} has no text, which a text model needs")
    return entry.text or ""


@dataclass(slots=True)
class _ViewRun:
    """The pieces of one view: prepared rows that wait, and the outputs so far."""

    recogniser: LogitRecogniser
    rows: list[NDArray[Any]] = field(default_factory=list)
    logits: list[Floats] = field(default_factory=list)
    embeddings: list[Floats] = field(default_factory=list)
    sample: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)

    def add(self, sample: int, pieces: Sequence[Piece]) -> None:
        for data, weight in pieces:
            self.rows.append(self.recogniser.prepare(data))
            self.sample.append(sample)
            self.weight.append(weight)
        texts = bool(self.rows) and self.rows[0].ndim == 1
        if len(self.rows) >= (_GATHERED if texts else _BATCH):
            self._flush()

    def predictions(self, samples: int) -> Predictions:
        self._flush()
        labels, width = len(self.recogniser.taxonomy), self.recogniser.embedding
        return Predictions(
            np.concatenate([np.zeros((0, labels), np.float32), *self.logits]),
            np.array(self.sample, np.int64),
            np.array(self.weight, np.float32),
            samples,
            None
            if width is None
            else np.concatenate([np.zeros((0, width), np.float32), *self.embeddings]),
        )

    def _flush(self) -> None:
        order = sorted(range(len(self.rows)), key=lambda i: self.rows[i].shape)
        if not order:
            return
        parts = [self.recogniser.outputs([self.rows[i] for i in p]) for p in _parts(order, _BATCH)]
        self.logits.append(_unsorted([logits for logits, _ in parts], order))
        if self.recogniser.embedding is not None:
            self.embeddings.append(_unsorted([e for _, e in parts if e is not None], order))
        self.rows.clear()


def _parts(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _unsorted(parts: Sequence[Floats], order: Sequence[int]) -> Floats:
    out = np.empty((len(order), parts[0].shape[1]), np.float32)
    out[order] = np.concatenate(parts)
    return out
