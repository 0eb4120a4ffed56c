"""A live session: the same timeline as a file's, and nobody waits for anybody."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.streaming.patient import PATIENT

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality
from emofuse.core.media import AudioChunk, Diagnostic, Frame, MediaInfo, Packet, Track, Watermark
from emofuse.core.time import NS, Span
from emofuse.streaming import (
    LiveConfig,
    LiveSession,
    Measurement,
    MeasurementKind,
    live_config,
    live_info,
)
from emofuse.streaming.worker import END, Inbox
from emofuse.text.transcribe import TranscribeConfig

SILENT = TranscribeConfig(engine="none")
LONG = 60.0  # seconds after which a test gives up


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(live_config(AnalyzerConfig(transcribe=SILENT)))


@pytest.fixture(scope="module")
def clip(media: Path) -> tuple[MediaInfo, list[Packet]]:
    """Two and a half seconds of somebody who talks."""
    from emofuse.sources.file import FileSource

    tracks = {Track.VIDEO, Track.AUDIO}
    with closing(FileSource(media / "talking.mp4", fps=12, tracks=tracks)) as source:
        packets, info = list(source.packets()), source.info
    return info, [p for p in packets if not isinstance(p, Diagnostic) and _start(p) < 2.5 * NS]


def _start(packet: Packet) -> int:
    if isinstance(packet, Frame):
        return packet.at.start_ns
    return packet.span.start_ns if isinstance(packet, AudioChunk) else packet.upto_ns  # type: ignore[union-attr]


class Gate:
    """A recogniser that answers once it is let; or breaks."""

    def __init__(self, inner: Any, opened: threading.Event, error: Exception | None = None) -> None:
        self._inner, self._opened, self._error = inner, opened, error
        self.busy = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def infer(self, batch: Sequence[Any]) -> Any:
        self.busy.set()
        if self._error is not None:
            raise self._error
        assert self._opened.wait(LONG)
        return self._inner.infer(batch)


class Scribe:
    """A speech recogniser that writes nothing, once it is let."""

    name = "scribe"

    def __init__(self, opened: threading.Event) -> None:
        self._opened, self.busy = opened, threading.Event()

    def transcribe(self, samples: Any, start: int) -> list:
        self.busy.set()
        assert self._opened.wait(LONG)
        return []


def gated(
    shared: Analyzer, modality: Modality, opened: threading.Event, error: Exception | None = None
) -> tuple[Analyzer, Gate]:
    """Return an analyzer that shares models, but for one that has a gate."""
    analyzer = Analyzer(shared.config)
    for m in (Modality.FACE, Modality.SPEECH):
        analyzer._recognisers[m] = shared._recogniser(m)
    gate = Gate(shared._recogniser(modality), opened, error)
    analyzer._recognisers[modality] = gate  # type: ignore[assignment]
    return analyzer, gate


def until(session: LiveSession, done: Callable[[Any], bool]) -> list:
    """Collect events up to the first that is `done`; fail if it does not come."""
    events = []
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        for event in session.poll(timeout=1.0):
            events.append(event)
            if done(event):
                return events
        if session.ended:
            break
    raise AssertionError(f"it never came; {len(events)} events: {session.errors}")


def reached(modality: Modality, upto_ns: int) -> Callable[[Any], bool]:
    return lambda e: isinstance(e, Watermark) and e.track is modality and e.upto_ns >= upto_ns


def measured(events: Sequence[Any], kind: MeasurementKind) -> Iterator[Estimate]:
    return (e.estimate for e in events if isinstance(e, Measurement) and e.kind is kind)


def table(estimates: Iterator[Estimate]) -> dict:
    return {
        (e.subject, e.span, e.modality): np.append(e.probabilities.values, e.quality)
        for e in estimates
    }


def test_without_drops_the_timeline_is_that_of_the_file(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    whole = analyzer.run(packets, analyzer.pipeline(info))
    expected = table(e for e in whole if isinstance(e, Estimate))
    with LiveSession(analyzer, info, PATIENT) as session:
        for packet in packets:
            session.push(packet)
        session.finish()
        events = list(session)
        counters = session.counters()
    assert (counters.dropped_frames, counters.dropped_sound_seconds, counters.late) == (0, 0.0, 0)
    live = table(measured(events, MeasurementKind.TIMELINE))
    assert {m for _, _, m in live} == {Modality.FACE, Modality.SPEECH, Modality.FUSED}
    assert live.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(live[key], values, atol=1e-5, err_msg=str(key))


@pytest.fixture(scope="module")
def looks(analyzer: Analyzer) -> Analyzer:
    """Looks at faces alone, with the models that are loaded."""
    return analyzer.sharing(replace(analyzer.config, modalities=(Modality.FACE,)))


def shown_at(clip: tuple[MediaInfo, list[Packet]], seconds: Sequence[float]) -> list[Frame]:
    """Return the clip's pictures, there and back again, as if they came at these times."""
    pictures = [p.image for p in clip[1] if isinstance(p, Frame)]
    film = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    starts = [round(s * NS) for s in seconds]
    return [Frame(image, Span(at, at + NS // 25)) for image, at in zip(film, starts, strict=False)]


def answers(session: LiveSession, frames: Sequence[Frame]) -> list[list[Estimate]]:
    """Push pictures one by one, each after the one before was answered; return the answers."""
    found = []
    for frame in frames:
        session.push(frame)
        events = until(session, reached(Modality.FACE, frame.at.end_ns))
        found.append(list(measured(events, MeasurementKind.FRAME)))
    return found


def test_every_picture_is_answered_also_when_none_follows(
    looks: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    """Twelve pictures, a pause, two more; then a face that goes, and one that comes."""
    times = [n / 12 for n in range(12)] + [1.9, 1.983, 3.9, 4.9]
    frames = shown_at(clip, times)
    frames[-2] = Frame(np.zeros_like(frames[-2].image), frames[-2].at)
    with LiveSession(looks, live_info(audio=False), PATIENT) as session:
        faces = answers(session, frames)
    assert [len(f) for f in faces[2:-2]] == [1] * 12
    assert [len(f) for f in faces[-2:]] == [0, 0]
    assert {e.subject.number for found in faces for e in found} == {1}


@pytest.mark.parametrize("fps", [1.3, 2, 5])
def test_a_still_face_keeps_its_number_however_slowly_pictures_come(
    looks: Analyzer, clip: tuple[MediaInfo, list[Packet]], fps: float
) -> None:
    rng = np.random.default_rng(3)
    gaps = np.minimum(rng.gamma(4, 1 / fps / 4, round(20 * fps)), 1.0)  # drops, and jitter
    frames = shown_at(clip, np.cumsum(gaps).tolist())
    with LiveSession(looks, live_info(audio=False), PATIENT) as session:
        faces = answers(session, frames)
    assert {e.subject.number for found in faces for e in found} == {1}
    assert [len(found) for found in faces[1:]] == [1] * (len(frames) - 1)


@pytest.mark.parametrize("slow", [Modality.SPEECH, Modality.TEXT])
def test_faces_do_not_wait_for_a_slow_voice_or_words(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]], slow: Modality
) -> None:
    info, packets = clip
    opened = threading.Event()
    if slow is Modality.SPEECH:
        mine, gate = gated(analyzer, slow, opened)
    else:
        mine, _ = gated(analyzer, Modality.FACE, opened := threading.Event())
        mine._recognisers[Modality.FACE] = analyzer._recogniser(Modality.FACE)
        gate = mine._shared["transcriber"] = Scribe(opened)
        mine._shared["transcriber_name"] = gate.name
    with LiveSession(mine, info, PATIENT) as session:
        for packet in packets:
            session.push(packet)
        end = max(p.at.end_ns for p in packets if isinstance(p, Frame))
        events = until(session, reached(Modality.FACE, end))
        session.finish()
        assert gate.busy.wait(LONG)
        assert not opened.is_set()
        faces = list(measured(events, MeasurementKind.FRAME))
        assert len(faces) > 15
        assert not [e for e in measured(events, MeasurementKind.TIMELINE) if e.modality is slow]
        opened.set()
        rest = list(session)
    fused = [e for e in measured(rest, MeasurementKind.TIMELINE) if e.modality is Modality.FUSED]
    assert fused


def test_words_rest_when_they_are_told_to(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    opened = threading.Event()
    opened.set()
    mine = Analyzer(analyzer.config)
    for m in (Modality.FACE, Modality.SPEECH):
        mine._recognisers[m] = analyzer._recogniser(m)
    scribe = mine._shared["transcriber"] = Scribe(opened)
    mine._shared["transcriber_name"] = scribe.name
    half = [p for p in packets if _start(p) < 1.5 * NS]
    heard = max(p.span.end_ns for p in half if isinstance(p, AudioChunk))
    with LiveSession(mine, info, PATIENT) as session:
        session.pause(Modality.TEXT, True)
        for packet in half:
            session.push(packet)
        events = until(session, reached(Modality.TEXT, heard - NS))
        assert not scribe.busy.is_set()
        session.pause(Modality.TEXT, False)
        session.pause(Modality.TEXT, False)  # said once
        for packet in packets[len(half) :]:
            session.push(packet)
        session.finish()
        events += list(session)
    assert scribe.busy.is_set()
    told = [e.code for e in events if isinstance(e, Diagnostic)]
    assert [code for code in told if code.startswith("text-")] == ["text-paused", "text-resumed"]
    fused = [e for e in measured(events, MeasurementKind.TIMELINE) if e.modality is Modality.FUSED]
    assert fused


def test_the_newest_picture_wins_and_drops_are_counted(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    frames = [p for p in packets if isinstance(p, Frame)]
    opened = threading.Event()
    mine, gate = gated(analyzer, Modality.FACE, opened)
    with LiveSession(mine, info, LiveConfig(patience_seconds=None)) as session:
        pushed = 0
        while not gate.busy.is_set():  # until the branch is stuck with a face
            session.push(frames[pushed])
            pushed += 1
            gate.busy.wait(0.2)
        for frame in frames[pushed:]:
            session.push(frame)
        assert session.counters().waiting["face"] <= 2
        opened.set()
        session.finish()
        events = list(session)
        dropped = session.counters().dropped_frames
    assert dropped >= len(frames) - pushed - 1
    looked = [e.upto_ns for e in events if isinstance(e, Watermark) and e.track is Modality.FACE]
    assert looked[-1] == frames[-1].at.end_ns


def test_a_branch_that_breaks_says_so_and_the_others_go_on(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    error = RuntimeError("the voice model tripped")
    mine, _ = gated(analyzer, Modality.SPEECH, threading.Event(), error)
    with LiveSession(mine, info, PATIENT) as session:
        for packet in packets:
            session.push(packet)
        session.finish()
        events = list(session)
    (note,) = [e for e in events if isinstance(e, Diagnostic)]
    assert note.code == "branch-failed"
    assert "tripped" in note.message
    assert session.errors == {"speech": error}
    fused = [e for e in measured(events, MeasurementKind.TIMELINE) if e.modality is Modality.FUSED]
    assert max(e.span.end_ns for e in fused) >= 2 * NS
    assert {m for e in fused if e.fusion for m in e.fusion.modality_weights} == {Modality.FACE}


def test_a_microphone_that_says_nothing_holds_nobody_up(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    config = LiveConfig(frames=10_000, patience_seconds=0.2)
    with LiveSession(analyzer, info, config) as session:
        for packet in packets:
            if isinstance(packet, Frame):
                session.push(packet)
        until(session, reached(Modality.FUSED, 2 * NS))


def test_a_track_that_lags_is_waited_for_as_long_as_it_delivers(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    frames = [p for p in packets if isinstance(p, Frame)]
    far = [p for p in packets if isinstance(p, AudioChunk)][-1]  # two seconds ahead of pictures
    config = LiveConfig(frames=10_000, patience_seconds=5.0)
    with LiveSession(analyzer, info, config) as session:
        session.push(far)
        for frame in frames:
            threading.Event().wait(0.05)
            session.push(frame)
        assert session.counters().late == 0
        until(session, reached(Modality.FACE, frames[-1].at.end_ns))


def test_what_comes_late_is_cut_and_counted(analyzer: Analyzer) -> None:
    info = live_info(video=False)
    with LiveSession(analyzer, info, PATIENT) as session:
        sound = np.zeros(16_000, np.float32)
        session.push(AudioChunk(sound, 16_000, 0))
        session.push(AudioChunk(sound, 16_000, 8_000))  # half of it is known
        session.push(AudioChunk(sound[:100], 16_000, 0))  # all of it is
        session.push(Watermark(Track.AUDIO, 0))  # nothing new, nothing lost
        assert session.counters().late == 2
        session.finish()
        assert max(e.upto_ns for e in session if isinstance(e, Watermark)) == 3 * NS // 2


def test_a_picture_that_comes_late_is_answered_too(
    looks: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    with LiveSession(looks, live_info(audio=False), PATIENT) as session:
        session.push(Watermark(Track.VIDEO, 5 * NS))
        until(session, reached(Modality.FACE, 5 * NS))
        for frame in shown_at(clip, [2.0, 3.0]):
            session.push(frame)
            until(session, reached(Modality.FACE, frame.at.end_ns))
        assert session.counters().late == 2


def test_sound_beyond_the_room_is_dropped_and_told(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    opened = threading.Event()
    mine, gate = gated(analyzer, Modality.SPEECH, opened)
    config = LiveConfig(sound_seconds=0.2, patience_seconds=None)
    with LiveSession(mine, info, config) as session:
        for packet in packets:
            session.push(packet)
            while isinstance(packet, AudioChunk) and session.counters().waiting["audio"]:
                threading.Event().wait(0.005)  # the ears keep up, the voice does not
            if gate.busy.is_set() and session.counters().dropped_sound_seconds:
                break
        assert session.counters().dropped_sound_seconds > 0
        notes = until(session, lambda e: isinstance(e, Diagnostic))
        assert notes[-1].code == "sound-dropped"
        opened.set()


def test_it_closes_while_a_model_is_stuck(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    opened = threading.Event()
    mine, gate = gated(analyzer, Modality.SPEECH, opened)
    session = LiveSession(mine, info, PATIENT)
    for packet in packets:
        session.push(packet)
    assert gate.busy.wait(LONG)
    session.close(timeout=0.2)
    session._collector.join(LONG)
    assert session.ended
    session.close(timeout=0)
    session.push(packets[0])  # a device that has not heard of it yet
    opened.set()


def test_what_is_said_now_joins_the_latest_face_and_voice(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    sound = [p for p in packets if isinstance(p, AudioChunk)]
    frames = [p for p in packets if isinstance(p, Frame)]
    config = LiveConfig(frames=10_000, patience_seconds=None, voice_seconds=LONG, face_seconds=LONG)
    with LiveSession(analyzer, info, config) as session:
        for packet in sound:
            session.push(packet)
        for frame in frames[:-1]:
            session.push(frame)
        known = until(
            session, lambda e: isinstance(e, Measurement) and e.estimate.modality is Modality.SPEECH
        )
        session.push(frames[-1])
        session.finish()
        events = known + list(session)
    now = list(measured(events, MeasurementKind.NOW))
    assert all(e.modality is Modality.FUSED for e in now)
    blend = now[-1].fusion
    assert blend is not None
    assert set(blend.modality_weights) == {Modality.FACE, Modality.SPEECH}


def test_events_that_nobody_fetches_are_bounded(
    analyzer: Analyzer, clip: tuple[MediaInfo, list[Packet]]
) -> None:
    info, packets = clip
    with LiveSession(analyzer, info, LiveConfig(frames=10_000, unread=5)) as session:
        for packet in packets:
            if isinstance(packet, Frame):
                session.push(packet)
        session.finish()
        session._collector.join(LONG)
        assert len(session.poll()) <= 5
        assert session.counters().unread > 0


def test_a_listener_that_breaks_is_let_go(analyzer: Analyzer) -> None:
    def listener(event: Any) -> None:
        raise RuntimeError("not today")

    with LiveSession(analyzer, live_info(video=False), PATIENT, listener) as session:
        session.push(AudioChunk(np.zeros(16_000, np.float32), 16_000, 0))
        session.finish()
        assert list(session)
    assert str(session.errors["listener"]) == "not today"


def test_an_inbox_keeps_the_newest_pictures_and_joins_promises() -> None:
    inbox = Inbox(LiveConfig(frames=2))
    image = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(image, Span(i, i + 1)) for i in range(4)]
    for frame in frames:
        inbox.put(frame)
    inbox.put(Watermark(Track.VIDEO, 4))
    inbox.put(Watermark(Track.VIDEO, 5))
    inbox.end()
    inbox.put(frames[0])  # too late
    out = [inbox.get() for _ in range(4)]
    assert out[:2] == frames[2:]
    assert out[2] == Watermark(Track.VIDEO, 5)
    assert out[3] is END
    assert inbox.dropped_frames == 2


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"patience_seconds": 0}, {"voice_seconds": -1}])
def test_room_and_patience_must_make_sense(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        LiveConfig(**wrong)
