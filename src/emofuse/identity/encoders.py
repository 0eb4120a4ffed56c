"""The nets that embed faces and voices, and the stages that ask them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import SPEAKER
from ..core.identity import IdentityEmbedding, Portrait
from ..core.media import AudioChunk, Sample, Watermark, WindowSpec
from ..core.time import to_ns
from ..engine.windows import Windower
from ..models.card import Card
from ..models.runtime import Session
from ..models.store import Store
from ..speech.features import MelConfig, mel_power
from ..speech.quality import grade

RATE = 16_000
"""Hz of the sound that a voice is embedded from."""

WINDOW = WindowSpec(to_ns(1.6), to_ns(0.8), to_ns(0.4))
"""How voiced sound is cut: each 0.8 s is told from the 1.6 s around it."""

_MEL = MelConfig(window=400, hop=160, mels=40, low=0.0, high=8000.0)
_LEVEL = 10 ** (-30 / 20)  # RMS to which sound is brought
_BATCH = 8  # windows embedded at once


class FaceEncoder:
    """Embeds portraits: one person's lie near each other, by Euclidean distance.

    Args:
        card: of the model.
        path: its weights.
        threads: intra-op threads.
    """

    def __init__(self, card: Card, path: Path, threads: int = 1) -> None:
        self.model_id = card.id
        self._session = Session(path, threads)

    def prepare(self, sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Nothing is to be done to a portrait: RGB uint8 (150, 150, 3)."""
        return sample

    def logits(self, rows: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed portraits one by one, so that none depends on its neighbours: (n, 128)."""
        return np.concatenate([self._session.logits(row[None]) for row in rows])


class VoiceEncoder:
    """Embeds voices: one speaker's lie near each other, by the cosine of their angle.

    Args:
        model_id: of the model.
        path: its weights.
        threads: intra-op threads.
    """

    def __init__(self, model_id: str, path: Path, threads: int = 1) -> None:
        self.model_id = model_id
        self._session = Session(path, threads)

    def prepare(self, sample: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn a waveform, float32 (n,), 16 kHz, into mel power, (frames, 40)."""
        level = float(np.sqrt(np.mean(np.square(sample, dtype=np.float64))))
        loud = (sample * (_LEVEL / max(level, 1e-6))).astype(np.float32)
        return np.ascontiguousarray(mel_power(loud, RATE, _MEL).T)

    def logits(self, rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed prepared sound: (n, 30)."""
        return np.stack([embedding for embedding, _ in self.answers(rows)])

    def answers(self, rows: list[NDArray[np.float32]]) -> list[tuple[NDArray[np.float32], float]]:
        """Embed prepared sound, and say how likely two people speak at once.

        What is equally long is run at once.
        """
        out: dict[int, tuple[NDArray[np.float32], float]] = {}
        for frames in dict.fromkeys(len(row) for row in rows):
            some = [i for i, row in enumerate(rows) if len(row) == frames]
            embedded, *more = self._session.answer(np.stack([rows[i] for i in some]))
            overlaps = more[0][:, 0].tolist() if more else [0.0] * len(some)
            out.update(zip(some, zip(embedded, overlaps, strict=True), strict=True))
        return [out[i] for i in range(len(rows))]


def face_encoder(model_id: str, store: Store, threads: int = 1) -> FaceEncoder:
    """Load a model that embeds faces.

    Raises:
        ModelError: if it is missing or damaged.
    """
    card = store.card(model_id)
    return FaceEncoder(card, store.files(card)["weights"], threads)


def voice_encoder(model_id: str, store: Store, threads: int = 1) -> VoiceEncoder:
    """Load a model that embeds voices.

    Raises:
        ModelError: if it is missing or damaged.
    """
    card = store.card(model_id)
    return VoiceEncoder(card.id, store.files(card)["weights"], threads)


class FaceEmbedder:
    """Replaces portraits by their embeddings; everything else passes."""

    def __init__(self, encoder: FaceEncoder) -> None:
        self._encoder = encoder

    def feed(self, item: Any) -> Iterator[Any]:
        """Take what a tracker yields."""
        if isinstance(item, Portrait):
            (row,) = self._encoder.logits([self._encoder.prepare(item.image)])
            yield IdentityEmbedding(item.subject, item.span, row, item.quality, item.beside)
        else:
            yield item

    def flush(self) -> Iterator[Any]:
        """Nothing is ever held."""
        return iter(())

    def reset(self) -> None:
        """Nothing to forget."""


class VoiceEmbedder:
    """Embeds voiced sound as it passes.

    Args:
        encoder: the net.
        batch: windows embedded at once; live none waits for others.
    """

    def __init__(self, encoder: VoiceEncoder, batch: int = _BATCH) -> None:
        self._encoder, self._batch = encoder, batch
        self._windower = Windower(WINDOW, SPEAKER, grade)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._windower.reset()
        self._waiting: list[Sample] = []

    def feed(self, item: AudioChunk | Watermark) -> Iterator[Any]:
        """Take voiced sound or progress; yield embeddings, and the item itself."""
        yield from self._take(self._windower.feed(item))
        yield item

    def flush(self) -> Iterator[IdentityEmbedding]:
        """Yield the rest."""
        yield from self._take(self._windower.flush())
        yield from self._embed()

    def _take(self, samples: Any) -> Iterator[IdentityEmbedding]:
        for sample in samples:
            if isinstance(sample, Sample):
                self._waiting.append(sample)
                if len(self._waiting) >= self._batch:
                    yield from self._embed()

    def _embed(self) -> Iterator[IdentityEmbedding]:
        samples, self._waiting = self._waiting, []
        if samples:
            answers = self._encoder.answers([self._encoder.prepare(s.data) for s in samples])
            for sample, (row, overlap) in zip(samples, answers, strict=True):
                yield IdentityEmbedding(
                    sample.subject, sample.span, row.copy(), sample.quality, overlap=overlap
                )
