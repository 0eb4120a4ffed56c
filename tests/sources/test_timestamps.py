"""Timestamps that start anew, jump, or are damaged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from tests.sources.derive import SPEECH, film, number_in, tone
from tests.sources.source_laws import check_laws, notes, of, read

from emofuse.core.media import AudioChunk, Frame
from emofuse.core.time import NS
from emofuse.sources.file import FileSource

TIMES = [i / 25 for i in range(50)]


def codecs(container: str) -> dict[str, Any]:
    return {
        "mpg": {"video": "mpeg1video", "audio": "mp2"},
        "ts": {"audio": "mp2"},
        "mkv": {"audio": "flac"},
    }[container]


def part(path: Path) -> Path:
    return film(path, TIMES, tone(2, 16000), **codecs(path.suffix[1:]))


def rewritten(source: Path, target: Path, change: Callable[[Any, int], None]) -> Path:
    """Copy a film's packets; `change` gets each and its number within its track."""
    counts: dict[int, int] = {}
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if not packet.size:
                continue
            index = packet.stream.index
            counts[index] = counts.get(index, -1) + 1
            change(packet, counts[index])
            packet.stream = streams[index]
            out.mux(packet)
    return target


@pytest.mark.parametrize("container", ["mpg", "ts", "mkv"])
def test_joined_films(tmp_path: Path, container: str) -> None:
    """`cat one two > both`: the second part's clock starts anew."""
    one = part(tmp_path / f"one.{container}")
    both = tmp_path / f"both.{container}"
    both.write_bytes(one.read_bytes() * 2)
    source = FileSource(both)
    packets = read(source)
    check_laws(packets, source.info)
    assert "time-jump" in notes(packets)
    frames, sound = of(packets, Frame), of(packets, AudioChunk)
    assert frames[-1].at.end == pytest.approx(4.0, abs=0.3)
    assert sound[-1].end / sound[-1].rate == pytest.approx(4.0, abs=0.4)
    seen = [number_in(frame.image) for frame in frames]
    assert sum(number < 3 for number in seen[len(seen) // 2 - 2 :]) > 0  # its beginning is seen


def test_joined_sound(tmp_path: Path) -> None:
    both = tmp_path / "both.ogg"
    both.write_bytes(SPEECH.read_bytes() * 2)
    alone, source = FileSource(SPEECH), FileSource(both)
    packets = read(source)
    check_laws(packets, source.info)
    once = of(read(alone), AudioChunk)[-1].end
    assert of(packets, AudioChunk)[-1].end == pytest.approx(2 * once, rel=0.02)


def test_one_damaged_time(tmp_path: Path) -> None:
    """A frame that claims to be shown in seven hours is put where it belongs."""

    def damage(packet: Any, number: int) -> None:
        if packet.stream.type == "video" and number == 20:
            packet.pts = round(7 * 3600 / packet.time_base)

    path = rewritten(part(tmp_path / "one.ts"), tmp_path / "damaged.ts", damage)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert "time-damaged" in notes(packets)
    assert of(packets, Frame)[-1].at.end == pytest.approx(2.0, abs=0.3)
    assert len(of(packets, Frame)) < 30


def test_a_frame_of_a_day(tmp_path: Path) -> None:
    """All that follows it lies a day later by the file's clock, and is not."""

    def damage(packet: Any, number: int) -> None:
        if number >= 20 and packet.stream.type == "video":
            packet.pts += round(86400 / packet.time_base)
            packet.dts += round(86400 / packet.time_base)

    path = rewritten(part(tmp_path / "one.mkv"), tmp_path / "damaged.mkv", damage)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert {"time-jump"} <= set(notes(packets))
    assert of(packets, Frame)[-1].at.end == pytest.approx(2.0, abs=0.3)


def test_a_long_slide_is_no_damage(tmp_path: Path) -> None:
    """Sound goes on for eleven minutes while one picture stands."""
    sound = {"sound": tone(660, 4000), "rate": 4000, "audio": "pcm_s16le"}
    path = film(tmp_path / "talk.mkv", [0, 650], video="mpeg4", fps=1, **sound)
    source = FileSource(path)
    packets = read(source)
    assert "time-jump" not in notes(packets)
    assert of(packets, Frame)[-1].at.start == pytest.approx(650, abs=1)


def test_a_gap_of_everything_is_kept(tmp_path: Path) -> None:
    """A camera that was off for five minutes says so by its clock."""

    def pause(packet: Any, number: int) -> None:
        if packet.pts * packet.time_base >= 1:
            packet.pts += round(300 / packet.time_base)
            packet.dts += round(300 / packet.time_base)

    path = rewritten(part(tmp_path / "one.mkv"), tmp_path / "paused.mkv", pause)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert "time-jump" not in notes(packets)
    assert of(packets, Frame)[-1].at.end == pytest.approx(302, abs=0.3)
    frames = of(packets, Frame)
    assert all(one.at.end_ns <= two.at.start_ns for one, two in pairwise(frames))
    assert max(frame.at.duration for frame in frames) <= 1 + 1e-6
    assert frames[-1].at.end_ns < 303 * NS


def test_time_goes_no_further_than_bytes_can_fill(tmp_path: Path) -> None:
    """A damaged header: every sample claims to last for eight seconds, the second for a day."""
    path = film(tmp_path / "one.caf", sound=tone(1, 16000), audio="pcm_s16be")
    data = bytearray(path.read_bytes())
    data[40:44] = (131073).to_bytes(4, "big")  # frames in a packet
    path.write_bytes(data)
    source = FileSource(path)
    packets = read(source)
    check_laws(packets, source.info)
    assert "time-jump" in notes(packets)
    sound = of(packets, AudioChunk)
    assert sum(len(chunk.samples) for chunk in sound) == 16000
    assert sound[-1].end / 16000 < 600 + 0.1 * path.stat().st_size
