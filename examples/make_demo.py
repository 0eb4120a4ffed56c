"""Makes `demo.mp4` and `demo.srt`: two talking portraits, for trying emofuse out.

The people are still portraits in the public domain (Eileen Collins from
scikit-image, Grace Hopper from matplotlib's sample data), cut out and warped so
that they seem to move, speak and pull faces; the voices are synthetic. See
`README.md` beside this file for what that is good for.

Needs espeak-ng on the PATH, and av, opencv, scikit-image, matplotlib and soxr::

    python examples/make_demo.py
"""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import soxr
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[int, int, int]


# --- people -----------------------------------------------------------------


@dataclass(frozen=True)
class Portrait:
    """A cut-out picture of a person, and where the face's parts are (pixels)."""

    image: Image
    opacity: NDArray[np.float32]
    eyes: tuple[Point, Point]
    mouth: tuple[Point, Point]
    lips_y: float
    voice: str

    @property
    def unit(self) -> float:
        """Distance between the eyes: the measure of all movements."""
        return float(np.hypot(*np.subtract(*self.eyes)))

    @property
    def centre(self) -> Point:
        """The middle of the face."""
        x, y = np.mean([*self.eyes, *self.mouth], axis=0)
        return float(x), float(y)


def cut_out(image: Image, outline: Sequence[Point]) -> NDArray[np.float32]:
    """Return the opacity, in [0, 1], of what a rough outline surrounds."""
    rough = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(rough, [np.array(outline, np.int32)], 1)
    inside, outside = (
        cv2.erode(rough, None, iterations=14, borderValue=1),
        cv2.dilate(rough, None, iterations=3),
    )
    labels = np.where(rough, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inside == 1], labels[outside == 0] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(1)
    cv2.grabCut(image, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = cv2.erode(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), None)
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)


@lru_cache
def collins() -> Portrait:
    """Eileen Collins (NASA, public domain)."""
    import skimage.data

    outline = [(152, 118), (150, 80), (165, 42), (195, 20), (232, 13), (272, 27), (298, 60)]
    outline += [(301, 105), (286, 140), (276, 160), (303, 215), (303, 250), (340, 262)]
    outline += [(372, 340), (376, 511), (18, 511), (32, 330), (70, 250), (112, 205)]
    outline += [(122, 175), (160, 150)]
    image = skimage.data.astronaut()
    return Portrait(
        image,
        cut_out(image, outline),
        eyes=((200, 102), (247, 103)),
        mouth=((198, 142), (243, 143)),
        lips_y=146,
        voice="en-us+f3",
    )


@lru_cache
def hopper() -> Portrait:
    """Grace Hopper (US Navy, public domain)."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    outline = [(153, 140), (153, 108), (175, 90), (181, 45), (215, 25), (265, 22), (322, 35)]
    outline += [(350, 60), (355, 88), (370, 110), (372, 140), (366, 175), (375, 195), (371, 235)]
    outline += [(355, 290), (338, 318), (400, 352), (490, 397), (511, 440), (511, 599)]
    outline += [(14, 599), (22, 440), (62, 384), (188, 338), (197, 300), (172, 290)]
    outline += [(158, 225), (155, 195), (162, 165)]
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return Portrait(
        image,
        cut_out(image, outline),
        eyes=((227, 193), (308, 195)),
        mouth=((228, 268), (302, 270)),
        lips_y=275,
        voice="en-gb+f5",
    )


# --- faces ------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """A facial expression; 0 is the portrait's own, 1 is strong."""

    smile: float = 0.0  # mouth corners up, or down if negative
    brows: float = 0.0  # up, or down if negative
    inner_brows: float = 0.0  # the same for their inner ends alone
    open: float = 0.0  # mouth

    def mixed(self, other: Face, share: float) -> Face:
        """Return the expression `share` of the way to another."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Face(*(a + share * (b - a) for a, b in pairs))


NEUTRAL = Face()
FACES: Mapping[str, Face] = {
    "neutral": NEUTRAL,
    "happy": Face(smile=1.0, brows=0.3),
    "sad": Face(smile=-1.1, brows=-0.2, inner_brows=1.0),
    "angry": Face(smile=-0.7, brows=-0.9, inner_brows=-0.8),
    "fear": Face(smile=-0.6, brows=0.8, inner_brows=0.8, open=0.2),
    "surprise": Face(brows=1.0, open=0.35),
}


@dataclass(frozen=True)
class Pose:
    """Where a face stands: its middle and the distance of its eyes (pixels), its tilt (degrees)."""

    x: float
    y: float
    unit: float
    tilt: float = 0.0


def draw(canvas: NDArray[np.float32], person: Portrait, pose: Pose, face: Face) -> None:
    """Draw a person onto a float RGB picture, in place."""
    height, width = canvas.shape[:2]
    x, y = portrait_coordinates(person, pose, width, height)
    x, y, gap = express(person, face, x, y)
    picture = cv2.remap(person.image.astype(np.float32), x, y, cv2.INTER_LINEAR)
    picture[gap] = (62, 18, 22)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.5)
    opacity = cv2.remap(person.opacity, x, y, cv2.INTER_LINEAR)[..., None]
    canvas += opacity * (picture - canvas)


def portrait_coordinates(
    person: Portrait, pose: Pose, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pixel of the picture the point of the portrait that it shows."""
    gx, gy = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    dx, dy = (gx - pose.x) / pose.unit * person.unit, (gy - pose.y) / pose.unit * person.unit
    cos, sin = np.cos(np.radians(pose.tilt)), np.sin(np.radians(pose.tilt))
    cx, cy = person.centre
    return np.float32(cx + cos * dx + sin * dy), np.float32(cy - sin * dx + cos * dy)


def express(
    person: Portrait, face: Face, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Warp portrait coordinates to a facial expression; also say where the open mouth is."""
    unit, lips = person.unit, person.lips_y
    left, right = person.mouth
    half, middle = (right[0] - left[0]) / 2, (left[0] + right[0]) / 2
    reach = 1.1 * unit  # the jaw moves down to here
    lens = np.clip(1 - ((x - middle) / half) ** 2, 0, 1)
    below = np.clip((y - lips) / reach, 0, 1)
    drop = 0.42 * unit * face.open * lens * (1 - below * below * (3 - 2 * below)) * (y > lips)
    gap = (drop > 0) & (y - drop < lips)
    move_x, move_y = np.zeros_like(x), drop

    def pull(at: Point, by: Point, sigma: tuple[float, float]) -> None:
        bump = np.exp(
            -(((x - at[0]) / (sigma[0] * unit)) ** 2) - ((y - at[1]) / (sigma[1] * unit)) ** 2
        )
        move_x[:] += by[0] * unit * bump
        move_y[:] += by[1] * unit * bump

    for side, corner, eye in zip((-1, 1), person.mouth, person.eyes, strict=True):
        pull(corner, (side * 0.06 * face.smile, -0.16 * face.smile), (0.3, 0.3))
        pull((eye[0], eye[1] - 0.33 * unit), (0, -0.14 * face.brows), (0.4, 0.25))
        inner = (eye[0] - side * 0.28 * unit, eye[1] - 0.3 * unit)
        pull(
            inner, (-side * min(0, face.inner_brows) * -0.06, -0.14 * face.inner_brows), (0.2, 0.22)
        )
    return np.float32(x - move_x), np.float32(y - move_y), gap


# --- voices -----------------------------------------------------------------

RATE = 44100


@dataclass(frozen=True)
class Line:
    """Something a person says at a time, and how."""

    at: float
    person: Portrait
    text: str
    mood: str = "neutral"
    pitch: int = 50
    speed: int = 165
    volume: int = 100

    @property
    def end(self) -> float:
        """When it is said, in seconds."""
        return self.at + len(spoken(self)) / RATE


@cache
def _spoken(voice: str, text: str, pitch: int, speed: int, volume: int) -> NDArray[np.float32]:
    options = ["-v", voice, "-p", str(pitch), "-s", str(speed), "-a", str(volume)]
    done = subprocess.run(
        ["espeak-ng", *options, "--stdout", text], stdout=subprocess.PIPE, check=True
    )
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate, data = file.getframerate(), file.readframes(1 << 30)
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    return soxr.resample(samples[loud[0] : loud[-1] + 1], rate, RATE)


def spoken(line: Line) -> NDArray[np.float32]:
    """Return a line's sound at `RATE`."""
    return _spoken(line.person.voice, line.text, line.pitch, line.speed, line.volume)


def soundtrack(lines: Sequence[Line], seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Mix all lines over a quiet room, mono at `RATE`."""
    room = np.random.default_rng(seed).normal(0, 0.0006, int(seconds * RATE))
    sound = room.astype(np.float32)
    for line in lines:
        first = int(line.at * RATE)
        voice = spoken(line)[: len(sound) - first]
        sound[first : first + len(voice)] += 0.75 * voice
    return np.clip(sound, -1, 1)


def loudness(line: Line, time: float) -> float:
    """Return how far the speaker's mouth is open at a time, in [0, 1]."""
    first = int((time - line.at - 0.02) * RATE)
    window = spoken(line)[max(0, first) : max(0, first + int(0.05 * RATE))]
    return float(min(1.0, 3.2 * np.sqrt(np.mean(window**2)))) if len(window) else 0.0


# --- the play ---------------------------------------------------------------


@dataclass(frozen=True)
class Appearance:
    """A person in the picture from `start` to `end`, at a place and size (shares of the height)."""

    person: Portrait
    start: float
    end: float
    x: float
    y: float = 0.42
    unit: float = 0.15
    sway: float = 1.0


@dataclass(frozen=True)
class Play:
    """All that is seen and heard."""

    seconds: float
    cast: Sequence[Appearance] = ()
    lines: Sequence[Line] = ()
    size: tuple[int, int] = (640, 360)
    fps: int = 25
    backdrop: tuple[Colour, Colour] = ((98, 112, 128), (176, 184, 190))


def face_at(play: Play, person: Portrait, time: float) -> Face:
    """Return a person's expression at a time: the mood of the line, and the mouth of the voice."""
    face = NEUTRAL
    for line in play.lines:
        if line.person is person:
            ramp = np.clip(min((time - line.at + 0.6) / 0.5, (line.end + 0.9 - time) / 0.5), 0, 1)
            face = face.mixed(FACES[line.mood], float(ramp))
            mouth = face.open + loudness(line, time)
            face = Face(face.smile, face.brows, face.inner_brows, min(1.0, mouth))
    return face


def pictures(play: Play) -> Iterator[Image]:
    """Draw the play, one RGB picture per frame."""
    width, height = play.size
    top, bottom = (np.array(colour, np.float32) for colour in play.backdrop)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    backdrop = np.broadcast_to(top + ramp * (bottom - top), (height, width, 3))
    for index in range(round(play.seconds * play.fps)):
        time = index / play.fps
        canvas = backdrop.copy()
        for number, part in enumerate(play.cast):
            if part.start <= time < part.end:
                draw(
                    canvas,
                    part.person,
                    pose_at(part, number, time, height),
                    face_at(play, part.person, time),
                )
        light = (
            1 + 0.06 * np.sin(time * 0.9) + 0.08 * np.sin(time * 0.4) * np.linspace(-1, 1, width)
        )
        yield np.clip(canvas * light[None, :, None], 0, 255).astype(np.uint8)


def pose_at(part: Appearance, number: int, time: float, height: int) -> Pose:
    """Return the slowly wandering pose of a person."""
    phase = 1.7 * number
    return Pose(
        x=(part.x + part.sway * 0.02 * np.sin(0.8 * time + phase)) * height,
        y=(part.y + part.sway * 0.012 * np.sin(1.3 * time + phase)) * height,
        unit=part.unit * (1 + part.sway * 0.05 * np.sin(0.5 * time + phase)) * height,
        tilt=part.sway * 4 * np.sin(0.7 * time + 0.5 + phase),
    )


# --- files ------------------------------------------------------------------


def write_film(
    path: Path, play: Play, *, crf: int = 27, audio_bits: int = 48000, subtitles: bool = False
) -> None:
    """Encode a play as H.264 and AAC, if wanted with its lines as a subtitle track."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=play.fps)
        video.options = {"crf": str(crf), "preset": "veryslow"}
        video.width, video.height, video.pix_fmt = *play.size, "yuv420p"
        audio = film.add_stream("aac", rate=RATE, layout="mono", bit_rate=audio_bits)
        captions = add_captions(film) if subtitles else None
        sound = sound_frames(soundtrack(play.lines, play.seconds))
        due = sorted(play.lines, key=lambda line: line.at)
        heard = 0
        for index, picture in enumerate(pictures(play)):
            time = (index + 1) / play.fps
            film.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            while heard < time * RATE and (frame := next(sound, None)) is not None:
                heard += frame.samples
                film.mux(audio.encode(frame))
            while captions is not None and due and due[0].at < time:
                film.mux(caption(captions, due.pop(0)))
        film.mux(video.encode(None))
        film.mux(audio.encode(None))


def sound_frames(samples: NDArray[np.float32]) -> Iterator[av.AudioFrame]:
    """Segmentation mono sound into frames as AAC takes them."""
    for first in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        yield frame


def add_captions(film: av.container.OutputContainer) -> av.SubtitleStream:
    """Add an MP4 text track."""
    stream = film.add_stream("mov_text")
    stream.time_base = Fraction(1, 1000)
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.codec_context.subtitle_header = (
        b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\n"
        b"Format: Name, Fontname, Fontsize\r\nStyle: Default,Arial,16\r\n\r\n"
        b"[Events]\r\nFormat: Layer, Start, End, Style, Text\r\n"
    )
    return stream


def caption(stream: av.SubtitleStream, line: Line) -> av.Packet:
    """Encode one line as a caption."""
    start, length = round(line.at * 1000), round((line.end - line.at) * 1000)
    event = f"0,0,Default,,0,0,0,,{line.text}".encode()
    packet = stream.codec_context.encode_subtitle(
        av.subtitles.subtitle.SubtitleSet.create(event, 0, length, start)
    )
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = start
    packet.duration = length
    return packet


def write_srt(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as a SubRip file."""

    def stamp(seconds: float) -> str:
        minutes, ms = divmod(round(seconds * 1000), 60000)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d},{ms % 1000:03d}"

    cues = (
        f"{number}\n{stamp(line.at)} --> {stamp(line.end)}\n{line.text}\n"
        for number, line in enumerate(lines, 1)
    )
    path.write_text("\n".join(cues), encoding="utf-8")


def demo() -> Play:
    """The demo: one person, nobody, another, both, and silence."""
    eileen, grace = collins(), hopper()
    happy = "Hello! I am so happy to see you. What a wonderful day!"
    sad = "But my old dog died last week. I miss him, and I feel so sad."
    angry = "Who took my keys? I am angry! This is an outrage!"
    surprise = "Oh wow, what a surprise! I did not expect that."
    lines = (
        Line(0.6, eileen, happy, "happy", pitch=75, speed=185),
        Line(4.6, eileen, sad, "sad", pitch=25, speed=140, volume=60),
        Line(10.8, grace, "Hello? Is anybody there?", "neutral", pitch=50, speed=150, volume=80),
        Line(14.0, grace, angry, "angry", pitch=60, speed=200, volume=180),
        Line(18.4, eileen, "What was that noise? I am scared.", "fear", pitch=90, speed=205),
        Line(21.0, grace, surprise, "surprise", pitch=85, speed=175, volume=110),
    )
    cast = (
        Appearance(eileen, 0.0, 9.6, x=0.89),
        Appearance(grace, 13.4, 28.0, x=1.24, y=0.5),
        Appearance(eileen, 18.0, 28.0, x=0.5),
    )
    return Play(28.0, cast, lines)


def main() -> None:
    """Make the demo clip and its transcript beside this file."""
    here = Path(__file__).parent
    play = demo()
    for line in play.lines:
        print(f"{line.at:5.1f} – {line.end:5.1f}  {line.mood:8}  {line.text}")
    write_film(here / "demo.mp4", play, subtitles=True)
    write_srt(here / "demo.srt", play.lines)


if __name__ == "__main__":
    main()
