"""Changes to training sound: what rooms, microphones and cutting into windows do to a voice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...corruptions import audio
from ...corruptions.audio import Waveform
from ...errors import InputError
from ...evaluation.predict.segmentation import voiced_range
from ...sources.audio import read_audio
from ...speech.recognise import Features, Level, Preparation, prepare

_BANDS = 7
_LOW_CUT, _HIGH_CUT = (20.0, 300.0), (3000.0, 8000.0)  # Hz


@dataclass(frozen=True, slots=True)
class SoundAugmentation:
    """How sound is changed before it is prepared; each change has its probability.

    Args:
        trim: cut the silence around the voice away, as voice activity does in use.
        trim_db: how tightly: lowest and highest level, in dB below the loud frames, of
            what still counts as voice.
        crop: cut a piece of `shortest` to the model's window; else of the whole window.
        shortest: shortest piece in seconds.
        speed: play faster or slower, pitch included, by up to `speed_range`.
        speed_range: largest change of speed, as a fraction.
        noise: add noise at a ratio drawn from `snr_db`.
        snr_db: lowest and highest signal-to-noise ratio in dB.
        reverb: put the voice into a room.
        tilt: raise treble or bass by a first-order filter of coefficient up to `tilt_range`.
        tilt_range: largest coefficient of that filter.
        equalize: let another microphone and room color the voice, see
            `corruptions.audio.equalize`.
        equalize_db: largest gain or loss of a band in dB.
        narrow: cut the lowest and highest frequencies away, as telephones, codecs and
            small microphones do, see
            `corruptions.audio.bandpass`.
        bands: widest stripe of mel bands blanked in a picture (SpecAugment, Park et
            al. 2019), twice.
        frames: widest stripe of frames blanked, twice.
        mixup: probability that two pictures of one corpus are blended (Zhang et al. 2018).
        mixup_alpha: both parameters of the Beta distribution of the blend's share.
    """

    trim: float = 0.5
    trim_db: tuple[float, float] = (30.0, 30.0)
    crop: float = 0.5
    shortest: float = 1.0
    speed: float = 0.5
    speed_range: float = 0.1
    noise: float = 0.4
    snr_db: tuple[float, float] = (5.0, 30.0)
    reverb: float = 0.15
    tilt: float = 0.3
    tilt_range: float = 0.4
    equalize: float = 0.0
    equalize_db: float = 12.0
    narrow: float = 0.0
    bands: int = 10
    frames: int = 24
    mixup: float = 0.5
    mixup_alpha: float = 0.3

    def __post_init__(self) -> None:
        chances = (
            *(self.trim, self.crop, self.speed, self.noise, self.reverb, self.tilt),
            *(self.equalize, self.narrow, self.mixup),
        )
        if not all(0 <= p <= 1 for p in chances):
            raise ValueError(f"probabilities must lie in [0, 1], got {self}")
        for name in ("trim_db", "snr_db"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A training clip in memory.

    Args:
        sound: float16 (half the memory, more digits than the codec kept), shape (n,).
        voiced: first and last sample of what is not silence at its ends.
    """

    sound: NDArray[np.float16]
    voiced: tuple[int, int]


class Augment:
    """Cuts, changes and prepares a clip.

    Args:
        config: what changes, how often and how much.
        preparation: of the model.
        noise: folder with noises and rooms, or None.

    Raises:
        InputError: if the folder has no noises or no rooms.
    """

    def __init__(
        self, config: SoundAugmentation, preparation: Preparation, noise: Path | None = None
    ) -> None:
        self._config = config
        self._preparation = preparation
        self._noises: list[Waveform] = []
        self._rooms: list[Waveform] = []
        if noise is not None:
            read = partial(read_audio, rate=preparation.rate)
            self._noises, self._rooms = audio.read_recordings(noise, read)
            if not (self._noises and self._rooms):
                raise InputError(f"{noise} needs noises and impulse responses of rooms (rir*)")

    def __call__(self, clip: Clip, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a prepared row, float32: a picture (bands, frames) or a waveform."""
        sound = self._change(self._cut(clip, rng), rng)
        row = prepare(sound, self._preparation)
        if row.ndim == 2:
            self._blank(row, rng)
        return row

    def _cut(self, clip: Clip, rng: np.random.Generator) -> Waveform:
        c, p = self._config, self._preparation
        start, end = 0, len(clip.sound)
        if rng.random() < c.trim:
            start, end = voiced_range(clip.sound, p.rate, rng.uniform(*c.trim_db))
        length = p.samples
        if rng.random() < c.crop:
            length = int(rng.uniform(c.shortest, p.seconds) * p.rate)
        faster = 1.0
        if rng.random() < c.speed:
            faster = rng.uniform(1 - c.speed_range, 1 + c.speed_range)
        taken = min(end - start, int(length * faster))
        start += int(rng.integers(end - start - taken + 1))
        sound = clip.sound[start : start + taken].astype(np.float32)
        if faster == 1.0:
            return sound
        at = np.arange(max(1, min(length, int(taken / faster)))) * faster
        return np.interp(at, np.arange(taken), sound).astype(np.float32)

    def _change(self, sound: Waveform, rng: np.random.Generator) -> Waveform:
        c, rate = self._config, self._preparation.rate
        if rng.random() < c.tilt:
            sound = audio.tilt(sound, rng.uniform(-c.tilt_range, c.tilt_range))
        if c.equalize and rng.random() < c.equalize:
            gains = rng.uniform(-c.equalize_db, c.equalize_db, _BANDS)
            sound = audio.equalize(sound, gains, rate)
        if self._rooms and rng.random() < c.reverb:
            sound = audio.reverberate(sound, audio.random_choice(self._rooms, rng))
        if rng.random() < c.noise:
            sound = audio.add_noise(sound, self._noise(len(sound), rng), rng.uniform(*c.snr_db))
        if c.narrow and rng.random() < c.narrow:
            low, high = rng.uniform(*_LOW_CUT), rng.uniform(*_HIGH_CUT)
            sound = audio.bandpass(sound, low, high, rate)
        return sound

    def _noise(self, size: int, rng: np.random.Generator) -> Waveform:
        """A piece of a recorded noise, or (one in three) hiss."""
        if not self._noises or rng.random() < 1 / 3:
            return audio.white_noise(size, rng)
        return audio.random_crop(self._noises, size, rng)

    def _blank(self, picture: NDArray[np.float32], rng: np.random.Generator) -> None:
        """Blank stripes with the mean of each row; of a whole log-mel picture it is 0."""
        bands, frames = picture.shape
        p = self._preparation
        if p.features is Features.LOGMEL:
            level = picture.mean() if p.level is Level.RELATIVE else np.float32(0)
            mean = np.full((bands, 1), level, np.float32)
        else:
            mean = picture.mean(axis=1, keepdims=True)
        for _ in range(2):
            width = rng.integers(min(self._config.bands, bands // 2) + 1)
            start = rng.integers(bands - width + 1)
            picture[start : start + width] = mean[start : start + width]
            width = rng.integers(min(self._config.frames, frames // 2) + 1)
            start = rng.integers(frames - width + 1)
            picture[:, start : start + width] = mean
