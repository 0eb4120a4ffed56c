"""The live window on a film that stands for camera and microphone: how late, how old, how steady.

    python -m benchmarks.live --minutes 30

The window itself runs, on SDL's dummy screen (or on the one that DISPLAY and
SDL_VIDEODRIVER=x11 name), with a clip of 640 × 480 at 25 pictures a second and its sound,
played in real time again and again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, data_root, write_result

TARGETS = {
    "face_label_ms_p95": 120.0,
    "voice_after_its_window_ms_p95": 500.0,
    "picture_age_ms_p95": 100.0,
    "frozen_seconds": 0.0,
}
SIZE, FPS = (640, 480), 25
SETTLE = 10.0  # seconds after the first label that are left out: models warm up


def prepare(clip: Path, target: Path) -> None:
    """Make a film of the size and rate of a webcam, with the clip's sound."""
    import av
    from av.filter import Graph

    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        video, audio = source.streams.video[0], source.streams.audio[0]
        out: Any = sink.add_stream("mpeg4", rate=FPS)
        out.width, out.height, out.pix_fmt, out.bit_rate = *SIZE, "yuv420p", 4_000_000
        sound: Any = sink.add_stream("pcm_s16le", rate=16_000, layout="mono")
        graph = Graph()
        width, height = SIZE
        chain = [
            graph.add_buffer(template=video),
            graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=increase"),
            graph.add("crop", f"{width}:{height}"),
            graph.add("fps", str(FPS)),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*chain).configure()
        resampler = av.AudioResampler("s16", "mono", 16_000)
        for frame in source.decode(video, audio):
            if isinstance(frame, av.AudioFrame):
                for piece in resampler.resample(frame):
                    sink.mux(sound.encode(piece))
                continue
            graph.push(frame)
            while True:
                try:
                    picture = graph.pull()
                except (av.BlockingIOError, av.EOFError):
                    break
                picture.pict_type = 0
                sink.mux(out.encode(picture))
        sink.mux(out.encode())
        sink.mux(sound.encode())


def cpu_cost(analyzer: Any, film: Path) -> dict[str, Any]:
    """Measure what analysis costs in CPU time, which other work on the machine doesn't change."""
    from contextlib import closing

    from emofuse.core.media import AudioChunk, Frame, Track
    from emofuse.sources.file import FileSource

    with closing(FileSource(film, fps=FPS, tracks={Track.VIDEO, Track.AUDIO})) as source:
        packets, info = list(source.packets()), source.info
    rows: dict[type, list[tuple[float, float]]] = {Frame: [], AudioChunk: []}
    branches = dict(zip((Frame, AudioChunk), analyzer.branches(info), strict=True))
    for turn in range(2):  # in the first one models warm up
        for kind, branch in branches.items():
            stage = branch.joined()
            stage.reset()
            for packet in (p for p in packets if isinstance(p, kind)):
                began = time.thread_time()
                for _ in stage.feed(packet):
                    pass
                if turn:
                    rows[kind].append((0.0, (time.thread_time() - began) * 1e3))
    seconds = len(rows[Frame]) / FPS
    sound = sum(ms for _, ms in rows[AudioChunk]) / seconds
    return {
        "face_ms_per_picture": spread(rows[Frame]),
        "sound_and_voice_ms_per_second": round(sound, 1),
    }


class Observer:
    """Notes what the window does, once a second."""

    def __init__(self, window: Any, seconds: float) -> None:
        self._window, self._seconds = window, seconds
        self.face: list[tuple[float, float]] = []  # time in s, latency in ms
        self.voice: list[tuple[float, float]] = []
        self.words: list[tuple[float, float]] = []
        self.ages: list[tuple[float, float]] = []
        self.memory: list[tuple[float, float]] = []
        self.start: float | None = None
        self.cpu_seconds = self.wall_seconds = 0.0
        self._seen_pictures = 0
        self._inner = window._hear
        window._hear = self._listen

    def _listen(self, event: Any) -> None:
        from emofuse.core.estimates import Modality
        from emofuse.streaming import Measurement, MeasurementKind

        self._inner(event)
        if not isinstance(event, Measurement) or self.start is None:
            return
        entry = time.monotonic() - self.start, event.latency_ns / 1e6
        if event.kind is MeasurementKind.FRAME:
            self.face.append(entry)
        elif event.kind is MeasurementKind.TIMELINE:
            rows = {Modality.SPEECH: self.voice, Modality.TEXT: self.words}
            rows.get(event.estimate.modality, []).append(entry)

    def watch(self) -> None:
        """Observe until the time is over, then close the window."""
        import psutil

        process = psutil.Process()
        while not any(p.now for p in self._window.state.snapshot().people):
            time.sleep(0.2)
        time.sleep(SETTLE)
        shown = self._window.shown
        before = process.cpu_times()
        began, frozen_ns, first = time.monotonic(), shown.frozen_ns, shown.pictures
        dropped = self._window.session.counters().dropped_frames
        self._seen_pictures = first
        self.start = began
        while (elapsed := time.monotonic() - began) < self._seconds:
            time.sleep(1.0)
            new = shown.pictures - self._seen_pictures
            self._seen_pictures = shown.pictures
            self.ages += [(elapsed, ns / 1e6) for ns in list(shown.ages_ns)[-new:]] if new else []
            self.memory.append((elapsed, process.memory_info().rss / 1e6))
        after = process.cpu_times()
        self.cpu_seconds = after.user + after.system - before.user - before.system
        self.wall_seconds = time.monotonic() - began
        self.frozen_seconds = (shown.frozen_ns - frozen_ns) / 1e9
        self.pictures = shown.pictures - first
        counters = self._window.session.counters()
        self.dropped = counters.dropped_frames - dropped
        self.dropped_sound_seconds = counters.dropped_sound_seconds
        self.errors = {name: str(error) for name, error in self._window.session.errors.items()}
        self._window.quit()


def spread(rows: list[tuple[float, float]]) -> dict[str, float]:
    """Summarise a series of (time, value)."""
    if not rows:
        return {"count": 0}
    values = np.array([value for _, value in rows])
    p50, p95, p99 = np.percentile(values, [50, 95, 99]).round(1).tolist()
    worst = round(float(values.max()), 1)
    return {"count": len(rows), "p50": p50, "p95": p95, "p99": p99, "max": worst}


def growth(rows: list[tuple[float, float]], percentile: float) -> dict[str, float]:
    """Compare the first third of a series with the last."""
    if len(rows) < 6:
        return {}
    third = len(rows) // 3
    parts = [[value for _, value in part] for part in (rows[:third], rows[-third:])]
    first, last = (round(float(np.percentile(part, percentile)), 1) for part in parts)
    return {"first_third": first, "last_third": last}


def main() -> None:
    """Run the window and write down what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clip", type=Path, help="a film of somebody who talks")
    parser.add_argument("--asr", action="store_true", help="with speech recognition")
    parser.add_argument("--name", default="live")
    args = parser.parse_args()
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from emofuse.analyzer import Analyzer, AnalyzerConfig
    from emofuse.streaming import live_config
    from emofuse.streaming.feed import open_devices
    from emofuse.text.transcribe import TranscribeConfig
    from emofuse.window.window import LiveWindow

    clip = args.clip or _clip()
    engine = "auto" if args.asr else "none"
    config = live_config(AnalyzerConfig(transcribe=TranscribeConfig(engine=engine)))
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "webcam.mkv"
        prepare(clip, film)
        analyzer = Analyzer(config)
        cpu = cpu_cost(analyzer, film)
        sources, _ = open_devices(film, film, loop=True)
        window = LiveWindow(analyzer, sources)
        observer = Observer(window, args.minutes * 60)
        threading.Thread(target=observer.watch, daemon=True).start()
        window.run()
    face, voice, ages = (spread(r) for r in (observer.face, observer.voice, observer.ages))
    reached = {
        "face_label_ms_p95": face.get("p95"),
        "voice_after_its_window_ms_p95": voice.get("p95"),
        "picture_age_ms_p95": ages.get("p95"),
        "frozen_seconds": round(observer.frozen_seconds, 2),
    }
    load = {"before": load_before, "after": os.getloadavg()}
    write_result(
        args.name,
        {
            "clip": clip.name,
            "input": f"{SIZE[0]}x{SIZE[1]} at {FPS} fps with sound, played in real time",
            "minutes": args.minutes,
            "words": engine.value if args.asr else "none",
            "load_average": {k: [round(v, 1) for v in values] for k, values in load.items()},
            "cpu_time": cpu,
            "cpu_cores_used": round(observer.cpu_seconds / observer.wall_seconds, 2),
            "pictures_shown_per_second": round(observer.pictures / observer.wall_seconds, 1),
            "face_label_ms": face,
            "voice_after_its_window_ms": voice,
            "words_after_they_were_said_ms": spread(observer.words),
            "picture_age_ms": ages,
            "frozen_seconds": round(observer.frozen_seconds, 2),
            "pictures_not_analysed": observer.dropped,
            "sound_dropped_seconds": round(observer.dropped_sound_seconds, 2),
            "growth": {
                "memory_mb": growth(observer.memory, 50),
                "face_label_ms_p95": growth(observer.face, 95),
                "voice_ms_p95": growth(observer.voice, 95),
                "picture_age_ms_p95": growth(observer.ages, 95),
            },
            "targets": {name: _judged(reached[name], target) for name, target in TARGETS.items()},
            "errors": observer.errors,
        },
    )
    if observer.errors:
        sys.exit(1)


def _judged(reached: float | None, target: float) -> dict[str, Any]:
    met = reached is not None and reached <= target
    return {"target": target, "reached": reached, "met": met}


def _clip() -> Path:
    root = data_root()
    real = root / "clips" / "ravdess_01-01-06-01-01-02-09.mp4" if root else None
    return real if real and real.is_file() else ROOT / "tests" / "media" / "talking.mp4"


if __name__ == "__main__":
    main()
