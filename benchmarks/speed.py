"""How fast is an analysis, how much memory does it take, and where does the time go?

    python -m benchmarks.speed                      60 s of 720p
    python -m benchmarks.speed --minutes 60         an hour, for memory
    python -m benchmarks.speed --words pocketsphinx with speech recognition

The clip is a real talking head (or the example clip, if no real one is at hand)
repeated without re-encoding. Models are loaded before the clock starts. Each run
is a process of its own, whose peak resident memory is what the kernel says.
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
        length = Fraction(source.duration, av.time_base)
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
                "ms_per_call": round(1000 * seconds / max(1, self.calls[stage]), 3),
                "share": round(seconds / total, 3),
            }
            for stage, seconds in sorted(self.seconds.items(), key=lambda kv: -kv[1])
        ]


def watch_stages(stopwatch: Stopwatch) -> None:
    """Measure every stage that an analysis goes through."""
    from emofuse.engine.align import Aligner
    from emofuse.engine.pipeline import Fuse
    from emofuse.engine.smooth import ExponentialSmoother
    from emofuse.face.detect import HaarDetector
    from emofuse.face.recognise import FaceRecogniser
    from emofuse.face.track import FaceTracker
    from emofuse.sources.file import FileSource
    from emofuse.speech.recognise import SpeechRecogniser
    from emofuse.speech.resample import Resample
    from emofuse.speech.vad import VoiceActivityDetector
    from emofuse.text.recognise import TextRecogniser
    from emofuse.text.transcribe import Transcribe

    stages = [
        ("decode", FileSource, "packets"),
        ("detect faces", HaarDetector, "detect"),
        ("track and crop faces", FaceTracker, "feed"),
        ("face: prepare", FaceRecogniser, "prepare"),
        ("face: net", FaceRecogniser, "infer"),
        ("resample", Resample, "feed"),
        ("voice activity", VoiceActivityDetector, "feed"),
        ("speech: features", SpeechRecogniser, "prepare"),
        ("speech: net", SpeechRecogniser, "infer"),
        ("transcribe", Transcribe, "feed"),
        ("words: tokens", TextRecogniser, "prepare"),
        ("words: net", TextRecogniser, "infer"),
        ("align", Aligner, "feed"),
        ("fuse", Fuse, "feed"),
        ("smooth", ExponentialSmoother, "feed"),
    ]
    for stage, owner, name in stages:
        stopwatch.watch(stage, owner, name)


def run_child(clip: Path, words: str, stages: bool) -> None:
    """Analyze a clip in this process and print the figures as JSON."""
    from emofuse.analyzer import Analyzer, AnalyzerConfig
    from emofuse.text.transcribe import TranscribeConfig

    stopwatch = Stopwatch()
    if stages:
        watch_stages(stopwatch)
    transcribe = TranscribeConfig(engine=words)
    analyzer = Analyzer(AnalyzerConfig(transcribe=transcribe))
    start = time.perf_counter()
    analyzer.analyze(ROOT / "examples" / "demo.mp4")  # loads every model
    loaded = time.perf_counter() - start
    stopwatch.seconds.clear()
    stopwatch.calls.clear()
    cpu, start = time.process_time(), time.perf_counter()
    timeline = analyzer.analyze(clip)
    wall = time.perf_counter() - start
    media = timeline.duration_ns / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "media_s": round(media, 2),
                "wall_s": round(wall, 2),
                "cpu_s": round(time.process_time() - cpu, 2),
                "times_real_time": round(media / wall, 2),
                "first_analysis_with_loading_s": round(loaded, 2),
                "peak_memory_mb": round(peak / (2**20 if sys.platform == "darwin" else 1024)),
                "estimates": len(timeline),
                "stages": stopwatch.table(),
            }
        )
    )


def measure(clip: Path, seconds: float, words: str, stages: bool) -> dict[str, Any]:
    """Make the long clip, analyze it in a fresh process, return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        long_clip = Path(folder) / "long.mp4"
        repeat(clip, seconds, long_clip)
        flags = ["--child", str(long_clip), "--asr", words] + ["--stages"] * stages
        command = [sys.executable, "-m", "benchmarks.speed", *flags]
        run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--asr", default="none", help="speech recogniser, or none")
    parser.add_argument("--clip", type=Path, default=None)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stages", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments.child, arguments.asr, arguments.stages)
        return
    clip = arguments.clip or real_clip()
    plain = measure(clip, arguments.minutes * 60, arguments.asr, stages=False)
    plain.pop("stages")
    figures = {"clip": clip.name, "words": arguments.asr, **plain}
    if arguments.minutes <= 5:
        figures["stages"] = measure(clip, arguments.minutes * 60, arguments.asr, True)["stages"]
    name = f"speed-{arguments.minutes:g}min-words-{arguments.asr}"
    write_result(name, figures)


if __name__ == "__main__":
    main()
