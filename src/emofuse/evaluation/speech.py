"""Measures a speech model on CREMA-D and RAVDESS; reproduces the figures of its card.

    python -m emofuse.evaluation.speech --data ROOT

`ROOT` is laid out as the recipes of both corpora say. No torch is needed: what
is measured is the ONNX model, fed with the windows that an analysis cuts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.labels import CANONICAL, LabelMap, Taxonomy
from ..corpora.labels import load_map, soft_target
from ..corpora.manifest import Entry, Manifest, Split
from ..corpora.recipes import crema_d, ravdess
from ..errors import InputError
from ..models.card import Calibration, Metric
from ..models.recogniser import OnnxRecogniser
from . import command
from .metrics import classification as metrics
from .predict.predict import ask, windows
from .predict.segmentation import Segmentation, voiced_range

__all__ = [
    "COMMAND", "LABELS", "Predictions", "Segmentation", "answers", "evaluate", "main", "test_sets", "to_labels",
    "voiced_range",
]  # fmt: skip

COMMAND = "python -m emofuse.evaluation.speech --data ROOT"

LABELS = Taxonomy("speech", tuple(x for x in CANONICAL.labels if x != "contempt"))
"""What the protocol's models answer: none of the corpora has contempt."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
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
        p = calibration.probabilities(self.logits)
        out = np.zeros((len(self.actual), len(LABELS)))
        # A trace of neutral: what is answered where no voice was found.
        out[:, LABELS.index("neutral")] = 1e-9
        rows = (metrics.among(p, self.known) if closed else p) * self.weight[:, None]
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


def answers(
    recogniser: OnnxRecogniser,
    entries: Iterable[Entry],
    to: LabelMap,
    cut: Segmentation,
    tick: Callable[[], object] = lambda: None,
) -> Predictions:
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
    asked = tuple(entries)
    if not asked:
        raise InputError("no clips to measure on: does the corpus' table have its test speakers?")
    found = ask(recogniser, asked, [windows(recogniser.card, cut)], tick)[0]
    actual = [int(soft_target(entry.labels, to).argmax()) for entry in asked]
    return Predictions(
        found.logits, found.sample, found.weight, np.array(actual, np.int64), to.covered
    )


def test_sets(root: Path) -> Iterator[tuple[Manifest, str]]:
    """Yield what is reported, with its name: the speakers that no shipped model has heard.

    Raises:
        InputError: if a corpus is not under `root`.
    """
    yield crema_d.load(root).of(Split.TEST).without(crema_d.CONFLICTING), "test"
    yield ravdess.load(root).of(Split.TEST), f"fold {ravdess.TEST_FOLD}"


def evaluate(
    recogniser: OnnxRecogniser, root: Path, cuts: Sequence[Segmentation] = tuple(Segmentation)
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
    found: Predictions, manifest: Manifest, split: str, cut: Segmentation, calibration: Calibration
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
    parser = command.parser(__doc__ or "", "speech-whisper-v3", "both corpora")
    parser.add_argument(
        "--cut",
        choices=[c.value for c in Segmentation],
        action="append",
        help="only this cut; repeatable",
    )
    args = parser.parse_args(arguments)
    cuts = [Segmentation(c) for c in args.cut or list(Segmentation)]
    return command.run(
        args, lambda recogniser, args: evaluate(recogniser, args.data, cuts), tolerance=2e-3
    )


if __name__ == "__main__":
    sys.exit(main())
