"""Measures a speech model on CREMA-D and RAVDESS; reproduces the figures of its card.

    python -m emofuse.evaluation.speech --data ROOT

`ROOT` is laid out as the recipes of both corpora say. No torch is needed: what
is measured is the ONNX model, fed with the windows that an analysis cuts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import SPEAKER
from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..core.media import AudioChunk, Sample, WindowSpec
from ..corpora.labels import load_map, soft_target
from ..corpora.manifest import Entry, Manifest, Split
from ..corpora.recipes import crema_d, ravdess
from ..engine.windows import Windower
from ..errors import InputError
from ..models.card import Calibration, Metric
from ..models.recogniser import OnnxRecogniser
from ..sources.audio import read_audio
from ..speech.segment import RATE, VoiceActivity
from . import command, metrics

COMMAND = "python -m emofuse.evaluation.speech --data ROOT"

LABELS = Taxonomy("speech", tuple(x for x in CANONICAL.labels if x != "contempt"))
"""What the protocol's models answer: none of the corpora has contempt."""

Waveform = NDArray[np.float32]
Floats = NDArray[np.float32]


class Cut(str, Enum):
    """What of a clip the model hears; all of a clip's answers are averaged."""

    CLIP = "clip"
    USE = "in use"
    SHORT = "1 s"

    @property
    def protocol(self) -> str:
        """The cut in words."""
        return {
            Cut.CLIP: "whole clips, cut into the card's windows",
            Cut.USE: "as an analysis does it: the card's windows inside the regions that voice "
            "activity detection finds; a clip without any counts as neutral",
            Cut.SHORT: "one second from the middle of the voiced part of each clip",
        }[self]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model said about the windows of a set of clips.

    Args:
        logits: of each window, over `LABELS`, shape (windows, 7).
        clip: which clip each window is of, shape (windows,).
        weight: how many seconds each window's answer stands for, shape (windows,).
        actual: label of each clip, as an index into `LABELS`, shape (clips,).
        known: which of `LABELS` the corpus has, shape (7,).
    """

    logits: Floats
    clip: NDArray[np.int64]
    weight: Floats
    actual: NDArray[np.int64]
    known: NDArray[np.bool_]

    def probabilities(self, calibration: Calibration, closed: bool = True) -> Floats:
        """Average each clip's calibrated answers: shape (clips, 7).

        Args:
            calibration: turns logits into probabilities.
            closed: ask for the corpus' own labels only.
        """
        logits = np.where(self.known, self.logits, -1e4) if closed else self.logits
        out = np.zeros((len(self.actual), len(LABELS)))
        # A trace of neutral: what is answered where no voice was found.
        out[:, LABELS.index("neutral")] = 1e-9
        rows = calibration.probabilities(logits) * self.weight[:, None]
        np.add.at(out, self.clip, rows)
        out /= out.sum(axis=1, keepdims=True)
        return out.astype(np.float32)

    def figures(self, calibration: Calibration) -> dict[str, float]:
        """Measure the clips' answers; ``…_open`` lets the model answer all seven labels."""
        n = len(LABELS)
        p = self.probabilities(calibration)
        out = {
            "uar": metrics.uar(self.actual, p.argmax(axis=1), n),
            "accuracy": metrics.accuracy(self.actual, p.argmax(axis=1)),
            "macro_f1": metrics.macro_f1(self.actual, p.argmax(axis=1), n),
            "ece": metrics.ece(self.actual, p),
            "ece_uncalibrated": metrics.ece(self.actual, self.probabilities(Calibration())),
        }
        if not self.known.all():
            free = self.probabilities(calibration, closed=False).argmax(axis=1)
            out["uar_open"] = metrics.uar(self.actual, free, n)
        return out


def to_labels(name: str) -> LabelMap:
    """Return the map of a corpus' native labels to `LABELS`."""
    to = load_map(name)
    return LabelMap(to.source, LABELS, to.weights, to.dropped)


def voiced_range(sound: Waveform, rate: int) -> tuple[int, int]:
    """Find where a recording of one voice starts and ends, by energy.

    The level of 20 ms frames must be within 30 dB of the loud ones' (95th
    percentile); 100 ms are added on both sides. It finds much the same as voice
    activity detection proper in studio recordings, a hundred times faster.

    Returns:
        First sample, and the one after the last.
    """
    size = rate // 50
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    if not len(frames):
        return 0, len(sound)
    power = (frames.astype(np.float32) ** 2).mean(axis=1)
    loud = np.flatnonzero(power >= 1e-3 * np.percentile(power, 95))
    pad = rate // 10
    return max(0, int(loud[0]) * size - pad), min(len(sound), (int(loud[-1]) + 1) * size + pad)


def answers(
    recogniser: OnnxRecogniser,
    entries: Iterable[Entry],
    to: LabelMap,
    cut: Cut,
    tick: Callable[[], object] = lambda: None,
) -> Answers:
    """Let a model answer clips.

    Args:
        recogniser: a model of `LABELS`.
        entries: the clips, with one label each.
        to: the map of their labels.
        cut: what of each clip it hears.
        tick: called after each clip.

    Raises:
        InputError: if there are no clips, or one cannot be read.
    """
    cutter = _Cutter(cut, recogniser.card.window)
    logits = [np.zeros((0, len(LABELS)), np.float32)]
    clip: list[int] = []
    weight: list[float] = []
    actual: list[int] = []
    for i, entry in enumerate(entries):
        assert entry.path is not None
        samples = list(cutter(read_audio(entry.path, RATE)))
        if samples:
            logits.append(recogniser.logits([recogniser.prepare(s.data) for s in samples]))
        clip += [i] * len(samples)
        weight += [s.span.duration for s in samples]
        actual.append(int(soft_target(entry.labels, to).argmax()))
        tick()
    if not actual:
        raise InputError("no clips to measure on: does the corpus' table have its test speakers?")
    return Answers(
        np.concatenate(logits),
        np.array(clip, np.int64),
        np.array(weight, np.float32),
        np.array(actual, np.int64),
        to.covered,
    )


class _Cutter:
    """Cuts clips into windows with the very stages of an analysis."""

    def __init__(self, cut: Cut, window: WindowSpec | None) -> None:
        if window is None:
            raise InputError("this protocol needs a model of windows; its card has no `window`")
        self._cut = cut
        self._windower = Windower(window, SPEAKER, lambda samples, rate: 1.0)
        self._voice = VoiceActivity() if cut is Cut.USE else None

    def __call__(self, sound: Waveform) -> Iterator[Sample]:
        self._windower.reset()
        for chunk in self._regions(sound):
            yield from (s for s in self._windower.feed(chunk) if isinstance(s, Sample))
        yield from self._windower.flush()

    def _regions(self, sound: Waveform) -> Iterator[AudioChunk]:
        if self._voice is not None:
            self._voice.reset()
            found = [*self._voice.feed(AudioChunk(sound, RATE, 0)), *self._voice.flush()]
            yield from (x for x in found if isinstance(x, AudioChunk))
            return
        first, last = 0, len(sound)
        if self._cut is Cut.SHORT:
            start, end = voiced_range(sound, RATE)
            first = start + max(0, end - start - RATE) // 2
            last = min(end, first + RATE)
        yield AudioChunk(np.ascontiguousarray(sound[first:last]), RATE, first)


def test_sets(root: Path) -> Iterator[tuple[Manifest, str]]:
    """Yield what is reported, with its name: the speakers that no shipped model has heard.

    Raises:
        InputError: if a corpus is not under `root`.
    """
    yield crema_d.load(root).of(Split.TEST).without(crema_d.CONFLICTING), "test"
    yield ravdess.load(root).of(Split.TEST), f"fold {ravdess.TEST_FOLD}"


def evaluate(
    recogniser: OnnxRecogniser, root: Path, cuts: Sequence[Cut] = tuple(Cut)
) -> list[Metric]:
    """Measure a speech model on the test speakers of both corpora.

    Raises:
        InputError: if a corpus is not under `root` or the model has other labels.
    """
    if recogniser.taxonomy.labels != LABELS.labels:
        raise InputError(
            f"this protocol needs a model of the labels {', '.join(LABELS.labels)}; "
            f"{recogniser.model_id!r} has {', '.join(recogniser.taxonomy.labels)}"
        )
    from rich.progress import Progress

    out = []
    with Progress(transient=True) as progress:
        for manifest, split in test_sets(root):
            for cut in cuts:
                task = progress.add_task(f"{manifest.corpus}, {cut.value}", total=len(manifest))
                found = answers(
                    recogniser,
                    manifest,
                    to_labels(manifest.taxonomy.name),
                    cut,
                    lambda task=task: progress.advance(task),  # type: ignore[misc]
                )
                out += list(_metrics(found, manifest, split, cut, recogniser.card.calibration))
    return out


def _metrics(
    found: Answers, manifest: Manifest, split: str, cut: Cut, calibration: Calibration
) -> Iterator[Metric]:
    speakers = len({e.speaker for e in manifest})
    of = f"{len(manifest)} clips of {speakers} speakers; {cut.protocol}; acted emotion"
    for name, value in found.figures(calibration).items():
        if name == "uar_open":
            answered = "the answer is the best of all seven labels"
        else:
            answered = f"the answer is the best of the corpus' {int(found.known.sum())} labels"
        bins = "; 15 bins" if name.startswith("ece") else ""
        yield Metric(
            corpus=manifest.corpus,
            split=f"{split}, {cut.value}",
            name=name,
            value=round(value, 4),
            protocol=f"{of}; {answered}{bins}",
            command=COMMAND,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure beside the card's; see `command.run` for what is returned."""
    parser = command.parser(__doc__ or "", "speech-compact-v1", "both corpora")
    parser.add_argument(
        "--cut", choices=[c.value for c in Cut], action="append", help="only this cut; repeatable"
    )
    args = parser.parse_args(arguments)
    cuts = [Cut(c) for c in args.cut or list(Cut)]
    return command.run(
        args, lambda recogniser, args: evaluate(recogniser, args.data, cuts), tolerance=2e-3
    )


if __name__ == "__main__":
    sys.exit(main())
