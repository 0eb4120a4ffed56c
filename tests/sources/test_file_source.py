"""Every format that FileSource reads, the same laws, the same content."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.sources.derive import TALKING, counted, film, number_in, tone
from tests.sources.source_laws import check_laws, check_steady, end_of, notes, of, read

from emofuse.core.media import AudioChunk, Diagnostic, Frame, MediaKind, Track, Utterance, Watermark
from emofuse.core.time import NS, Span
from emofuse.errors import InputError
from emofuse.sources.file import FileSource, open_source

SECONDS = 3.0
ONSET = 1.0
TIMES = [i / 25 for i in range(75)]

VIDEO = {  # suffix: codecs, sound's rate
    "mp4": ("libx264", "aac", 44100),
    "mov": ("libx264", "aac", 48000),
    "mkv": ("libx264", "flac", 44100),
    "webm": ("libvpx", "libopus", 48000),
    "flv": ("flv", "libmp3lame", 44100),
    "avi": ("mjpeg", "pcm_s16le", 44100),
    "mpg": ("mpeg1video", "mp2", 44100),
}
AUDIO = {
    "wav": ("pcm_s16le", 16000),
    "mp3": ("libmp3lame", 44100),
    "flac": ("flac", 96000),
    "ogg": ("libopus", 48000),
    "opus": ("libopus", 48000),
    "m4a": ("aac", 32000),
}


def beep(rate: int) -> np.ndarray:
    """Silence for a second, then a tone."""
    sound = tone(SECONDS, rate)
    sound[:, : int(ONSET * rate)] = 0
    return sound


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    for suffix, (video, audio, rate) in VIDEO.items():
        film(folder / f"v.{suffix}", TIMES, beep(rate), rate=rate, video=video, audio=audio)
    film(folder / "v.gif", TIMES, video="gif", pix_fmt="rgb8")
    for suffix, (audio, rate) in AUDIO.items():
        film(folder / f"a.{suffix}", sound=beep(rate), rate=rate, audio=audio)
    return folder


def samples_of(packets: list) -> tuple[np.ndarray, int]:
    """All sound laid out by index, and its rate."""
    chunks = of(packets, AudioChunk)
    sound = np.zeros(chunks[-1].end, np.float32)
    for chunk in chunks:
        sound[chunk.first : chunk.end] = chunk.samples
    return sound, chunks[0].rate


@pytest.mark.parametrize("name", [*(f"v.{s}" for s in [*VIDEO, "gif"]), *(f"a.{s}" for s in AUDIO)])
def test_laws(media: Path, name: str) -> None:
    source = open_source(media / name)
    packets = read(source)
    check_laws(packets, source.info)
    check_steady(packets, source.info)
    assert end_of(packets) == pytest.approx(SECONDS, abs=0.07)
    assert source.info.name == name
    assert source.info.duration == pytest.approx(SECONDS, abs=0.07)
    assert set(notes(packets)) == ({"no-audio"} if name == "v.gif" else set())


@pytest.mark.parametrize("suffix", [*VIDEO, "gif"])
def test_pictures_stand_at_their_times(media: Path, suffix: str) -> None:
    source = open_source(media / f"v.{suffix}", fps=8)
    frames = of(read(source), Frame)
    assert source.info.kind is MediaKind.VIDEO
    assert (source.info.video.width, source.info.video.height) == (64, 48)
    assert len(frames) == 24
    offset = frames[0].at.start_ns  # flv and mpg delay the picture a little
    assert offset <= 0.03 * NS
    slip = 1 if suffix == "mpg" else 0  # it stores one time for several small pictures
    for frame in frames:
        shown = (frame.at.start_ns - offset) / NS * 25
        assert (round(shown) - number_in(frame.image) + slip) % 16 <= 2 * slip
    gaps = [two.at.start_ns - one.at.end_ns for one, two in pairwise(frames)]
    assert set(gaps) == {0}
    assert frames[-1].at.end == pytest.approx(SECONDS, abs=0.05)


@pytest.mark.parametrize("name", [*(f"v.{s}" for s in VIDEO), *(f"a.{s}" for s in AUDIO)])
def test_sound_stands_at_its_time(media: Path, name: str) -> None:
    suffix = name[2:]
    rate = VIDEO[suffix][2] if name[0] == "v" else AUDIO[suffix][1]
    source = open_source(media / name)
    sound, heard_rate = samples_of(read(source))
    assert heard_rate == source.info.audio.rate == rate
    assert sound.dtype == np.float32
    onset = int(np.argmax(np.abs(sound) > 0.1)) / rate
    assert onset == pytest.approx(ONSET, abs=0.03)  # codecs smear a little
    middle = sound[int(1.5 * rate) : int(2.5 * rate)]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(200, abs=1)


def test_first_picture_at_or_after_each_tick(media: Path) -> None:
    for fps in (1, 2.5, 8, 10, 25, 60):
        frames = of(read(FileSource(media / "v.mkv", fps=fps)), Frame)
        ticks = np.arange(0, TIMES[-1] + 1e-9, 1 / fps)
        due = sorted({min(t for t in TIMES if t + 1e-6 >= tick) for tick in ticks})
        starts = sorted({f.at.start_ns for f in frames})
        if fps >= 2:  # slower sampling repeats held pictures
            assert np.allclose(np.array(starts) / NS, due, atol=1e-3)


def test_skipping_changes_nothing() -> None:
    """Pictures that aren't needed are not decoded; those delivered are the same."""
    import av

    with av.open(str(TALKING)) as container:
        decoded = {f.pts: f for f in container.decode(video=0)}
        base = container.streams.video[0].time_base
    frames = of(read(FileSource(TALKING, fps=8)), Frame)
    assert len(frames) == 40
    for frame in frames:
        same = decoded[round(frame.at.start / base)].to_ndarray(format="rgb24")
        assert np.array_equal(frame.image, same)


def test_large_pictures_are_scaled_down() -> None:
    source = FileSource(TALKING, max_side=100)
    frames = of(read(source), Frame)
    assert {f.image.shape for f in frames} == {(75, 100, 3)}
    assert (source.info.video.width, source.info.video.height) == (320, 240)
    whole = of(read(FileSource(TALKING)), Frame)
    assert np.abs(frames[8].image.mean((0, 1)) - whole[8].image.mean((0, 1))).max() < 2


def test_embedded_subtitles() -> None:
    source = FileSource(TALKING)
    packets = read(source)
    said = of(packets, Utterance)
    assert [u.text for u in said] == ["I am so happy to see you!", "But now I feel very sad."]
    assert said[0].span.start == pytest.approx(0.4, abs=0.01)
    assert said[0].span.end == pytest.approx(1.72, abs=0.02)
    assert source.info.text == "subtitles"
    assert source.info.tracks == {Track.VIDEO, Track.AUDIO, Track.TEXT}
    check_laws(packets, source.info)


def test_given_transcript_replaces_subtitles() -> None:
    given = [Utterance(f"number {i}", Span.of_seconds(s, s + 0.5)) for i, s in ((2, 3.1), (1, 0.2))]
    source = FileSource(TALKING, utterances=given, transcript="words.srt")
    packets = read(source)
    assert [u.text for u in of(packets, Utterance)] == ["number 1", "number 2"]
    assert source.info.text == "words.srt"
    check_laws(packets, source.info)
    order = [type(p).__name__ for p in packets if isinstance(p, Frame | Utterance)]
    assert order.index("Utterance") > 0, "words wait for their time"


def test_transcript_longer_than_the_medium() -> None:
    given = [Utterance(str(s), Span.of_seconds(s, s + 1)) for s in (1, 4.9, 5.5, 60)]
    packets = read(FileSource(TALKING, utterances=given))
    assert [u.text for u in of(packets, Utterance)] == ["1", "4.9"]
    assert notes(packets)["transcript-too-long"].message.endswith(": 2")
    assert end_of(packets) < 5.1


def test_choice_of_tracks() -> None:
    source = FileSource(TALKING, tracks={Track.AUDIO})
    packets = read(source)
    assert source.info.kind is MediaKind.AUDIO
    assert source.info.tracks == {Track.AUDIO}
    assert not of(packets, Frame)
    assert not notes(packets)
    with pytest.raises(InputError, match="no video or audio"):
        FileSource(TALKING, tracks={Track.TEXT})


def test_reading_can_stop_anywhere() -> None:
    for count in (0, 1, 30, 200):
        source = FileSource(TALKING)
        packets = source.packets()
        taken = [next(packets) for _ in range(count)]
        source.close()
        assert len(taken) == count
        packets.close()
        source.close()


def test_twice_the_same() -> None:
    one, two = read(FileSource(TALKING)), read(FileSource(TALKING))
    assert [type(p) for p in one] == [type(p) for p in two]
    for a, b in zip(of(one, Frame), of(two, Frame), strict=True):
        assert a.at == b.at
        assert np.array_equal(a.image, b.image)
    assert np.array_equal(samples_of(one)[0], samples_of(two)[0])


@pytest.mark.parametrize(("fps", "max_side"), [(0, 100), (-1, 100), (float("nan"), 100), (8, 0)])
def test_senseless_settings(fps: float, max_side: int) -> None:
    with pytest.raises(InputError, match="need fps"):
        FileSource(TALKING, fps=fps, max_side=max_side)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system doesn't tell memory")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Half an hour of small pictures and sound: as much memory at the end as near the start."""
    short = film(
        tmp_path / "short.mkv",
        [i / 5 for i in range(50)],
        tone(10, 8000),
        rate=8000,
        audio="pcm_s16le",
        video="mpeg4",
        fps=5,
    )
    source = FileSource(repeat(short, tmp_path / "long.mkv", 180, 10.0), fps=8)
    sizes, images = {}, 0
    for packet in source.packets():
        images += isinstance(packet, Frame)
        if isinstance(packet, Watermark):
            sizes.setdefault(packet.upto_ns // (180 * NS), rss())
    source.close()
    assert images == 9000
    assert end_of([packet]) == pytest.approx(1800, abs=1)
    assert sizes[9] - sizes[1] < 3_000_000


def rss() -> int:
    """Bytes of memory in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def repeat(source: Path, target: Path, times: int, seconds: float) -> Path:
    """Copy a file's packets again and again."""
    import av

    with av.open(str(source)) as file, av.open(str(target), "w") as out:
        into = {s.index: out.add_stream_from_template(s) for s in file.streams}
        stored = [(p.stream.index, bytes(p), p.pts, p.dts, p.duration, p.time_base, p.is_keyframe)
                  for p in file.demux() if p.size]  # fmt: skip
        for turn in range(times):
            for index, data, pts, dts, duration, base, key in stored:
                packet, shift = av.Packet(data), round(turn * seconds / base)
                packet.stream, packet.time_base = into[index], base
                packet.pts, packet.dts = pts + shift, (dts if dts is not None else pts) + shift
                packet.duration, packet.is_keyframe = duration, key
                out.mux(packet)
    return target


def test_counted_pictures_can_be_read() -> None:
    """The helper itself: numbers survive."""
    assert [number_in(counted(i)) for i in range(16)] == list(range(16))


def test_a_device_that_is_not_there_leaves_decoding_to_the_processor(media: Path) -> None:
    """Whether there is one or not, what is seen is the same."""
    from av.codec.hwaccel import hwdevices_available

    known = hwdevices_available()
    if not known:
        pytest.skip("this FFmpeg knows no devices")
    usual = list(FileSource(media / "v.mp4").packets())
    source = FileSource(media / "v.mp4", hwaccel=known[0])
    found = list(source.packets())
    frames = [[x.at for x in items if isinstance(x, Frame)] for items in (usual, found)]
    assert frames[0] == frames[1]
    codes = [x.code for x in found if isinstance(x, Diagnostic)]
    used = source.info.video is not None and "decoded-in-software" not in codes
    assert used or codes.count("decoded-in-software") == 1
    with pytest.raises(InputError, match="no device decodes video as 'abacus' here; expected one"):
        FileSource(media / "v.mp4", hwaccel="abacus")
