"""How fast is an analysis, how much memory does it take, and where does the time go?

    python -m benchmarks.speed                      60 s of 720p
    python -m benchmarks.speed --minutes 60         an hour, for memory
    python -m benchmarks.speed --asr moonshine      with speech recognition
    python -m benchmarks.speed --fer PYTHON         beside the PyPI package fer, installed there

The clip is a real talking head (or the example clip, if no real one is at hand)
repeated without re-encoding. Machines differ, and one machine from hour to hour: what
counts are ratios. The same file is decoded whole on one thread, right before and after the
analysis; nothing is converted or looked at. Models are loaded before the clock starts. Each
run is a process of its own, whose peak resident memory is what the kernel says; the
command line's exporters write every kind of result. `fer` looks at every frame of the
first seconds, as it does by itself, or at eight a second, with its default detector.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, data_root, write_result


def real_clip() -> Path:
    """A 720p talking head, or the example clip where there is none."""
    shared = data_root()
    clip = shared / "clips" / "ravdess_01-01-06-01-01-02-09.mp4" if shared else None
    return clip if clip is not None and clip.exists() else ROOT / "examples" / "demo.mp4"


def repeat(clip: Path, seconds: float, out: Path) -> None:
    """Write `clip` over and over until `out` is `seconds` long, copying its packets."""
    import av

    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        tracks = {s.index: target.add_stream_from_template(s) for s in _streams(source)}
        length = _length(source)
        for round_ in range(int(seconds / length) + 1):
            source.seek(0)
            for packet in source.demux(_streams(source)):
                if packet.dts is None or packet.stream.index not in tracks:
                    continue
                shift = int(round_ * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                if packet.pts * packet.time_base < seconds:
                    packet.stream = tracks[packet.stream.index]
                    target.mux(packet)


def _length(container: Any) -> Fraction:
    """Return seconds after which packets can be repeated without their times going back."""
    packets = [p for p in container.demux(_streams(container)) if p.dts is not None]
    begins = min(p.dts * p.time_base for p in packets)
    return Fraction(max((p.dts + p.duration) * p.time_base for p in packets) - begins)


def _streams(container: Any) -> list[Any]:
    return [*container.streams.video[:1], *container.streams.audio[:1]]


class Stopwatch:
    """Adds up the CPU time that functions take themselves, callees that are watched excluded."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._local = threading.local()

    def watch(self, stage: str, owner: Any, name: str) -> None:
        """Measure a method, or a generator method while it runs, under the name of a stage."""
        function = getattr(owner, name)

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            result = self._timed(stage, lambda: function(*args, **kwargs))
            self.calls[stage] += 1
            return self._drain(stage, result) if hasattr(result, "__next__") else result

        setattr(owner, name, measured)

    def _drain(self, stage: str, items: Any) -> Any:
        end = object()
        while (item := self._timed(stage, lambda: next(items, end))) is not end:
            yield item

    def _timed(self, stage: str, call: Callable[[], Any]) -> Any:
        inner = getattr(self._local, "inner", 0.0)
        self._local.inner = 0.0
        start = time.thread_time()
        try:
            return call()
        finally:
            spent = time.thread_time() - start
            self.seconds[stage] += spent - self._local.inner
            self._local.inner = inner + spent

    def table(self) -> list[dict[str, Any]]:
        """One row per stage: calls, ms per call, share of all that was measured."""
        total = sum(self.seconds.values())
        return [
            {
                "stage": stage,
                "calls": self.calls[stage],
                "cpu_s": round(seconds, 3),
                "ms_per_call": round(1000 * seconds / max(1, self.calls[stage]), 3),
                "share": round(seconds / total, 3),
            }
            for stage, seconds in sorted(self.seconds.items(), key=lambda kv: -kv[1])
        ]


def watch_stages(stopwatch: Stopwatch) -> None:
    """Measure every stage that an analysis goes through."""
    from emofuse.engine.active_speaker import ActiveSpeakerAttribution
    from emofuse.engine.align import Aligner
    from emofuse.engine.pipeline import Fuse
    from emofuse.engine.smooth import ExponentialSmoother
    from emofuse.export.csv import CsvExporter
    from emofuse.export.html import HtmlExporter
    from emofuse.export.json import JsonExporter
    from emofuse.face import track
    from emofuse.face.detect import CompactDetector
    from emofuse.face.mouth import MouthMotion
    from emofuse.face.recognise import FaceRecogniser
    from emofuse.identity.encoders import FaceEncoder, VoiceEncoder
    from emofuse.sources.file import FileSource
    from emofuse.sources.tracks import AudioReader, VideoReader
    from emofuse.speech.recognise import SpeechRecogniser
    from emofuse.speech.resample import Resample
    from emofuse.speech.vad import VoiceActivityDetector
    from emofuse.text.recognise import TextRecogniser
    from emofuse.text.transcribe import Transcribe

    stages = [
        ("demux and decode", FileSource, "packets"),
        ("scale and convert frames", VideoReader, "_to_rgb"),
        ("mix sound down", AudioReader, "_take"),
        ("search frames for faces", CompactDetector, "detect"),
        ("find known faces again", CompactDetector, "detect_near"),
        ("track faces", track.FaceTracker, "feed"),
        ("crop faces", track, "crop_face"),
        ("quality of faces", track, "look"),
        ("mouths", MouthMotion, "measure"),
        ("face: prepare", FaceRecogniser, "prepare"),
        ("face: net", FaceRecogniser, "infer"),
        ("resample", Resample, "feed"),
        ("voice activity", VoiceActivityDetector, "feed"),
        ("speech: features", SpeechRecogniser, "prepare"),
        ("speech: net", SpeechRecogniser, "infer"),
        ("transcribe", Transcribe, "feed"),
        ("who is who: faces", FaceEncoder, "logits"),
        ("who is who: voices, features", VoiceEncoder, "prepare"),
        ("who is who: voices, net", VoiceEncoder, "logits"),
        ("words: tokens", TextRecogniser, "prepare"),
        ("words: net", TextRecogniser, "infer"),
        ("align", Aligner, "feed"),
        ("who speaks", ActiveSpeakerAttribution, "feed"),
        ("fuse", Fuse, "feed"),
        ("smooth", ExponentialSmoother, "feed"),
        ("export: thumbnails", HtmlExporter, "write"),
        ("export: page", HtmlExporter, "save"),
        ("export: JSON", JsonExporter, "save"),
        ("export: CSV", CsvExporter, "save"),
    ]
    for stage, owner, name in stages:
        stopwatch.watch(stage, owner, name)


def run_decoding(clip: Path) -> None:
    """Decode every frame of a clip on one thread and print the figures as JSON."""
    import av

    frames, cpu, start = 0, time.process_time(), time.perf_counter()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            frames += 1
    print(json.dumps({"frames": frames, **_spent(cpu, start)}))


def run_analysis(clip: Path, asr: str, stages: bool) -> None:
    """Analyze a clip in this process and print the figures as JSON."""
    from emofuse.analyzer import Analyzer, AnalyzerConfig
    from emofuse.export import finish
    from emofuse.export.csv import CsvExporter
    from emofuse.export.html import HtmlExporter
    from emofuse.export.json import JsonExporter
    from emofuse.text.transcribe import TranscribeConfig

    stopwatch = Stopwatch()
    if stages:
        watch_stages(stopwatch)
    transcribe = TranscribeConfig(engine=asr)
    analyzer = Analyzer(AnalyzerConfig(transcribe=transcribe))
    start = time.perf_counter()
    analyzer.analyze(ROOT / "examples" / "demo.mp4")  # loads every model
    loaded = time.perf_counter() - start
    stopwatch.seconds.clear()
    stopwatch.calls.clear()
    cpu, start = time.process_time(), time.perf_counter()
    kinds = (HtmlExporter, JsonExporter, CsvExporter)
    opened = [kind(clip.with_suffix(f".{kind.name}"), overwrite=True) for kind in kinds]
    timeline = analyzer.analyze(clip, exporters=opened)
    finish(opened, timeline)
    spent = _spent(cpu, start)
    media = timeline.duration_ns / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "media_s": round(media, 2),
        **spent,
        "times_real_time": round(media / spent["wall_s"], 2),
        "first_analysis_with_loading_s": round(loaded, 2),
        "peak_memory_mb": round(peak / (2**20 if sys.platform == "darwin" else 1024)),
        "estimates": len(timeline),
        "stages": stopwatch.table(),
    }
    print(json.dumps(figures))


def _spent(cpu: float, start: float) -> dict[str, float]:
    """Return the wall and processor time since two clocks' readings."""
    wall = time.perf_counter() - start
    return {"wall_s": round(wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}


FER = """
import json, sys, time
import av
from fer.fer import FER
path, seconds, fps = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
detector, looked, tick = FER(), 0, -1
start = cpu = None
with av.open(path) as container:
    for frame in container.decode(container.streams.video[0]):
        if frame.time >= seconds:
            break
        if fps and int(frame.time * fps) == tick:
            continue
        tick = int(frame.time * fps)
        detector.detect_emotions(frame.to_ndarray(format="bgr24"))
        looked += 1
        if start is None:  # the first call builds its graphs
            start, cpu = time.perf_counter(), time.process_time()
wall = (time.perf_counter() - start) * looked / (looked - 1)
cpu = (time.process_time() - cpu) * looked / (looked - 1)
print(json.dumps({"media_s": seconds, "frames": looked, "wall_s": round(wall, 2),
                  "cpu_s": round(cpu, 2), "times_real_time": round(seconds / wall, 2)}))
"""
"""Runs under another Python: `fer` wants TensorFlow. PyAV reads the frames for it, too."""

FER_SECONDS = 4.0


def child(*flags: str) -> dict[str, Any]:
    """Run this module in a fresh process; return the figures that it prints last."""
    command = [sys.executable, "-m", "benchmarks.speed", *flags]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def compare_with_fer(python: Path, clip: Path) -> dict[str, Any]:
    """Time `fer` on the first seconds of a clip: on every frame, and on eight a second."""
    rows = {}
    for name, fps in (("every frame", 0.0), ("8 frames a second", 8.0)):
        command = [str(python), "-c", FER, str(clip), str(FER_SECONDS), str(fps)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        rows[name] = json.loads(run.stdout.splitlines()[-1])
    return rows


def measure(clip: Path, seconds: float, asr: str, fer: Path | None) -> dict[str, Any]:
    """Make the long clip, decode it whole and analyze it, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        long_clip = Path(folder) / "long.mp4"
        repeat(clip, seconds, long_clip)
        flags = [str(long_clip), "--asr", asr]
        before = child("--decode", str(long_clip))
        analysis = child("--analyze", *flags)
        after = child("--decode", str(long_clip))
        analysis.pop("stages")
        decoding = {key: (before[key] + after[key]) / 2 for key in ("wall_s", "cpu_s")}
        figures = {
            "decoding_every_frame_on_one_thread": {"frames": before["frames"], **_round(decoding)},
            "analysis": analysis,
            **_round({"times_as_fast_as_decoding": decoding["wall_s"] / analysis["wall_s"]}),
        }
        if seconds <= 300:
            stages = child("--analyze", *flags, "--stages")["stages"]
            figures["stages"] = [
                {**row, **_round({"of_decoding": row["cpu_s"] / decoding["cpu_s"]}, 3)}
                for row in stages
            ]
        if fer is not None:
            figures["fer"] = compare_with_fer(fer, long_clip)
    return figures


def _round(figures: dict[str, float], digits: int = 2) -> dict[str, float]:
    return {key: round(value, digits) for key, value in figures.items()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--asr", default="none", help="speech recogniser, or none")
    parser.add_argument("--clip", type=Path, default=None)
    parser.add_argument("--fer", type=Path, help="a Python that has the package fer")
    parser.add_argument("--decode", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--analyze", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.decode:
        run_decoding(arguments.decode)
    elif arguments.analyze:
        run_analysis(arguments.analyze, arguments.asr, arguments.stages)
    else:
        clip = arguments.clip or real_clip()
        figures = measure(clip, arguments.minutes * 60, arguments.asr, arguments.fer)
        name = f"speed-{arguments.minutes:g}min-asr-{arguments.asr}"
        write_result(name, {"clip": clip.name, "asr": arguments.asr, **figures})


if __name__ == "__main__":
    main()
