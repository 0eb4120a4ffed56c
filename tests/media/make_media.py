"""Makes the clips in this folder with the portraits and voices of the demo.

Only what a test cannot make for itself in a moment is kept here; every variant
(other containers, codecs, rates, damage) is derived at run time by
`tests/sources/derive.py`. See `examples/README.md` for what the clips are.

    python tests/media/make_media.py
"""

# ruff: noqa: T201 — it tells what it made

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "examples"))

import make_demo as demo  # noqa: E402

SMALL = (320, 240)


def talking() -> demo.Play:
    """One face that speaks twice with a second of silence between, for 5 s."""
    eileen = demo.collins()
    lines = (
        demo.Line(0.4, eileen, "I am so happy to see you!", "happy", pitch=75, speed=180),
        demo.Line(3.0, eileen, "But now I feel very sad.", "sad", pitch=25, speed=150, volume=70),
    )
    return demo.Play(5.0, [demo.Appearance(eileen, 0, 5, x=0.66)], lines, SMALL, fps=25)


def two_people() -> demo.Play:
    """Two faces side by side for 3 s; one of them speaks."""
    eileen, grace = demo.collins(), demo.hopper()
    cast = (
        demo.Appearance(grace, 0, 3, x=1.3, y=0.5),
        demo.Appearance(eileen, 0, 3, x=0.45),
    )
    lines = (demo.Line(0.4, grace, "Who took my keys?", "angry", pitch=60, speed=190),)
    return demo.Play(3.0, cast, lines, (426, 240), fps=25)


def comes_and_goes() -> demo.Play:
    """A face until 1.6 s, nobody for 3.6 s while the voice goes on, the face again until 7 s."""
    grace = demo.hopper()
    cast = (
        demo.Appearance(grace, 0, 1.6, x=0.66, y=0.5),
        demo.Appearance(grace, 5.2, 7, x=0.66, y=0.5),
    )
    lines = (
        demo.Line(0.2, grace, "Wait a moment, please."),
        demo.Line(2.4, grace, "Oh no, where did I put it?", "fear", pitch=85, speed=195),
        demo.Line(5.4, grace, "Oh, what a surprise!", "surprise", pitch=85),
    )
    return demo.Play(7.0, cast, lines, SMALL, fps=25)


def write_speech(path: Path) -> None:
    """Write two voices with 1.5 s of silence between and at both ends: Opus, 6 to 8 s."""
    first = demo.Line(1.5, demo.collins(), "I am so happy, this is great!", pitch=75, speed=180)
    second = demo.Line(first.end + 1.5, demo.hopper(), "I am angry! Go away!", pitch=55, speed=200)
    sound = demo.soundtrack((first, second), second.end + 1.5)
    sound = demo.soxr.resample(sound, demo.RATE, 48000)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=48000, layout="mono", bit_rate=32000)
        for start in range(0, len(sound), 960):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 960], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    print(f"{path.name}: speech in {first.at:.2f}–{first.end:.2f} and "
          f"{second.at:.2f}–{second.end:.2f} of {second.end + 1.5:.2f} s")  # fmt: skip


def write_portrait(path: Path) -> None:
    """Write a small still of one face."""
    image = demo.hopper().image[60:360, 115:415]
    small = cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Make everything."""
    for name, play in {
        "talking": talking(),
        "two_people": two_people(),
        "comes_and_goes": comes_and_goes(),
    }.items():
        demo.write_film(HERE / f"{name}.mp4", play, crf=29, subtitles=name == "talking")
        for line in play.lines:
            print(f"{name}: {line.at:.2f}–{line.end:.2f} {line.text}")
    demo.write_srt(HERE / "talking.srt", talking().lines)
    write_speech(HERE / "speech.ogg")
    write_portrait(HERE / "portrait.jpg")


if __name__ == "__main__":
    main()
