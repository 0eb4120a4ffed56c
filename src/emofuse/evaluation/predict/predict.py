"""Lets a model answer the samples of a corpus, in one or several views of each.

A view says what of a medium the model gets: the whole face or text, the windows
of a clip under some `Segmentation`, or any of these after spoiling. Each medium is read
once for all views. No torch: what runs is the ONNX model through the
recogniser's own `prepare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...corpora.manifest import Entry
from ...errors import InputError, ModelError
from ...io.images import read_image
from ...models.card import Calibration, Card
from ...models.recogniser import OnnxRecogniser
from ...sources.audio import read_audio
from ...speech.vad import RATE
from ..protocol.label_alignment import LabelAlignment
from .segmentation import Cutter, Segmentation

Floats = NDArray[np.float32]
Piece = tuple[Any, float]
"""What `prepare` takes, and how much its answer counts for the sample (e.g. seconds)."""
View = Callable[[Any, Entry], Sequence[Piece]]
"""Cuts a medium (RGB uint8 face, waveform at 16 kHz, or text) of an entry into pieces."""
Tick = Callable[[], object]

_BATCH = 64
_WAITING = 1024  # rows that are gathered, so that texts of about equal length go together


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model said about the pieces of a set of samples.

    Args:
        logits: of each piece, uncalibrated, shape (pieces, model's labels).
        sample: which sample each piece is of, shape (pieces,).
        weight: how much each piece counts, > 0, shape (pieces,).
        samples: how many samples were asked; some may have no pieces.
        embeddings: of each piece, shape (pieces, width); None if the model gives none.
    """

    logits: Floats
    sample: NDArray[np.int64]
    weight: Floats
    samples: int
    embeddings: Floats | None = None

    def probabilities(self, join: LabelAlignment, calibration: Calibration) -> Floats:
        """Average each sample's calibrated answers over `join.labels`: (samples, labels).

        A sample without pieces gets the join's fallback.
        """
        rows = join.probabilities(self.logits, calibration)
        return self._mean(rows, join.fallback, normalise=not join.model.multi_label)

    def open_answers(self, join: LabelAlignment, calibration: Calibration) -> NDArray[np.int64]:
        """Return each sample's best label of all of `join.wide`, masked by nothing: (samples,)."""
        fallback = np.zeros(len(join.wide))
        fallback[join.shared] = join.fallback
        rows = join.open_answers(self.logits, calibration)
        best: NDArray[np.int64] = self._mean(rows, fallback, normalise=True).argmax(axis=1)
        return best

    def subset(self, keep: NDArray[np.bool_]) -> Predictions:
        """Return the answers of some samples, numbered anew; `keep` is bool (samples,)."""
        number = np.cumsum(keep) - 1
        of = keep[self.sample]
        return Predictions(
            self.logits[of],
            number[self.sample[of]],
            self.weight[of],
            int(keep.sum()),
            None if self.embeddings is None else self.embeddings[of],
        )

    def _mean(self, rows: NDArray[Any], fallback: NDArray[Any], normalise: bool) -> Floats:
        # A trace of the fallback: what is answered where there is no piece.
        out = np.tile(1e-9 * fallback, (self.samples, 1))
        total = np.full(self.samples, 1e-9)
        np.add.at(out, self.sample, rows * self.weight[:, None])
        np.add.at(total, self.sample, self.weight)
        if normalise:
            total = np.maximum(out.sum(axis=1), 1e-12)
        out /= total[:, None]
        return out.astype(np.float32)


def ask(
    recogniser: OnnxRecogniser,
    entries: Sequence[Entry],
    views: Sequence[View],
    tick: Tick = lambda: None,
    read: Callable[[Entry], Any] | None = None,
) -> list[Predictions]:
    """Let a model answer every entry in every view.

    Args:
        recogniser: the model.
        entries: the samples.
        views: what of each medium it gets; `whole` and `windows` make them.
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
    asked = [_Asked(recogniser) for _ in views]
    for i, entry in enumerate(entries):
        medium = read(entry)
        for view, pieces in zip(views, asked, strict=True):
            pieces.add(i, view(medium, entry))
        tick()
    return [pieces.answers(len(entries)) for pieces in asked]


def whole(medium: Any, entry: Entry) -> Sequence[Piece]:
    """View a medium as one piece: a face or a text."""
    return ((medium, 1.0),)


def crops(faces: Sequence[Piece], entry: Entry) -> Sequence[Piece]:
    """View the faces that were found in a scene, see `scenes.Finder`."""
    return faces


def windows(card: Card, cut: Segmentation) -> View:
    """Return the view of clips as a speech model hears them.

    Raises:
        InputError: if the card has no window.
    """
    cutter = Cutter(cut, card.window)

    def view(sound: Floats, entry: Entry) -> Sequence[Piece]:
        return [(sample.data, sample.span.duration) for sample in cutter(sound)]

    return view


def view_of(card: Card, cut: Segmentation = Segmentation.CLIP) -> View:
    """Return the ordinary view of a model's modality."""
    return windows(card, cut) if card.modality is Modality.SPEECH else whole


def reader(card: Card) -> Callable[[Entry], Any]:
    """Return what reads an entry's medium for a model.

    Raises:
        ModelError: if the model is of no modality that corpora have.
    """
    readers = {Modality.FACE: read_face, Modality.SPEECH: read_sound, Modality.TEXT: read_text}
    if card.modality not in readers:
        raise ModelError(f"model {card.id!r} is of modality {card.modality.value}: not measurable")
    return readers[card.modality]


def read_face(entry: Entry) -> NDArray[np.uint8]:
    """Read an entry's image as RGB uint8, (height, width, 3).

    Raises:
        InputError: if there is none or it cannot be read.
    """
    if entry.path is None:
        raise InputError(f"entry {entry.id!r} has no image, and the model looks at faces")
    try:
        return read_image(entry.path).pixels
    except InputError as e:
        raise InputError(
            f"{e}. A face model is measured on images of faces: extract the corpus again, or "
            "leave the entry out of the manifest"
        ) from e


def read_sound(entry: Entry) -> Floats:
    """Read an entry's sound, from its start to its end, as float32 (n,) at 16 kHz.

    Raises:
        InputError: if there is none or it cannot be read.
    """
    if entry.path is None:
        raise InputError(f"entry {entry.id!r} has no sound, and the model listens")
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
        raise InputError(f"entry {entry.id!r} has no text, and the model reads")
    return entry.text or ""


@dataclass(slots=True)
class _Asked:
    """The pieces of one view: prepared rows that wait, and the answers so far."""

    recogniser: OnnxRecogniser
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
        if len(self.rows) >= (_WAITING if texts else _BATCH):
            self._flush()

    def answers(self, samples: int) -> Predictions:
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
