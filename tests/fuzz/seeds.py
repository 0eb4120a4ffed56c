"""Seeds of the fuzzer: small inputs of every type, made here from the repository's own media."""

from __future__ import annotations

import json
import shutil
import wave
from contextlib import suppress
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from tests.sources.derive import film, tone

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / "tests" / "media"


class Kind(str, Enum):
    """What a seed is an input of."""

    MEDIA = "media"
    PICTURE = "picture"
    TEXT = "text"
    SETTINGS = "settings"
    CARD = "card"
    TABLE = "table"


def make_seeds(folder: Path) -> dict[Kind, list[Path]]:
    """Make all seeds that this machine has codecs for; the same files every time."""
    makers = {
        Kind.MEDIA: _media,
        Kind.PICTURE: _pictures,
        Kind.TEXT: _texts,
        Kind.SETTINGS: _settings,
        Kind.CARD: _cards,
        Kind.TABLE: _tables,
    }
    found: dict[Kind, list[Path]] = {}
    for kind, make in makers.items():
        home = folder / kind.value
        home.mkdir(parents=True, exist_ok=True)
        make(home)
        found[kind] = sorted(path for path in home.iterdir() if path.is_file())
    return found


# ---------------------------------------------------------------- media

_FILMS: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "h264.mkv": {"audio": "flac"},
    "h264.mov": {},
    "h264.flv": {},
    "h264.ts": {"audio": "mp2"},
    "h264.3gp": {},
    "mpeg1.mpg": {"video": "mpeg1video", "audio": "mp2", "fps": 25},
    "mpeg4.avi": {"video": "mpeg4", "audio": "mp2"},
    "vp8.webm": {"video": "libvpx", "audio": "libopus"},
    "wmv.wmv": {"video": "wmv2", "audio": "wmav2"},
    "moving.gif": {"video": "gif", "pix_fmt": "rgb8", "sound": None},
    "mjpeg.avi": {"video": "mjpeg", "audio": "pcm_s16le"},
    "turned.mp4": {"rotation": 90},
    "one.mp4": {"times": [0.0], "sound": None},
}
_SOUNDS: dict[str, dict[str, Any]] = {
    "s.wav": {"audio": "pcm_s16le"},
    "f.wav": {"audio": "pcm_f32le"},
    "s.flac": {"audio": "flac"},
    "s.mp3": {"audio": "libmp3lame"},
    "s.opus": {"audio": "libopus"},
    "s.m4a": {},
    "s.aac": {},
    "s.aiff": {"audio": "pcm_s16be"},
    "s.caf": {"audio": "pcm_s16be"},
    "s.au": {"audio": "pcm_s16be"},
    "s.ac3": {"audio": "ac3"},
    "s.wma": {"audio": "wmav2"},
}


def _media(folder: Path) -> None:
    face = np.asarray(Image.open(MEDIA / "portrait.jpg").convert("RGB").resize((160, 160)))
    defaults = {"times": [i / 10 for i in range(8)], "sound": tone(0.8, 16000)}
    for name, how in _FILMS.items():
        given = {"fps": 10, **defaults, **how}
        images = [face] * len(given["times"])
        # Encoders differ among machines; a seed that cannot be made is left out.
        with suppress(av.FFmpegError, av.codec.codec.UnknownCodecError, ValueError):
            film(folder / name, images=images, **given)
    for name, how in _SOUNDS.items():
        with suppress(av.FFmpegError, av.codec.codec.UnknownCodecError, ValueError):
            film(folder / name, sound=tone(1.0, 16000), **how)
    for channels in (2, 6, 8):
        _wave(folder / f"{channels}.wav", channels)
    _speech(folder / "speech.ogg")
    _tracks(folder / "tracks.mkv", folder)
    for path in folder.iterdir():
        if not path.stat().st_size:
            path.unlink()


def _wave(path: Path, channels: int) -> None:
    samples = (tone(0.5, 16000, channels).T * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((channels, 2, 16000, 0, "NONE", ""))
        out.writeframes(samples.tobytes())


def _speech(path: Path) -> None:
    """The first pages of a voice."""
    path.write_bytes((MEDIA / "speech.ogg").read_bytes()[:12_000])


def _tracks(path: Path, folder: Path) -> None:
    """Two tracks of sound and two of subtitles."""
    lines = folder / "lines.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:00,700\nI am so happy.\n")
    with av.open(str(path), "w") as out, av.open(str(lines)) as given:
        sounds = [out.add_stream("pcm_s16le", rate=16000, layout="mono") for _ in range(2)]
        text = out.add_stream_from_template(given.streams[0])
        for n, stream in enumerate(sounds):
            samples = (tone(0.8, 16000) * 20000 * n).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.rate, frame.pts = 16000, 0
            out.mux(stream.encode(frame))
        for packet in given.demux():
            if packet.size:
                packet.stream = text
                out.mux(packet)
    lines.unlink()


# ---------------------------------------------------------------- pictures


def _pictures(folder: Path) -> None:
    face = Image.open(MEDIA / "portrait.jpg").convert("RGB").resize((160, 160))
    grey = face.convert("L")
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 16)
    floats = Image.fromarray(np.asarray(grey, np.float32) / 255)
    turned = face.getexif()
    turned[0x0112] = 6
    pages = {"save_all": True, "append_images": [face.rotate(90), face.rotate(180)]}
    made: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "plain.jpg": (face, {}),
        "turned.jpg": (face, {"exif": turned}),
        "progressive.jpg": (face, {"progressive": True}),
        "cmyk.jpg": (face.convert("CMYK"), {}),
        "plain.png": (face, {}),
        "deep.png": (deep, {}),
        "palette.png": (face.convert("P"), {}),
        "alpha.png": (face.convert("RGBA"), {}),
        "moving.png": (face, pages),
        "plain.webp": (face, {}),
        "lossless.webp": (face, {"lossless": True}),
        "moving.webp": (face, pages),
        "plain.tiff": (face, {}),
        "lzw.tiff": (face, {"compression": "tiff_lzw"}),
        "deflate.tiff": (deep, {"compression": "tiff_deflate"}),
        "floats.tiff": (floats, {}),
        "pages.tiff": (face, pages),
        "plain.bmp": (face, {}),
        "moving.gif": (face, pages),
        "plain.ppm": (face, {}),
        "plain.avif": (face, {}),
        "plain.heic": (face, {"format": "HEIF"}),
        "script.eps": (face, {}),
    }
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    for name, (image, how) in made.items():
        with suppress(OSError, KeyError, ValueError):
            image.save(folder / name, **how)
    (folder / "script.eps").replace(folder / "script.jpg")


# ---------------------------------------------------------------- text

_SAID = ("I am so happy to see you!", "Oh no… where did I put it?", "Well, e.g. in 3.5 hours.")
_SRT = "".join(
    f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{line}\n\n" for n, line in enumerate(_SAID, 1)
)
_VTT = """WEBVTT - made here

STYLE
::cue { color: lime }

NOTE a remark

1
00:01.000 --> 00:02.000 align:start
<v Mary Smith>I am <i>so</i> happy &amp; glad!

00:03.000 --> 00:04.000
- Really?
- Yes<00:03.500><c> indeed</c> &#x1F600; [laughs] ♪ la ♪
"""
_SBV = "0:00:01.000,0:00:02.000\nI am so happy.\n\n0:00:03.000,0:00:04.500\nWhy?\n"
_ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, "
    "MarginL, MarginR, MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.00,Default,Mary,"
    "0,0,0,,{\\i1}I am so happy{\\i0}\\Nto see you.\n"
)
_WHISPER = {
    "text": " ".join(_SAID),
    "segments": [
        {"id": n, "start": n, "end": n + 0.9, "text": line, "speaker": f"SPEAKER_0{n % 2}"}
        for n, line in enumerate(_SAID)
    ],
    "language": "en",
}
_EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1500"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="Mary" TIER_ID="mary"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>I am so happy.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>
"""
_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "Mary"
        xmin = 0
        xmax = 2
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1
            text = "I am so ""happy""."
        intervals [2]:
            xmin = 1
            xmax = 2
            text = ""
"""
_STAMPED = "[00:01] Mary: I am so happy.\n[00:03] Bob: Why?\n[00:05] Mary: Because.\n"
_RUSSIAN = "Привет, как дела? Я очень рад тебя видеть. Что случилось вчера?\n" * 4
_CHINESE = "你好，我今天非常高兴。你为什么这么难过？我们走吧！\n" * 4


def _texts(folder: Path) -> None:
    tsv = "start\tend\ttext\n" + "".join(
        f"{n}000\t{n}900\t{line}\n" for n, line in enumerate(_SAID)
    )
    texts = {
        "a.srt": _SRT,
        "a.vtt": _VTT,
        "a.sbv": _SBV,
        "a.ass": _ASS,
        "a.json": json.dumps(_WHISPER),
        "a.tsv": tsv,
        "a.eaf": _EAF,
        "a.TextGrid": _GRID,
        "stamped.txt": _STAMPED,
        "plain.txt": "\n".join(_SAID) * 5,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    encoded = {
        "utf16.srt": (_SRT, "utf-16"),
        "cp1251.txt": (_RUSSIAN, "cp1251"),
        "gbk.txt": (_CHINESE, "gb18030"),
        "big5.srt": (_SRT.replace(_SAID[0], "你好嗎"), "big5"),
        "latin1.srt": (_SRT.replace("happy", "ängstlich, très déçu"), "latin-1"),
    }
    for name, (text, encoding) in encoded.items():
        (folder / name).write_bytes(text.encode(encoding, "replace"))


# ---------------------------------------------------------------- settings, cards, tables

_OLD = """facial_model:
  architecture: VGG16
  input_size: [48, 48]
speech_model: {architecture: cnn_lstm, n_mfcc: 40}
fusion_model: {strategy: weighted, weights: {facial: 0.6, speech: 0.4}}
training: {batch_size: 32, learning_rate: 1.0e-4, epochs: 50}
"""


def _settings(folder: Path) -> None:
    from emofuse.analyzer import AnalyzerConfig
    from emofuse.config.loader import to_mapping, to_yaml

    config = AnalyzerConfig()
    (folder / "all.yaml").write_text(to_yaml(config))
    (folder / "all.json").write_text(json.dumps(to_mapping(config), default=str))
    simple = {f.name: getattr(config, f.name) for f in fields(config)}
    numbers = {k: v for k, v in simple.items() if isinstance(v, int | float)}
    toml = "".join(f"{key} = {value!r}\n" for key, value in numbers.items())
    (folder / "few.toml").write_text(f'{toml}[face]\ndetector = "haar"\n[models]\nface = "a"\n')
    (folder / "few.yaml").write_text(
        "fps: 4\nface: &a\n  detector: haar\nmodels:\n  face: face-v4\n"
    )
    (folder / "old.yaml").write_text(_OLD)


def _cards(folder: Path) -> None:
    for path in sorted((ROOT / "src" / "emofuse" / "models" / "zoo").glob("*.toml"))[:12]:
        shutil.copy(path, folder)


def _tables(folder: Path) -> None:
    (folder / "batch.csv").write_text("file,transcript\na.mp4,a.srt\nb.wav,\nc.png,\n")
    entries = "id,file,speaker,split,label\n" + "".join(
        f"{n},{n}.wav,s{n % 3},{split},{label}\n"
        for n, (split, label) in enumerate([("train", "happy"), ("dev", "sad"), ("test", "angry")])
    )
    (folder / "manifest.csv").write_text(entries)
