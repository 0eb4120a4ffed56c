"""Is speech given to the face that speaks?

    python -m benchmarks.who_speaks CLIPS [--save]

CLIPS is a folder of talking heads, one speaker a clip. They are set side by side: one
speaks its clip with its sound, the other listens, in turns. A listener is played from
its own silent stretch, back and forth, and both heads sway a little, so that nobody
stands still. Besides, one or two heads that listen to a voice from off the screen.

Reported are shares of the voiced slots: given to the right face, to a wrong one, or to
nobody seen (``unknown``, which is right for a voice from off the screen); slots in which
the right face was not found are counted apart (``unseen``) and not in the shares.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import data_root, write_result
from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality
from emofuse.core.media import AudioChunk, Frame, Track
from emofuse.core.protocols import Slot, Stage
from emofuse.core.time import NS, Span
from emofuse.engine.active_speaker import (
    ActiveSpeakerAttribution,
    ActiveSpeakerConfig,
    ActiveSpeakerMethod,
)
from emofuse.engine.align import Aligner
from emofuse.engine.pipeline import Chain, Select
from emofuse.engine.windows import Recognise
from emofuse.errors import InputError
from emofuse.face.detect import HaarDetector
from emofuse.face.mouth import MOUTH, STILL, Compare, MouthMotion, mouth_motion
from emofuse.face.track import FaceTracker
from emofuse.models.registry import load
from emofuse.sources.audio import read_audio
from emofuse.sources.file import FileSource
from emofuse.speech.vad import RATE, VoiceActivityDetector

FPS = 25
HEIGHT, WIDTH = 260, 300  # of one head's panel
SWAY = 6  # pixels
MARGIN = 0.15  # seconds around speech in which a mouth may move already

Image = NDArray[np.uint8]
Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One talking head: its pictures, its sound, and when it speaks."""

    name: str
    images: Sequence[Image]
    sound: NDArray[np.float32]
    voiced: Span

    @property
    def listening(self) -> Sequence[Image]:
        """The longest stretch of pictures in which the head is silent."""
        first = int((self.voiced.start - MARGIN) * FPS)
        last = int((self.voiced.end + MARGIN) * FPS) + 1
        return max((self.images[: max(0, first)], self.images[last:]), key=len)


@dataclass(frozen=True, slots=True)
class Turn:
    """Who speaks in a composite: the panel from the left, or None for nobody seen."""

    panel: int | None
    voiced: Span


def read_head(path: Path) -> Head | None:
    """Read a clip; None if it holds no sound, no speech, or too little silence."""
    try:
        sound = read_audio(path, RATE)
        with closing(FileSource(path, fps=FPS, max_side=640, tracks={Track.VIDEO})) as source:
            images = [_panel(p.image) for p in source.packets() if isinstance(p, Frame)]
    except InputError:
        return None
    voice = VoiceActivityDetector()
    chunks = [*voice.feed(AudioChunk(sound, RATE, 0)), *voice.flush()]
    spans = [c.span for c in chunks if isinstance(c, AudioChunk)]
    if not spans or not images:
        return None
    head = Head(path.stem, images, sound, Span(spans[0].start_ns, spans[-1].end_ns))
    return head if len(head.listening) >= 6 else None


def _panel(image: Image) -> Image:
    """Scale a picture so that a swaying panel fits into its middle."""
    height, width = HEIGHT + 2 * SWAY, WIDTH + 2 * SWAY
    scale = max(height / image.shape[0], width / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def compose(heads: Sequence[Head], speakers: Sequence[Head], path: Path) -> list[Turn]:
    """Write a film of `heads` side by side in which `speakers` speak in turn; return the turns."""
    films: list[list[Image]] = [[] for _ in heads]
    sound: list[NDArray[np.float32]] = []
    turns, count = [], 0
    for speaker in speakers:
        length = len(speaker.images)
        for head, film in zip(heads, films, strict=True):
            film += speaker.images if head is speaker else _back_and_forth(head.listening, length)
        start_ns = count * NS // FPS
        spoken = Span(start_ns + speaker.voiced.start_ns, start_ns + speaker.voiced.end_ns)
        turns.append(Turn(heads.index(speaker) if speaker in heads else None, spoken))
        samples = np.zeros(length * RATE // FPS, np.float32)
        n = min(len(samples), len(speaker.sound))
        samples[:n] = speaker.sound[:n]
        sound.append(0.5 * samples / max(1e-6, float(np.abs(samples).max())))
        count += length
    swayed = [
        [_sway(image, i / FPS, phase) for i, image in enumerate(film)]
        for phase, film in enumerate(films)
    ]
    _write(path, [np.hstack(row) for row in zip(*swayed, strict=True)], np.concatenate(sound))
    return turns


def _back_and_forth(images: Sequence[Image], length: int) -> list[Image]:
    loop = [*images, *images[-2:0:-1]]
    return [loop[i % len(loop)] for i in range(length)]


def _sway(image: Image, seconds: float, phase: int) -> Image:
    angle = 2 * np.pi * 0.3 * seconds + 2 * phase
    top, left = round(SWAY * (1 + np.sin(0.7 * angle))), round(SWAY * (1 + np.sin(angle)))
    return image[top : top + HEIGHT, left : left + WIDTH]


def _write(path: Path, images: Sequence[Image], sound: NDArray[np.float32]) -> None:
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        for image in images:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            file.mux(video.encode(picture))
        file.mux(video.encode(None))
        for start in range(0, len(sound), 1024):
            piece = np.ascontiguousarray(sound[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            file.mux(audio.encode(frame))
        file.mux(audio.encode(None))


def composites(heads: Sequence[Head], folder: Path) -> dict[str, tuple[Path, int, list[Turn]]]:
    """Make pairs in turns, every head alone, and heads that hear a voice from elsewhere.

    Returns:
        Name → file, number of panels, turns.
    """
    made = {}

    def add(name: str, seen: Sequence[Head], speakers: Sequence[Head]) -> None:
        path = folder / f"{name}.mp4"
        made[name] = path, len(seen), compose(seen, speakers, path)

    for i, a in enumerate(heads):
        b, c = heads[(i + 1) % len(heads)], heads[(i + 2) % len(heads)]
        add(f"turns: {a.name} {b.name}", (a, b), (a, b))
        add(f"turns: {a.name} {c.name}", (a, c), (c, a))
        add(f"sole: {a.name}", (a,), (a,))
        add(f"elsewhere: {a.name}", (a,), (b,))
        if i % 2:
            add(f"elsewhere: {a.name} {b.name}", (a, b), (c,))
    return made


def difference(before: Grey, after: Grey) -> float:
    """Mean absolute change of the mouth's region."""
    return float(np.abs(after[MOUTH] - before[MOUTH]).mean())


def relative(before: Grey, after: Grey) -> float:
    """The same over that of eyes and nose."""
    return difference(before, after) / (2 + float(np.abs(after[STILL] - before[STILL]).mean()))


def flow(before: Grey, after: Grey) -> float:
    """Dense optical flow (Farnebäck 2003) in the mouth's region, less that of eyes and nose."""
    old, new = before.astype(np.uint8), after.astype(np.uint8)
    moved = cv2.calcOpticalFlowFarneback(old, new, None, 0.5, 2, 15, 2, 5, 1.1, 0)
    moved = moved - np.median(moved[STILL].reshape(-1, 2), axis=0)
    return float(np.linalg.norm(moved[MOUTH], axis=2).mean())


MEASURES: dict[str, Compare] = {
    "difference": difference,
    "difference over eyes and nose": relative,
    "optical flow": flow,
    "registered difference over contrast": mouth_motion,
}

VARIANTS = {
    "sole": ActiveSpeakerConfig(ActiveSpeakerMethod.SOLE),
    **{f"mouth, lag {lag:g} s": ActiveSpeakerConfig(lag=lag) for lag in (0.0, 0.5, 1.0)},
    "mouth, least 0.5": ActiveSpeakerConfig(least=0.5),
    "mouth, least 0.8": ActiveSpeakerConfig(least=0.8),
}


class Study:
    """What the analyzes of all composites add up to."""

    def __init__(self) -> None:
        self.tallies: dict[str, dict[str, dict[str, int]]] = {name: {} for name in VARIANTS}
        self.motion: dict[bool, list[list[float]]] = {True: [], False: []}  # speaks → pictures
        self.seconds = dict.fromkeys(MEASURES, 0.0)

    def add(self, name: str, path: Path, panels: int, turns: Sequence[Turn]) -> None:
        """Analyze one composite once and link its slots by every variant."""
        models = {Modality.FACE: "face-v4"}  # what it says does not matter here
        both = (Modality.FACE, Modality.SPEECH)
        analyzer = Analyzer(AnalyzerConfig(modalities=both, models=models))
        with closing(analyzer.open(path)) as source:
            packets, info = list(source.packets()), source.info
        pictures: list[list[float]] = []
        mouths = MouthMotion(lambda a, b: self._measure(a, b, pictures))
        eyes = Chain(
            Select(Track.VIDEO),
            FaceTracker(HaarDetector(), analyzer.config.face, mouths),
            Recognise(load("face-v4"), Modality.FACE),
        )
        (ears,) = (b for b in analyzer.branches(info) if b.track is Track.AUDIO)
        looked, heard = list(run(eyes, packets)), list(run(ears.joined(), packets))
        measured = [
            e
            for e in looked
            if isinstance(e, Estimate) and e.details is not None and e.details.mouth is not None
        ]
        for e, row in zip(measured, pictures, strict=True):
            whole = e.span.duration_ns
            turn = next((t for t in turns if t.voiced.overlap_ns(e.span) == whole), None)
            if turn is not None:
                place = panel_of(e.details.box, panels)
                self.motion[place == turn.panel].append(row)
        aligned = list(run(Aligner(NS // 2, (Modality.FACE, Modality.SPEECH)), [*looked, *heard]))
        for variant, config in VARIANTS.items():
            self.tallies[variant][name] = judge(
                run(ActiveSpeakerAttribution(config), aligned), turns, panels
            )

    def _measure(self, before: Grey, after: Grey, pictures: list[list[float]]) -> float:
        row = []
        for name, measure in MEASURES.items():
            start = time.process_time()
            row.append(measure(before, after))
            self.seconds[name] += time.process_time() - start
        pictures.append(row)
        return row[-1]

    def figures(self) -> dict[str, Any]:
        """Sum up."""
        speaks, listens = (np.array(self.motion[k]) for k in (True, False))
        wins = (speaks[:, None] > listens[None]).mean(axis=(0, 1))
        count = len(speaks) + len(listens)
        kinds = ("turns", "sole", "elsewhere")
        return {
            "pictures": {"speaking": len(speaks), "listening": len(listens)},
            "measures": {
                name: {"auc": round(float(auc), 4), "ms": round(1e3 * s / count, 3)}
                for (name, s), auc in zip(self.seconds.items(), wins, strict=True)
            },
            "shares": {
                variant: {kind: shares(tallies, kind) for kind in kinds}
                for variant, tallies in self.tallies.items()
            },
            "composites": self.tallies,
        }


def run(stage: Stage[Any, Any], items: Iterable[Any]) -> Iterator[Any]:
    """Feed a stage everything, then flush it."""
    for item in items:
        yield from stage.feed(item)
    yield from stage.flush()


def panel_of(box: tuple[float, float, float, float], panels: int) -> int:
    """Say in which panel a face is."""
    return int((box[0] + box[2] / 2) * panels)


def judge(slots: Iterable[Any], turns: Sequence[Turn], panels: int) -> dict[str, int]:
    """Count the voiced slots by whom they were given to."""
    tally = {"right": 0, "wrong": 0, "unknown": 0, "unseen": 0}
    by_span: dict[Span, list[Slot]] = {}
    for slot in slots:
        if isinstance(slot, Slot):
            by_span.setdefault(slot.span, []).append(slot)
    for span, here in by_span.items():
        turn = next((t for t in turns if 2 * t.voiced.overlap_ns(span) >= span.duration_ns), None)
        owner = next((s for s in here if Modality.SPEECH in s.evidence), None)
        if turn is None or owner is None:
            continue
        places = {
            s.subject: panel_of(s.evidence[Modality.FACE].details.box, panels)
            for s in here
            if Modality.FACE in s.evidence
        }
        if turn.panel is not None and turn.panel not in places.values():
            tally["unseen"] += 1
        elif owner.subject not in places:
            tally["unknown"] += 1
        else:
            tally["right" if places[owner.subject] == turn.panel else "wrong"] += 1
    return tally


def shares(tallies: dict[str, dict[str, int]], kind: str) -> dict[str, float]:
    """Sum up the composites of one kind: number of slots, and shares of those answered."""
    total: Counter[str] = Counter()
    for name, tally in tallies.items():
        total.update(tally if name.startswith(kind) else {})
    slots = total["right"] + total["wrong"] + total["unknown"]
    answers = {k: round(total[k] / max(1, slots), 4) for k in ("right", "wrong", "unknown")}
    return {"slots": slots, **answers, "unseen": total["unseen"]}


def main() -> None:
    """Make the composites, analyze them, print and save."""
    data = data_root()
    parser = argparse.ArgumentParser(description=__doc__)
    default = data / "clips" if data else None
    parser.add_argument("clips", type=Path, nargs="?" if default else None, default=default)
    parser.add_argument("--only", default="grid,ravdess", help="how the clips' names may begin")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    begin = tuple(args.only.split(","))
    paths = [p for p in sorted(args.clips.iterdir()) if p.name.startswith(begin)]
    heads = [head for p in paths if (head := read_head(p))]
    study = Study()
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, panels, turns) in composites(heads, Path(folder)).items():
            study.add(name, path, panels, turns)
            print(name, study.tallies["mouth, lag 0.5 s"][name], flush=True)
    figures = {"heads": [h.name for h in heads], **study.figures()}
    if args.save:
        write_result("who_speaks", figures)
    else:
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
