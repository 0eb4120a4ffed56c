"""Windowing and batching: the only places where streams are cut for models.

Who writes a recogniser writes no streaming code; who trains one cuts its
windows here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Estimate, Modality, Prediction, Probabilities, Subject
from ..core.labels import LabelMap
from ..core.media import AudioChunk, Grade, Sample, Watermark, WindowSpec
from ..core.protocols import Recogniser
from ..core.time import NS, Span, samples_to_ns

Quality = Callable[[NDArray[np.float32], int], Grade]
"""Says how good a waveform (float32, (n,)) at a rate in Hz is as evidence."""


class Windower:
    """Cuts voiced regions into overlapping windows, one per hop.

    Takes the voiced `AudioChunk`s of `speech/vad.py`: contiguous inside a
    region, with a gap (or a `Watermark` beyond the last sample) between regions.
    Yields a `Sample` for each hop of a region; its span is the hop, its data the
    window around it (see `WindowSpec`). The last hop of a region takes a
    remainder of up to half a hop with it, and is short if more remains.

    Args:
        spec: window, hop and lookahead.
        subject: whom the voice belongs to.
        quality: measures a window.
    """

    def __init__(self, spec: WindowSpec, subject: Subject, quality: Quality) -> None:
        self._spec = spec
        self._subject = subject
        self._quality = quality
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._buffer: NDArray[np.float32] = np.empty(0, np.float32)
        self._buffer_first = 0  # stream index of _buffer[0]
        self._region_first = 0  # stream index of the region's first sample
        self._hop_first = 0  # stream index of the first hop not yet emitted
        self._rate = 0  # 0: no region is open

    def feed(self, item: AudioChunk | Watermark) -> Iterator[Sample | Watermark]:
        """Take voiced samples or progress; yield the hops that are complete."""
        if isinstance(item, Watermark):
            yield from self._advance(item)
        else:
            yield from self._extend(item)

    def flush(self) -> Iterator[Sample]:
        """Close the open region, if there is one."""
        if self._rate:
            yield from self._close()

    @property
    def _end(self) -> int:
        return self._buffer_first + len(self._buffer)

    def _advance(self, progress: Watermark) -> Iterator[Sample | Watermark]:
        if self._rate and progress.upto_ns > samples_to_ns(self._end, self._rate):
            yield from self._close()
        upto = progress.upto_ns
        if self._rate:
            upto = min(upto, samples_to_ns(self._hop_first, self._rate))
        yield Watermark(Modality.SPEECH, upto)

    def _extend(self, chunk: AudioChunk) -> Iterator[Sample]:
        if self._rate and chunk.first != self._end:
            yield from self._close()
        if not self._rate:
            self._rate = chunk.rate
            self._region_first = self._buffer_first = self._hop_first = chunk.first
        self._buffer = np.concatenate((self._buffer, chunk.samples))
        hop, lookahead = self._samples(self._spec.hop_ns), self._samples(self._spec.lookahead_ns)
        while self._hop_first + hop + lookahead <= self._end:
            yield self._emit(self._hop_first + hop)

    def _close(self) -> Iterator[Sample]:
        hop = self._samples(self._spec.hop_ns)
        # What is short enough to have been waited for is not worth a hop of its own.
        scrap = min(hop // 2, self._samples(self._spec.lookahead_ns))
        while self._hop_first < self._end:
            hop_end = self._hop_first + hop
            yield self._emit(self._end if self._end - hop_end < scrap else hop_end)
        self.reset()

    def _emit(self, hop_end: int) -> Sample:
        evidence_end = min(hop_end + self._samples(self._spec.lookahead_ns), self._end)
        window = self._samples(self._spec.window_ns)
        evidence_first = max(self._region_first, evidence_end - window)
        base = self._buffer_first
        samples = self._buffer[evidence_first - base : evidence_end - base].copy()
        span = Span(samples_to_ns(self._hop_first, self._rate), samples_to_ns(hop_end, self._rate))
        self._hop_first = hop_end
        self._forget(hop_end - window)
        grade = self._quality(samples, self._rate)
        return Sample(self._subject, span, samples, grade.quality, grade.details)

    def _forget(self, first: int) -> None:
        """Drop samples before `first`, which no later window can reach."""
        if first > self._buffer_first:
            self._buffer = self._buffer[first - self._buffer_first :]
            self._buffer_first = first

    def _samples(self, duration_ns: int) -> int:
        return duration_ns * self._rate // NS


class Recognise:
    """Runs a recogniser on samples, in batches; progress keeps its place among them.

    Args:
        recogniser: what to run.
        modality: of the estimates.
        batch: most samples run at once (≥ 1).
        max_wait_ns: a started batch is run when progress is this far past its
            first sample; 0 runs it with the next progress (live).
        embeddings: whether estimates carry the model's embeddings, if it has any.
        label_map: where the model's own labels go; None: they stay. What is said of dropped
            labels counts against the evidence.
        affect: another model of the same samples, of which valence and arousal are taken.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        modality: Modality,
        batch: int = 8,
        max_wait_ns: int = 0,
        embeddings: bool = False,
        label_map: LabelMap | None = None,
        affect: Recogniser | None = None,
    ) -> None:
        self._label_map = label_map
        self._affect = affect
        self._recogniser = recogniser
        self._modality = modality
        self._batch = batch
        self._max_wait_ns = max_wait_ns
        self._embeddings = embeddings
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._pending: list[Sample] = []
        self._held: Watermark | None = None

    def feed(self, item: Sample | Watermark) -> Iterator[Estimate | Watermark]:
        """Take a sample or progress; yield estimates, in the samples' order.

        Progress counts as the modality's, whatever track it names.
        """
        if isinstance(item, Sample):
            self._pending.append(item)
            if len(self._pending) >= self._batch:
                yield from self.flush()
            return
        item = Watermark(self._modality, item.upto_ns)
        if self._pending:
            self._held = item
            if item.upto_ns - self._pending[0].span.start_ns >= self._max_wait_ns:
                yield from self.flush()
        else:
            yield item

    def flush(self) -> Iterator[Estimate | Watermark]:
        """Run what is held, then say how far that brought us."""
        samples, self._pending = self._pending, []
        held, self._held = self._held, None
        predictions = _asked(self._recogniser, samples)
        felt = _asked(self._affect, samples) if self._affect is not None else predictions
        for sample, prediction, other in zip(samples, predictions, felt, strict=True):
            probabilities, share = self._mapped(prediction.probabilities)
            yield Estimate(
                subject=sample.subject,
                span=sample.span,
                probabilities=probabilities,
                modality=self._modality,
                quality=sample.quality * share,
                model_id=self._recogniser.model_id,
                affect=other.affect,
                embedding=prediction.embedding if self._embeddings else None,
                details=sample.details,
            )
        if held is not None:
            yield held

    def _mapped(self, said: Probabilities) -> tuple[Probabilities, float]:
        if self._label_map is None:
            return said, 1.0
        folded, share = self._label_map.fold(said.values)
        return Probabilities(self._label_map.reached, folded), share


def _asked(recogniser: Recogniser, samples: Sequence[Sample]) -> Sequence[Prediction]:
    return recogniser.infer([recogniser.prepare(sample.data) for sample in samples])
