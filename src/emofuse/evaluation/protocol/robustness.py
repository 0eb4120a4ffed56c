"""Spoils samples as rooms, microphones, cameras and keyboards do, to see what a model bears.

Every spoiling is deterministic: what is random in it follows from the seed, its
own name and the sample's id, whatever else is measured and in whatever order.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...corpora.manifest import Entry
from ...errors import InputError
from ...io.audio import read_audio
from ...speech.vad import RATE
from ..predict.predict import Piece, View

Waveform = NDArray[np.float32]
Picture = NDArray[np.uint8]
Random = np.random.Generator
Change = Callable[[Any, Random], Any]
"""Spoils a medium (waveform at 16 kHz, RGB uint8 picture, or text) with a random generator."""


@dataclass(frozen=True, slots=True, eq=False)
class Corruption:
    """One way in which samples get worse.

    Args:
        kind: what happens, e.g. ``"white noise"``; spoilings of a kind stand together.
        strength: how much of it, e.g. ``"10 dB"``; may be empty.
        change: does it. The medium it is given must stay as it is.
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
    """Return a random generator that depends on a seed and some names only."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def spoilings(modality: Modality, noises: Path | None = None) -> tuple[Corruption, ...]:
    """Return the spoilings of a modality, the gentle before the harsh.

    Args:
        modality: face, speech or words.
        noises: for speech, a folder of recordings: those whose names begin with
            ``rir`` or ``ir`` are impulse responses of rooms, the others noises. None:
            coloured noise and rooms that are made.

    Raises:
        InputError: if the folder holds no sound.
    """
    made = {Modality.FACE: _face, Modality.SPEECH: lambda: _speech(noises), Modality.TEXT: _words}
    return tuple(made[modality]())


def _plain(kind: str, strength: str, change: Callable[..., Any], *args: Any) -> Corruption:
    """Spoil by a function of the medium and `args`."""
    return Corruption(kind, strength, lambda medium, random: change(medium, *args))


def _drawn(kind: str, strength: str, change: Callable[..., Any], *args: Any) -> Corruption:
    """Spoil by a function of the medium, `args`, and a random generator."""
    return Corruption(kind, strength, lambda medium, random: change(medium, *args, random))


# --------------------------------------------------------------------- sound


def _speech(folder: Path | None) -> list[Corruption]:
    noises, rooms = ([], []) if folder is None else read_noises(folder)
    ratios = (20, 10, 0)
    out = [_noise("white noise", snr, white) for snr in ratios]
    if noises:
        everyday = partial(piece_of, noises)
        out += [_noise("everyday noise", snr, everyday) for snr in ratios]
    else:
        out += [_noise("pink noise", snr, pink) for snr in ratios]
    if rooms:
        out.append(
            Corruption("reverb", "measured rooms", lambda x, r: reverberate(x, one_of(rooms, r)))
        )
    else:
        out += [_room(seconds) for seconds in (0.3, 0.8)]
    out += [_plain("gain", f"{db:+d} dB", gain, db) for db in (-20, 20)]
    out.append(_plain("telephone band", "", telephone))
    for codec, title, kbits in (("libopus", "Opus", 8), ("libmp3lame", "MP3", 16)):
        out.append(_plain(f"{title} codec", f"{kbits} kbit/s", through_codec, codec, kbits))
    return out


def _noise(kind: str, snr: float, make: Callable[[int, Random], Waveform]) -> Corruption:
    return Corruption(kind, f"{snr:g} dB", lambda x, r: add_noise(x, make(len(x), r), snr))


def _room(seconds: float) -> Corruption:
    return Corruption(
        "reverb", f"{seconds:g} s", lambda x, r: reverberate(x, made_room(seconds, r))
    )


def add_noise(sound: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise such that the mean power of the sound is `snr_db` above the noise's.

    Both float32 (n,). Silence, or noise that is silent, stays as it is.
    """
    powers = [float((x.astype(np.float64) ** 2).mean()) if len(x) else 0.0 for x in (sound, noise)]
    if not all(powers):
        return sound.copy()
    scale = np.sqrt(powers[0] / powers[1] * 10 ** (-snr_db / 10))
    return (sound + scale * noise).astype(np.float32)


def white(n: int, random: Random) -> Waveform:
    """Noise of equal power at all frequencies: float32 (n,)."""
    noise: Waveform = random.standard_normal(n).astype(np.float32)
    return noise


def pink(n: int, random: Random) -> Waveform:
    """Noise whose power falls by 3 dB an octave, as much everyday noise does: float32 (n,)."""
    spectrum = np.fft.rfft(random.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    spectrum[:1] = 0
    return np.fft.irfft(spectrum, n).astype(np.float32)


def piece_of(noises: Sequence[Waveform], n: int, random: Random) -> Waveform:
    """Cut n samples out of one of some recordings, repeated where it is too short."""
    noise = one_of(noises, random)
    return np.take(noise, np.arange(n) + random.integers(len(noise)), mode="wrap")


def one_of(sounds: Sequence[Waveform], random: Random) -> Waveform:
    """Choose one."""
    return sounds[int(random.integers(len(sounds)))]


def made_room(seconds: float, random: Random) -> Waveform:
    """Make a room's impulse response: direct sound, then noise that decays by 60 dB in `seconds`.

    The tail has a third of the direct sound's energy for each 0.3 s of reverberation
    time (Moorer 1979 shapes noise so; the levels are ours): float32 (n,).
    """
    n = round(seconds * RATE)
    tail = random.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: RATE // 400] = 0  # no wall is nearer than 2.5 ms
    tail *= np.sqrt(seconds / 0.9 / (tail**2).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(sound: Waveform, room: Waveform) -> Waveform:
    """Put a sound into a room at unchanged power; the direct sound stays in its place.

    Args:
        sound: float32 (n,).
        room: impulse response at the same rate, float32 (m,).

    Returns:
        float32 (n,); what rings on beyond the end is cut off.
    """
    from scipy.signal import fftconvolve

    first = int(np.abs(room).argmax())
    wet = fftconvolve(sound, room)[first : first + len(sound)]
    power = (sound.astype(np.float64) ** 2).sum() / max((wet**2).sum(), 1e-20)
    return (wet * np.sqrt(power)).astype(np.float32)


def gain(sound: Waveform, db: float) -> Waveform:
    """Make a sound louder or softer; what exceeds ±1 is clipped, as converters do."""
    return np.clip(sound * 10 ** (db / 20), -1, 1).astype(np.float32)


def telephone(sound: Waveform) -> Waveform:
    """Keep the band of analogue telephony, 300 to 3400 Hz (fourth-order Butterworth)."""
    from scipy.signal import butter, sosfilt

    band = butter(4, (300, 3400), "bandpass", fs=RATE, output="sos")
    return sosfilt(band, sound).astype(np.float32)


def through_codec(sound: Waveform, codec: str, kbits: int) -> Waveform:
    """Encode and decode a sound, in memory.

    Args:
        sound: float32 (n,) at 16 kHz.
        codec: ``"libopus"`` or ``"libmp3lame"``.
        kbits: kilobits per second.

    Returns:
        float32 (n,); the codec's delay is taken out.

    Raises:
        InputError: if this build of PyAV lacks the codec.
    """
    import av

    holder = {"libopus": "ogg", "libmp3lame": "mp3"}[codec]
    packed = io.BytesIO()
    try:
        with av.open(packed, "w", holder) as out:
            stream = out.add_stream(codec, rate=RATE, layout="mono")
            stream.bit_rate = kbits * 1000
            ints = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(ints[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            resampler = av.AudioResampler(stream.format, "mono", RATE, stream.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
    except (ValueError, av.FFmpegError) as e:
        raise InputError(f"this build of PyAV cannot encode with {codec}: {e}") from e
    packed.seek(0)
    with av.open(packed) as back:
        to_mono = av.AudioResampler("flt", "mono", RATE)
        parts = [f for got in back.decode(audio=0) for f in to_mono.resample(got)]
        parts += to_mono.resample(None)
        decoded = np.concatenate([p.to_ndarray()[0] for p in parts])
    fitted = np.zeros(len(sound), np.float32)
    fitted[: len(decoded)] = decoded[: len(sound)]
    return fitted


def read_noises(folder: Path) -> tuple[list[Waveform], list[Waveform]]:
    """Read a folder of recordings: noises, and impulse responses (``rir…``, ``ir…``).

    Raises:
        InputError: if the folder holds no sound, or one cannot be read.
    """
    endings = {".wav", ".flac", ".opus", ".ogg", ".mp3"}
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in endings)
    if not files:
        raise InputError(
            f"no recordings of noise in {folder}: expected {', '.join(sorted(endings))} files"
        )
    is_room = re.compile(r"r?ir[^a-z]", re.IGNORECASE)
    noises: list[Waveform] = []
    rooms: list[Waveform] = []
    for path in files:
        (rooms if is_room.match(path.stem + " ") else noises).append(read_audio(path, RATE))
    return noises, rooms


# ------------------------------------------------------------------ pictures


def _face() -> list[Corruption]:
    return [
        *(_plain("blur", f"{k:g} of 48 px", blur, k) for k in (1.0, 2.0)),
        *(_drawn("low light", f"1/{k}", low_light, 1 / k) for k in (4, 8)),
        _drawn("occlusion", "random quarter", patch),
        _plain("occlusion", "mouth (mask)", cover, (0.55, 1.0), (0.1, 0.9)),
        _plain("occlusion", "eyes (glasses)", cover, (0.22, 0.45), (0.05, 0.95)),
        *(_plain("small face", f"{px} px", quantize, px) for px in (24, 16)),
        *(_plain("JPEG", f"quality {q}", jpeg, q) for q in (30, 10)),
        *(_drawn("noise", f"sd {sd} of 255", grain, sd) for sd in (10, 25)),
        _drawn("rotation", "±20°", tilt, 20),
        _plain("contrast", "a third", contrast, 1 / 3, 1.0),
        _plain("overexposed", "× 1.8", contrast, 1.8, 1.8),
    ]


def blur(face: Picture, pixels: float) -> Picture:
    """Blur by a Gaussian of a deviation in pixels of a face of 48: RGB uint8, same shape."""
    from PIL import Image, ImageFilter

    radius = pixels * min(face.shape[:2]) / 48
    return np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius)))


def low_light(face: Picture, share: float, random: Random) -> Picture:
    """Leave a share of the light, and the noise of a sensor that has little (sd 3 of 255)."""
    dark = face * share + random.standard_normal(face.shape[:2])[..., None] * 3.0
    return _levels(dark)


def patch(face: Picture, random: Random) -> Picture:
    """Cover a random square of a quarter of the area in its mean colour."""
    top, left = random.uniform(0, 0.5, 2)
    return cover(face, (top, top + 0.5), (left, left + 0.5))


def cover(face: Picture, rows: tuple[float, float], columns: tuple[float, float]) -> Picture:
    """Cover a rectangle, in fractions of height and width, with the face's mean colour."""
    height, width = face.shape[:2]
    out = face.copy()
    out[
        round(rows[0] * height) : round(rows[1] * height),
        round(columns[0] * width) : round(columns[1] * width),
    ] = face.mean(axis=(0, 1)).round()
    return out


def quantize(face: Picture, pixels: int) -> Picture:
    """Show a face `pixels` wide, as if it were far away: RGB uint8, (pixels, pixels, 3)."""
    from PIL import Image

    return np.asarray(Image.fromarray(face).resize((pixels, pixels), Image.Resampling.BOX))


def jpeg(face: Picture, quality: int) -> Picture:
    """Store and read back as JPEG of a quality of 1 to 95."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(face).save(packed, "JPEG", quality=quality)
    with Image.open(packed) as image:
        return np.asarray(image.convert("RGB"))


def grain(face: Picture, deviation: float, random: Random) -> Picture:
    """Add noise of a deviation in levels, the same in all colours."""
    return _levels(face + random.standard_normal(face.shape[:2])[..., None] * deviation)


def rotate(face: Picture, degrees: float) -> Picture:
    """Rotate about the middle; what was outside repeats the edge."""
    from scipy import ndimage

    turned = ndimage.rotate(face, degrees, reshape=False, order=1, mode="nearest")
    return np.asarray(turned, np.uint8)


def tilt(face: Picture, degrees: float, random: Random) -> Picture:
    """Rotate to the left or to the right, as it is drawn."""
    return rotate(face, degrees if random.random() < 0.5 else -degrees)


def contrast(face: Picture, factor: float, brightness: float) -> Picture:
    """Scale the distance from mid-grey by `factor`, and mid-grey itself by `brightness`."""
    return _levels((face - 127.5) * factor + 127.5 * brightness)


def _levels(values: NDArray[np.floating[Any]]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# --------------------------------------------------------------------- words


def _words() -> list[Corruption]:
    return [
        _plain("as spoken", "", spoken),
        *(
            _drawn("typing errors", f"{share:.0%} of letters", mistype, share)
            for share in (0.03, 0.1)
        ),
        *(_drawn("lost words", f"{share:.0%}", lose, share) for share in (0.1, 0.3)),
    ]


def spoken(text: str) -> str:
    """Write a text as speech recognisers do: words and apostrophes only, in lower case.

    A text that has no words stays as it is.
    """
    words = re.sub(r"[^\w'’\[\]]+", " ", text).lower().strip()
    return words or text


def mistype(text: str, share: float, random: Random) -> str:
    """Swap a share of the letters with the one that follows."""
    signs = list(text)
    for i in np.flatnonzero(random.random(max(len(signs) - 1, 0)) < share):
        if signs[i].isalpha() and signs[i + 1].isalpha():
            signs[i], signs[i + 1] = signs[i + 1], signs[i]
    return "".join(signs)


def lose(text: str, share: float, random: Random) -> str:
    """Leave out a share of the words, but never all."""
    words = text.split()
    kept = [w for w, lost in zip(words, random.random(len(words)) < share, strict=True) if not lost]
    return " ".join(kept or words[:1]) or text
