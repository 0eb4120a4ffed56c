"""Makes variants of the test clips: other containers and codecs, quirks, damage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MEDIA = Path(__file__).parents[1] / "media"
TALKING = MEDIA / "talking.mp4"
SPEECH = MEDIA / "speech.ogg"

TICKS = Fraction(1, 1000)

OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "18"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "1M"},
    "mpeg1video": {"qmin": "2", "qmax": "4", "b": "1M"},
    "mpeg4": {"qmin": "2", "qmax": "4", "b": "1M"},
    "flv": {"qmin": "2", "qmax": "4", "b": "1M"},
}


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Sound to tell channels and times apart: float32, channels × samples.

    Channel c holds a sine of 200 (c + 1) Hz at amplitude 0.5.
    """
    time = np.arange(round(seconds * rate)) / rate
    pitch = 200 * (1 + np.arange(channels))[:, None]
    return (0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def counted(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A picture that carries a number 0…15 as the brightness of its left half; right is black."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2] = 30 + 14 * number
    return image


def number_in(image: np.ndarray) -> int:
    """Read the number of a `counted` picture."""
    height, width = image.shape[:2]
    grey = image[height // 4 : -height // 4, width // 8 : width * 3 // 8].mean()
    return round((float(grey) - 30) / 14)


def film(
    path: Path,
    times: Sequence[float] = (),
    sound: np.ndarray | None = None,
    *,
    images: Sequence[np.ndarray] | None = None,
    rate: int = 16000,
    layout: str = "mono",
    late: float = 0.0,
    video: str = "libx264",
    audio: str = "aac",
    fps: int = 25,
    options: dict[str, str] | None = None,
    rotation: int | None = None,
    container: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write pictures at given times and sound (channels × samples) that starts `late` seconds in.

    Pictures are `counted` (modulo 16) unless given. Packets are interleaved by time.
    """
    with av.open(str(path), "w", options=container or {}) as out:
        jobs = []
        if len(times):
            stream = out.add_stream(video, rate=fps)
            pictures = images or [counted(i % 16) for i in range(len(times))]
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if video == "mjpeg" else pix_fmt
            exact = video in ("libx264", "libvpx", "gif") and path.suffix != ".avi"
            stream.codec_context.time_base = TICKS if exact else Fraction(1, fps)
            stream.options = options or OPTIONS.get(video, {})
            if rotation is not None:
                stream.set_display_rotation(rotation)
            jobs.append((stream, picture_frames(pictures, times, stream.codec_context.time_base)))
        if sound is not None:
            stream = out.add_stream(audio, rate=rate, layout=layout)
            jobs.append((stream, list(sound_frames(stream, sound, rate, layout, late))))
        work = [(frame.time, stream, frame) for stream, frames in jobs for frame in frames]
        for _, stream, frame in sorted(work, key=lambda item: item[0]):
            out.mux(stream.encode(frame))
        for stream, _ in jobs:
            out.mux(stream.encode(None))
    return path


def picture_frames(
    pictures: Sequence[np.ndarray], times: Sequence[float], base: Fraction
) -> list[av.VideoFrame]:
    """Turn pictures into frames with timestamps."""
    frames = []
    for image, time in zip(pictures, times, strict=True):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        frame.pts, frame.time_base = round(time / base), base
        frames.append(frame)
    return frames


def sound_frames(
    stream: av.AudioStream, sound: np.ndarray, rate: int, layout: str, late: float
) -> Iterable[av.AudioFrame]:
    """Cut sound (channels × samples) into frames in the encoder's format."""
    into = av.AudioResampler(stream.format.name, layout, stream.rate)
    step = 1024
    for first in range(0, sound.shape[1], step):
        part = np.ascontiguousarray(sound[:, first : first + step])
        frame = av.AudioFrame.from_ndarray(part, "fltp", layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round(late * rate)
        yield from into.resample(frame)
    yield from into.resample(None)


def truncate(source: Path, target: Path, share: float) -> Path:
    """Copy the first part of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target
