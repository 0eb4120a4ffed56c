"""A recording: a video that plays, and a timeline that fits it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("pygame", reason="the window is an extra: emofuse[live]")

from emofuse.core.estimates import Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import AudioChunk, Watermark
from emofuse.core.time import NS, Span
from emofuse.core.timeline import Provenance
from emofuse.errors import InputError
from emofuse.streaming import Measurement, MeasurementKind, live_info
from emofuse.window.record import VIDEO, Recorder

RATE = 16_000
START = 3 * NS
PROVENANCE = Provenance("0", {Modality.FUSED: "logpool"})


def fused(start: float, end: float) -> Measurement:
    e = Estimate(
        Subject(SubjectKind.FACE, 1),
        Span.of_seconds(start, end),
        Probabilities(CANONICAL, np.full(8, 0.125)),
        Modality.FUSED,
        1.0,
        "logpool",
    )
    return Measurement(MeasurementKind.TIMELINE, e, 0)


def tone(first: int, seconds: float) -> AudioChunk:
    t = np.arange(first, first + round(seconds * RATE)) / RATE
    return AudioChunk((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), RATE, first)


def test_video_sound_and_timeline_start_together(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r", live_info(size=(65, 49)), PROVENANCE, START)
    recorder.sound(tone(2 * RATE, 0.5))  # before
    recorder.sound(tone(3 * RATE, 0.25))  # sound may come before the first picture
    for i in range(50):  # two seconds of an odd size
        recorder.picture(np.full((49, 65, 3), 4 * i, np.uint8), START + i * NS // 25)
        while recorder._queue.qsize() > 5:
            pass
    recorder.sound(tone(3 * RATE + RATE // 4, 0.25))
    recorder.sound(tone(4 * RATE, 1.0))  # half a second is missing
    for m in (fused(2.5, 3.0), fused(2.9, 3.5), fused(4.5, 5.5), fused(5.0, 5.5)):
        recorder.event(m)
    recorder.stop(5 * NS)
    assert not recorder.complete
    recorder.event(fused(5.0, 5.5))  # after the end
    recorder.event(Watermark(Modality.FUSED, 5 * NS))
    assert recorder.complete
    recorder.write()
    assert recorder.dropped == 0
    with av.open(str(tmp_path / "r" / VIDEO)) as container:
        times = [float(f.time) for f in container.decode(video=0)]
        size = container.streams.video[0].width, container.streams.video[0].height
    with av.open(str(tmp_path / "r" / VIDEO)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert size == (64, 48)
    assert len(times) == 50
    assert times[0] == pytest.approx(0, abs=0.05)
    assert times[-1] == pytest.approx(49 / 25, abs=0.05)
    loud = np.abs(sound[: 2 * RATE]).reshape(-1, RATE // 4).max(axis=1) > 0.1
    assert loud.tolist()[:2] == [True, True]
    assert loud.tolist()[4:8] == [True] * 4
    assert not loud[3]
    document = json.loads((tmp_path / "r" / "timeline.json").read_text())
    spans = [(e["start"], e["end"]) for e in document["estimates"]]
    assert spans == [(0.0, 0.5), (1.5, 2.0)]
    assert (tmp_path / "r" / "timeline.html").is_file()
    assert (tmp_path / "r" / "timeline.csv").is_file()


@pytest.mark.parametrize("camera", [False, True], ids=["none wanted", "missing"])
def test_sound_alone_can_be_recorded(tmp_path: Path, camera: bool) -> None:
    recorder = Recorder(tmp_path / "r", live_info(video=camera), PROVENANCE, 0)
    recorder.sound(tone(0, 1.0))
    recorder.stop(NS)
    recorder.event(Watermark(Modality.FUSED, NS))
    recorder.write()
    with av.open(str(tmp_path / "r" / VIDEO)) as container:
        assert not container.streams.video
        assert sum(f.samples for f in container.decode(audio=0)) >= RATE


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / VIDEO).write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        Recorder(tmp_path, live_info(), PROVENANCE, 0)
    assert (tmp_path / VIDEO).read_text() == "mine"
