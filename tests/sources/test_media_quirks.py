"""What real files do: rotation, odd clocks, missing tracks, damage, strange names."""

from __future__ import annotations

import os
import random
import re
import shutil
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from tests.sources.derive import SPEECH, TALKING, film, number_in, sound_frames, tone, truncate
from tests.sources.source_laws import check_laws, end_of, notes, of, read, span_of

from emofuse.core.media import AudioChunk, Frame, MediaKind, Track, Utterance, Watermark
from emofuse.core.time import NS
from emofuse.errors import InputError
from emofuse.sources.file import FileSource, open_source

# --- pictures ---------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_metadata(tmp_path: Path, degrees: int) -> None:
    """A phone stores the picture lying down and says how to turn it; we see it upright."""
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[:24] = 220  # a bright sky on top
    upright[:, :16, 0] = 220  # and a red edge on the left
    stored = np.rot90(upright, -degrees // 90)  # to be turned counter-clockwise when shown
    path = film(tmp_path / "phone.mp4", [0, 0.5], images=[stored] * 2, rotation=degrees)
    source = FileSource(path)
    frames = of(read(source), Frame)
    assert source.info.video.rotation == degrees
    assert (source.info.video.width, source.info.video.height) == (64, 96)
    for frame in frames:
        assert frame.image.shape == (96, 64, 3)
        assert frame.image.flags.c_contiguous
        assert frame.image[4:20].mean() > 180
        assert frame.image[40:, 2:14, 0].mean() > 150
        assert frame.image[40:, 32:].mean() < 60


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        out.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        out.mux(stream.encode(None))
    source = FileSource(path)
    frames = of(read(source), Frame)
    assert (source.info.video.width, source.info.video.height) == (128, 48)
    assert frames[0].image.shape == (48, 128, 3)


def test_variable_frame_rate(tmp_path: Path) -> None:
    """Spans follow the pictures' own times; a picture that stays is repeated each second."""
    times = [0, 0.04, 0.08, 0.5, 0.55, 3.2, 3.24, 3.28, 4.0]
    path = film(tmp_path / "vfr.mkv", times, tone(4.1, 16000), audio="flac")
    source = FileSource(path, fps=8)
    packets = read(source)
    check_laws(packets, source.info)
    frames = of(packets, Frame)
    seen = [(round(f.at.start, 3), number_in(f.image)) for f in frames]
    assert seen == [(0, 0), (0.5, 3), (1.5, 3), (2.5, 3), (3.2, 5), (3.28, 7), (4.0, 8)]
    for one, two in pairwise(frames):
        assert one.at.end_ns == two.at.start_ns
    assert max(f.at.duration for f in frames) <= 1.0


def test_slides_are_not_lost(tmp_path: Path) -> None:
    """One picture in eight seconds, reordered by the codec: far behind the sound, never lost."""
    times = [8.0 * i for i in range(6)]
    options = {"preset": "ultrafast", "bf": "2", "crf": "18"}
    path = film(tmp_path / "slides.mp4", times, tone(48, 8000), rate=8000, fps=1, options=options)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    frames = of(packets, Frame)
    for one, two in pairwise(frames):
        assert one.at.end_ns == two.at.start_ns
    for frame in frames:
        assert number_in(frame.image) == int(frame.at.start / 8 + 1e-6)
    assert {number_in(f.image) for f in frames} == set(range(6))


def test_video_that_starts_late(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mkv", [1 + i / 25 for i in range(25)], tone(2, 16000), audio="flac")
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert of(packets, Frame)[0].at.start == pytest.approx(1.0, abs=0.002)
    assert of(packets, AudioChunk)[0].first == 0


def test_video_that_ends_early(tmp_path: Path) -> None:
    """A podcast with a short opening: nobody waits for pictures that won't come."""
    path = film(tmp_path / "v.mp4", [i / 25 for i in range(50)], tone(12, 8000), rate=8000)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert of(packets, Frame)[-1].at.end == pytest.approx(2.0, abs=0.05)
    assert lag(packets, Track.VIDEO, Track.AUDIO) < 4


def lag(packets: list, behind: Track, ahead: Track) -> float:
    """By how many seconds the progress of one track fell behind another's at most."""
    upto, worst = {behind: 0, ahead: 0}, 0
    for packet in packets:
        if isinstance(packet, Watermark):
            upto[packet.track] = packet.upto_ns
            if packet.upto_ns < end_of(packets) * NS:
                worst = max(worst, upto[ahead] - upto[behind])
    return worst / NS


# --- sound ------------------------------------------------------------------


def test_sound_that_starts_late(tmp_path: Path) -> None:
    times = [i / 25 for i in range(100)]
    path = film(tmp_path / "v.mkv", times, tone(2, 16000), late=1.5, audio="flac")
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert of(packets, AudioChunk)[0].first == pytest.approx(24000, abs=16)
    assert source.info.audio.start_ns == pytest.approx(1.5 * NS, abs=2e6)


def test_sound_that_ends_early(tmp_path: Path) -> None:
    times = [i / 25 for i in range(250)]
    path = film(tmp_path / "v.mp4", times, tone(1, 16000))
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert of(packets, AudioChunk)[-1].end / 16000 == pytest.approx(1, abs=0.1)
    assert lag(packets, Track.AUDIO, Track.VIDEO) < 4
    assert not notes(packets)


def test_no_sound(tmp_path: Path) -> None:
    source = FileSource(film(tmp_path / "silent.mp4", [0, 0.2, 0.4]))
    packets = read(source)
    check_laws(packets, source.info)
    assert source.info.tracks == {Track.VIDEO}
    assert "no-audio" in notes(packets)


def test_no_pictures() -> None:
    source = FileSource(SPEECH)
    packets = read(source)
    check_laws(packets, source.info)
    assert source.info.kind is MediaKind.AUDIO
    assert source.info.tracks == {Track.AUDIO}
    assert not of(packets, Frame)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "channels"),
    [
        ("a.wav", "pcm_u8", 8000, "mono", 1),
        ("a.wav", "pcm_s24le", 48000, "stereo", 2),
        ("a.wav", "pcm_f32le", 22050, "stereo", 2),
        ("a.flac", "flac", 48000, "5.1", 6),
        ("a.m4a", "aac", 48000, "5.1", 6),
        ("a.mka", "ac3", 48000, "5.1(side)", 6),
        ("a.flac", "flac", 192000, "mono", 1),
    ],
)
def test_depths_rates_and_layouts(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str, channels: int
) -> None:
    """Sound comes out mono at its own rate, never louder than it went in."""
    sound = np.repeat(tone(1.0, rate), channels, axis=0)
    path = film(tmp_path / name, sound=sound, rate=rate, layout=layout, audio=codec)
    source = FileSource(path)
    chunks = of(read(source), AudioChunk)
    assert source.info.audio.rate == chunks[0].rate == rate
    assert source.info.audio.channels == channels
    samples = np.concatenate([c.samples for c in chunks])[rate // 4 : rate * 3 // 4]
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


def test_surround_keeps_the_middle_and_drops_the_bass(tmp_path: Path) -> None:
    """Dialogue is in the centre channel; effects below 120 Hz are not speech."""
    sound = tone(1.0, 48000, 6)  # FL FR FC LFE BL BR at 200, 400 … 1200 Hz
    path = film(tmp_path / "a.flac", sound=sound, rate=48000, layout="5.1", audio="flac")
    samples = np.concatenate([c.samples for c in of(read(FileSource(path)), AudioChunk)])
    level = np.abs(np.fft.rfft(samples[:48000]))[[200, 400, 600, 800, 1000, 1200]] / 24000
    weights = np.array([0.7071, 0.7071, 1, 0, 0.5, 0.5])
    assert np.allclose(level, 0.5 * weights / weights.sum(), atol=0.002)


def write_gapped(path: Path, starts: list[float]) -> Path:
    """Write packets of half a second (0.1, 0.2 … loud) whose timestamps are as told."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        for number, start in enumerate(starts, 1):
            piece = np.full((1, 8000), 3277 * (number % 10), np.int16)
            frame = av.AudioFrame.from_ndarray(piece, "s16", "mono")
            frame.sample_rate, frame.time_base = 16000, Fraction(1, 16000)
            frame.pts = round(start * 16000)
            out.mux(stream.encode(frame))
    return path


@pytest.mark.parametrize("channels", [8, 11, 16])
def test_many_channels_are_mixed(tmp_path: Path, channels: int) -> None:
    """Eight channels and more, as recorders and 7.1 films have them, are read like two."""
    path = tmp_path / "many.wav"
    rate, sound = 16000, tone(0.5, 16000)[0]
    data = (np.repeat(sound[:, None], channels, axis=1) * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(data)
    source = FileSource(path)
    heard = np.concatenate([chunk.samples for chunk in of(read(source), AudioChunk)])
    assert source.info.audio.channels == channels
    assert np.allclose(heard, sound, atol=1e-3)


def test_no_sampling_rate(tmp_path: Path) -> None:
    """Damaged headers that declare 0 Hz are refused in words."""
    path = film(tmp_path / "zero.aac", sound=tone(0.5, 16000))
    data = path.read_bytes()
    path.write_bytes(re.sub(rb"\xff\xf1.", b"\xff\xf1\x7c", data, flags=re.DOTALL))
    with pytest.raises(InputError, match="no video or audio to read"):
        FileSource(path)


def test_gap_in_the_sound(tmp_path: Path) -> None:
    path = write_gapped(tmp_path / "gap.mka", [0, 2.0])
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    chunks = of(packets, AudioChunk)
    loud = {round(float(c.samples[0]), 1): c.first for c in reversed(chunks)}
    assert loud[0.1] == 0
    assert loud[0.2] == pytest.approx(32000, abs=16)


def test_jitter_of_timestamps_makes_no_gap(tmp_path: Path) -> None:
    """Matroska counts in milliseconds; real muxers are off by some more."""
    rng = random.Random(1)
    starts = [0.5 * i + rng.uniform(-0.02, 0.02) * (i > 0) for i in range(12)]
    chunks = of(read(FileSource(write_gapped(tmp_path / "jitter.mka", starts))), AudioChunk)
    assert all(one.end == two.first for one, two in pairwise(chunks))
    assert chunks[-1].end == 12 * 8000


def test_sound_that_repeats_itself(tmp_path: Path) -> None:
    """Pieces that overlap: time never runs backwards, and no moment is heard twice."""
    path = write_gapped(tmp_path / "overlap.mka", [0, 0.3, 0.8])
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    chunks = of(packets, AudioChunk)
    assert chunks[-1].end == pytest.approx(1.3 * 16000, abs=32)
    heard = np.concatenate([c.samples for c in chunks])
    assert heard[int(0.45 * 16000)] == pytest.approx(0.1, abs=0.01)
    assert heard[int(0.6 * 16000)] == pytest.approx(0.2, abs=0.01)


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libmp3lame", rate=44100, layout="mono")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        out.mux(cover.encode(None))
        for frame in sound_frames(stream, tone(1, 44100), 44100, "mono", 0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as check:
        assert [s.type for s in check.streams] == ["audio", "video"]
    source = FileSource(path)
    assert source.info.kind is MediaKind.AUDIO
    assert not of(read(source), Frame)


# --- subtitles --------------------------------------------------------------


HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name\r\n"
    b"Style: Default\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Text\r\n"
)


def write_cues(path: Path, codec: str, cues: list[tuple[float, float, str]]) -> Path:
    """Write a little sound with a subtitle track of raw packets."""
    with av.open(str(path), "w") as out:
        sound = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        text = out.add_stream(codec)
        text.codec_context.time_base = text.time_base = Fraction(1, 1000)
        text.codec_context.subtitle_header = HEADER
        frames = [(f.time, f) for f in sound_frames(sound, tone(6, 8000), 8000, "mono", 0)]
        work = sorted([*frames, *((c[0], c) for c in cues)], key=lambda item: item[0])
        for time, item in work:
            if isinstance(item, av.AudioFrame):
                out.mux(sound.encode(item))
                continue
            packet = av.Packet(item[2].encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = round(time * 1000)
            packet.duration = round((item[1] - item[0]) * 1000)
            out.mux(packet)
    return path


@pytest.mark.parametrize(
    ("codec", "first", "second"),
    [
        ("subrip", "<i>I am <b>so</b></i> happy,\nreally!", '<font color="red">Ouch.</font>'),
        ("ass", r"0,0,Default,Ann,0,0,0,,{\i1}I am {\b1}so{\b0} happy,\Nreally!",
         r"1,0,Default,,0,0,0,,{\pos(1,2)}Ouch."),
    ],
)  # fmt: skip
def test_subtitles_lose_their_markup(tmp_path: Path, codec: str, first: str, second: str) -> None:
    cues = [(0.5, 2.0, first), (3.0, 3.5, second)]
    source = FileSource(write_cues(tmp_path / "cues.mkv", codec, cues))
    packets = read(source)
    check_laws(packets, source.info)
    said = of(packets, Utterance)
    assert [u.text for u in said] == ["I am so happy, really!", "Ouch."]
    assert [(u.span.start, u.span.end) for u in said] == [(0.5, 2.0), (3.0, 3.5)]


def test_words_come_in_time_with_the_sound(tmp_path: Path) -> None:
    cues = [(0.5 + i, 1.0 + i, f"cue {i}") for i in range(5)]
    packets = read(FileSource(write_cues(tmp_path / "cues.mkv", "subrip", cues)))
    heard = 0
    for packet in packets:
        if isinstance(packet, AudioChunk):
            heard = packet.span.end_ns
        if isinstance(packet, Utterance):
            assert abs(packet.span.start_ns - heard) < NS


# --- damage -----------------------------------------------------------------


def variant(tmp_path: Path, suffix: str) -> Path:
    """A 6 s file of a format, complete."""
    times = [i / 25 for i in range(150)]
    path = tmp_path / f"whole.{suffix}"
    if suffix in ("wav", "flac", "mp3"):
        codec = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame"}[suffix]
        return film(path, sound=tone(6, 44100), rate=44100, audio=codec)
    codec = {"flv": "flv", "webm": "libvpx", "mpg": "mpeg1video"}.get(suffix, "libx264")
    audio = {"flv": "libmp3lame", "webm": "libopus", "mpg": "mp2"}.get(suffix, "aac")
    container = {"movflags": "+faststart"} if suffix in ("mp4", "mov") else None
    rate = 48000 if suffix == "webm" else 44100
    return film(path, times, tone(6, rate), rate=rate, video=codec, audio=audio,
                container=container)  # fmt: skip


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "flv", "wav", "flac", "mp3"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = truncate(variant(tmp_path, suffix), tmp_path / f"cut.{suffix}", 0.5)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    note = notes(packets)["truncated"]
    assert 2 < end_of(packets) < 4.5
    assert note.at_ns == round(end_of(packets) * NS)
    assert f"stopped at 0:0{end_of(packets):.1f}" in note.message
    assert ("missing" if suffix == "wav" else "of 0:06.0") in note.message
    assert "damaged" not in notes(packets)


def test_truncated_before_its_index(tmp_path: Path) -> None:
    """An mp4 that was never finished holds no index: nothing can be read."""
    whole = film(tmp_path / "v.mp4", [i / 25 for i in range(50)], container={"movflags": "0"})
    with pytest.raises(InputError, match="incomplete"):
        FileSource(truncate(whole, tmp_path / "cut.mp4", 0.5))


def test_a_damaged_stretch_is_skipped_and_told(tmp_path: Path) -> None:
    path = variant(tmp_path, "mkv")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert end_of(packets) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mpg", "mp3", "wav"])
def test_random_damage_never_crashes(tmp_path: Path, suffix: str) -> None:
    """Whatever bytes are broken: the laws hold for what is read, or there is a clear error."""
    whole = variant(tmp_path, suffix).read_bytes()
    readable = 0
    for seed in range(8):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.choice([1, 20, 400])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"broken{seed}.{suffix}"
        path.write_bytes(data)
        try:
            source = FileSource(path)
            packets = read(source)
        except InputError:
            continue
        check_laws(packets, source.info)
        readable += 1
    assert readable > 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "empty"),
        ("noise.mp4", bytes(random.Random(1).randrange(256) for _ in range(5000)), "as media"),
        ("words.mp4", b"Just some words in a text file.\n" * 50, "as media"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n", "cannot"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n", "cannot"),
        ("page.html", b"<html><body>hello</body></html>", "as media"),
    ],
)
def test_what_is_not_media(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_source(path)
    assert str(path) in str(caught.value)


def test_only_subtitles(tmp_path: Path) -> None:
    path = tmp_path / "words.mkv"
    with av.open(str(path), "w") as out:
        text = out.add_stream("subrip")
        text.codec_context.time_base = Fraction(1, 1000)
        text.codec_context.subtitle_header = HEADER
        packet = av.Packet(b"hello")
        packet.stream, packet.time_base, packet.pts, packet.dts = text, Fraction(1, 1000), 0, 0
        out.mux(packet)
    with pytest.raises(InputError, match="it holds: subtitle"):
        FileSource(path)


# --- names ------------------------------------------------------------------


def test_missing_path_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        open_source(tmp_path / "nothing.mp4")
    with pytest.raises(InputError, match="folder"):
        open_source(tmp_path)
    with pytest.raises(InputError):
        open_source("bad\0name.mp4")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe"):
        open_source(pipe)


@pytest.mark.parametrize(
    "name",
    [
        "Überraschung – 笑顔 😀.mp4",
        "a:b.mp4",
        "-i.mp4",
        "50 % %03d [x] 'q' #1?.mp4",
        "x" * 240 + ".mp4",
        os.fsdecode(b"latin-\xe9.mp4"),
    ],
)
def test_strange_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(TALKING, path)
    source = open_source(path)
    assert len(of(read(source), Frame)) == 40
    assert source.info.name == name


def test_very_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path
    while len(str(folder)) < 2000:
        folder /= "long " * 30
    folder.mkdir(parents=True)
    path = folder / "clip.mp4"
    shutil.copy(TALKING, path)
    assert len(of(read(open_source(path)), Frame)) == 40
    monkeypatch.chdir(folder)
    assert len(of(read(open_source("clip.mp4")), Frame)) == 40


def test_user_media_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(TALKING, path)
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    read(open_source(path))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4"]


def test_every_sound_packet_has_its_span() -> None:
    """The index is exact: spans follow from it without drift."""
    chunks = of(read(FileSource(TALKING)), AudioChunk)
    for one, two in pairwise(chunks):
        assert span_of(one)[1] == span_of(two)[0]
