"""The robustness protocol: which corruptions samples are measured under, and at what strength.

Every corruption is deterministic: what is random in it follows from the seed, its own
name and the sample's id, whatever else is measured and in whatever order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...corpora.manifest import Entry
from ...corruptions import audio, image, text
from ...errors import InputError
from ...sources.audio import read_audio
from ...speech.vad import RATE
from ..predict.inference import Piece, View

Waveform = NDArray[np.float32]
Random = np.random.Generator
Change = Callable[[Any, Random], Any]
"""Corrupts a medium (waveform at 16 kHz, RGB uint8 image, or text) with a random generator."""


@dataclass(frozen=True, slots=True, eq=False)
class Corruption:
    """One way to corrupt samples.

    Args:
        kind: what happens, e.g. ``"white noise"``; corruptions of a kind are listed together.
        strength: how much of it, e.g. ``"10 dB"``; may be empty.
        change: corrupts a medium; the medium it is given must stay as it is.
    """

    kind: str
    strength: str
    change: Change

    @property
    def name(self) -> str:
        """Kind and strength."""
        return f"{self.kind}, {self.strength}" if self.strength else self.kind

    def view(self, inner: View, seed: int = 0) -> View:
        """Return the view `inner` of corrupted media."""

        def corrupted(medium: Any, entry: Entry) -> Sequence[Piece]:
            random = generator(seed, self.name, entry.id)
            if isinstance(medium, tuple):  # faces that were found in a scene
                return inner([(self.change(face, random), q) for face, q in medium], entry)
            return inner(self.change(medium, random), entry)

        return corrupted


def generator(seed: int, *names: str) -> Random:
    """Return a random generator that depends on nothing but a seed and some names."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def corruptions(modality: Modality, noises: Path | None = None) -> tuple[Corruption, ...]:
    """Return the corruptions of a modality, mild before strong.

    Args:
        modality: face, speech or text.
        noises: for speech, a folder of recordings: those whose names begin with
            ``rir`` or ``ir`` are impulse responses of rooms, the others noises. None:
            synthetic noise and rooms.

    Raises:
        InputError: if the folder holds no recordings, or the modality is another.
    """
    made = {Modality.FACE: _face, Modality.SPEECH: lambda: _speech(noises), Modality.TEXT: _text}
    if modality not in made:
        raise InputError(f"--robustness: nothing corrupts what a {modality.value} model looks at")
    return tuple(made[modality]())


def _plain(kind: str, strength: str, change: Callable[..., Any], *args: Any) -> Corruption:
    """Corrupt by a function of the medium and `args`."""
    return Corruption(kind, strength, lambda medium, random: change(medium, *args))


def _drawn(kind: str, strength: str, change: Callable[..., Any], *args: Any) -> Corruption:
    """Corrupt by a function of the medium, `args`, and a random generator."""
    return Corruption(kind, strength, lambda medium, random: change(medium, *args, random))


def _speech(folder: Path | None) -> list[Corruption]:
    noises: list[Waveform] = []
    rooms: list[Waveform] = []
    if folder is not None:
        noises, rooms = audio.read_recordings(folder, partial(read_audio, rate=RATE))
    ratios = (20, 10, 0)
    out = [_noise("white noise", snr, audio.white_noise) for snr in ratios]
    if noises:
        everyday = partial(audio.random_crop, noises)
        out += [_noise("everyday noise", snr, everyday) for snr in ratios]
    else:
        out += [_noise("pink noise", snr, audio.pink_noise) for snr in ratios]
    if rooms:
        out.append(_room("measured rooms", partial(audio.random_choice, rooms)))
    else:
        for seconds in (0.3, 0.8):
            out.append(_room(f"{seconds:g} s", partial(audio.synthetic_room, seconds, RATE)))
    out += [_plain("gain", f"{db:+d} dB", audio.gain, db) for db in (-20, 20)]
    out.append(_plain("telephone band", "", audio.bandpass, 300, 3400, RATE))
    for codec, title, kbits in (("libopus", "Opus", 8), ("libmp3lame", "MP3", 16)):
        strength = f"{kbits} kbit/s"
        out.append(_plain(f"{title} codec", strength, audio.transcode, codec, kbits, RATE))
    return out


def _noise(kind: str, snr: float, make: Callable[[int, Random], Waveform]) -> Corruption:
    return Corruption(kind, f"{snr:g} dB", lambda x, r: audio.add_noise(x, make(len(x), r), snr))


def _room(strength: str, make: Callable[[Random], Waveform]) -> Corruption:
    return Corruption("reverb", strength, lambda x, r: audio.reverberate(x, make(r)))


def _face() -> list[Corruption]:
    return [
        *(_plain("blur", f"{k:g} of 48 px", _blur, k) for k in (1.0, 2.0)),
        *(_drawn("low light", f"1/{k}", image.low_light, 1 / k) for k in (4, 8)),
        _drawn("occlusion", "random quarter", image.cover_quarter),
        _plain("occlusion", "mouth (mask)", image.cover, (0.55, 1.0), (0.1, 0.9)),
        _plain("occlusion", "eyes (glasses)", image.cover, (0.22, 0.45), (0.05, 0.95)),
        *(_plain("small face", f"{px} px", image.downscale, px) for px in (24, 16)),
        *(_plain("JPEG", f"quality {q}", image.jpeg, q) for q in (30, 10)),
        *(_drawn("noise", f"sd {sd} of 255", image.sensor_noise, sd) for sd in (10, 25)),
        _drawn("rotation", "±20°", _rotate, 20),
        _plain("contrast", "a third", image.contrast, 1 / 3, 1.0),
        _plain("overexposed", "× 1.8", image.contrast, 1.8, 1.8),
    ]


def _blur(face: image.Image, pixels: float) -> image.Image:
    """Blur by so many pixels of a face of 48."""
    return image.blur(face, pixels * min(face.shape[:2]) / 48)


def _rotate(face: image.Image, degrees: float, random: Random) -> image.Image:
    """Rotate to the left or to the right, at random."""
    return image.rotate(face, degrees if random.random() < 0.5 else -degrees)


def _text() -> list[Corruption]:
    return [
        _plain("as spoken", "", text.as_spoken),
        *(
            _drawn("typing errors", f"{share:.0%} of letters", text.swap_letters, share)
            for share in (0.03, 0.1)
        ),
        *(_drawn("lost words", f"{share:.0%}", text.drop_words, share) for share in (0.1, 0.3)),
    ]
