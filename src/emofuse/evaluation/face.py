"""Measures a face model on FER2013 and FER+; reproduces the figures of its card.

    python -m emofuse.evaluation.face --data ROOT

`ROOT` is laid out as `emofuse.corpora.recipes.fer2013` says. No torch is needed:
what is measured is the ONNX model through the recogniser's own `prepare`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.labels import CANONICAL
from ..corpora.labels import load_map, soft_targets
from ..corpora.manifest import Manifest, Split
from ..corpora.recipes import fer2013
from ..errors import InputError
from ..models.card import Calibration, Metric
from ..models.recogniser import OnnxRecogniser
from . import command
from .metrics import classification as metrics

COMMAND = "python -m emofuse.evaluation.face --data ROOT"

_SEVEN = (
    "FER2013's label; the answer is the best of FER2013's seven classes, contempt left out; "
    "one crop, no mirror image"
)
_MAJORITY = (
    "the class that more than half of FER+'s taggers agree on, single votes dropped (Barsoum et "
    "al. 2016); eight classes; one crop"
)
_EIGHT = "the class with most FER+ votes, faces without a tie; eight classes; one crop"
_PROTOCOLS = {
    "accuracy": _SEVEN,
    "uar": _SEVEN,
    "macro_f1": _SEVEN,
    "ferplus_accuracy": _EIGHT,
    "ferplus_macro_f1": _EIGHT,
    "ferplus_majority_accuracy": _MAJORITY,
    "ferplus_majority_macro_f1": _MAJORITY,
    "ece": f"15 bins, calibrated, probabilities of the seven classes scaled to sum to 1; {_SEVEN}",
    "ece_uncalibrated": f"as ece, at temperature 1; {_SEVEN}",
    "ferplus_ece": f"15 bins, calibrated; {_EIGHT}",
    "ferplus_ece_uncalibrated": f"as ferplus_ece, at temperature 1; {_EIGHT}",
}


@dataclass(frozen=True, slots=True, eq=False)
class FaceSamples:
    """Faces of one split with both labellings.

    Args:
        faces: grey uint8, (n, 48, 48).
        labels: FER2013's label in canonical classes, one-hot float32, (n, 8).
        votes: FER+'s votes in canonical classes, summing to 1, or 0 where there
            are none, float32, (n, 8).
        majority: what FER+'s taggers agree on (see `fer2013.agreed`), one-hot, or 0
            where they don't, float32, (n, 8); None: not asked for.
    """

    faces: NDArray[np.uint8]
    labels: NDArray[np.float32]
    votes: NDArray[np.float32]
    majority: NDArray[np.float32] | None = None

    def target(self, share: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Mix the labellings, `share` of it FER+'s votes.

        A face without votes has its label alone, and nothing is known of contempt.

        Returns:
            Targets (n, 8), and which of their labels are known, (n, 8).
        """
        voted = self.votes.any(axis=1, keepdims=True)
        mixed = share * self.votes + (1 - share) * self.labels
        known = voted | load_map("fer2013").covered
        return np.where(voted, mixed, self.labels), known


def read_samples(root: Path, split: Split, *leave_out: str) -> FaceSamples:
    """Read one split, without the faces that carry one of the flags `leave_out`.

    Raises:
        InputError: if the corpus is not under `root`.
    """

    def part(manifest: Manifest) -> Manifest:
        return manifest.of(split).without(*leave_out)

    labelled, voted = part(fer2013.load(root)), part(fer2013.load_votes(root))
    agreed = [replace(entry, labels=fer2013.agreed(entry.labels)) for entry in voted]
    return FaceSamples(
        fer2013.read_images(labelled),
        soft_targets(labelled, load_map("fer2013")),
        soft_targets(voted, load_map("ferplus")),
        soft_targets(agreed, load_map("ferplus")),
    )


def figures(
    logits: NDArray[np.float32], samples: FaceSamples, calibration: Calibration | None = None
) -> dict[str, float]:
    """Measure logits over the canonical labels, (n, 8), against both labellings.

    Returns:
        ``accuracy``, ``uar``, ``macro_f1``: against FER2013's label, over its seven
        classes; contempt, which it lacks, is left out of the answers.
        ``ferplus_accuracy``, ``ferplus_macro_f1``: against the class with most FER+
        votes, over eight classes and the faces where no two classes share the most.
        ``ferplus_majority_…``: the same where more than half of the taggers agree.
        With a calibration, also the expected calibration errors with and without it.
    """
    n = len(CANONICAL)
    of_seven = np.where(load_map("fer2013").covered, logits, -1e4).astype(np.float32)
    label, answer = samples.labels.argmax(axis=1), of_seven.argmax(axis=1)
    most = np.sort(samples.votes, axis=1)[:, -2:]
    clear = most[:, 1] > most[:, 0]
    majority, of_eight = samples.votes[clear].argmax(axis=1), logits[clear]
    out = {
        "accuracy": metrics.accuracy(label, answer),
        "uar": metrics.uar(label, answer, n),
        "macro_f1": metrics.macro_f1(label, answer, n),
        "ferplus_accuracy": metrics.accuracy(majority, of_eight.argmax(axis=1)),
        "ferplus_macro_f1": metrics.macro_f1(majority, of_eight.argmax(axis=1), n),
    }
    if samples.majority is not None:
        agreed = samples.majority.any(axis=1)
        wanted, answered = (x[agreed].argmax(axis=1) for x in (samples.majority, logits))
        out["ferplus_majority_accuracy"] = metrics.accuracy(wanted, answered)
        out["ferplus_majority_macro_f1"] = metrics.macro_f1(wanted, answered, n)
    if calibration is not None:
        for suffix, c in (("", calibration), ("_uncalibrated", Calibration())):
            seven = metrics.among(c.probabilities(logits), load_map("fer2013").covered)
            out[f"ece{suffix}"] = metrics.ece(label, seven)
            out[f"ferplus_ece{suffix}"] = metrics.ece(majority, c.probabilities(of_eight))
    return out


def logits_of(recogniser: OnnxRecogniser, samples: FaceSamples) -> NDArray[np.float32]:
    """Run a recogniser on samples, as it runs on the crops of a tracker: (n, labels)."""
    crops = np.repeat(samples.faces[..., None], 3, axis=3)
    rows = [recogniser.prepare(crop) for crop in crops]
    parts = [recogniser.logits(rows[i : i + 256]) for i in range(0, len(rows), 256)]
    return np.concatenate(parts)


def evaluate(recogniser: OnnxRecogniser, root: Path, splits: Sequence[Split]) -> list[Metric]:
    """Measure a face model on splits of FER2013, whole and without repeated or blank images.

    Raises:
        InputError: if the corpus is not under `root` or the model has other labels.
    """
    if recogniser.taxonomy.labels != CANONICAL.labels:
        raise InputError(
            f"this protocol needs a model of the labels {', '.join(CANONICAL.labels)}; "
            f"{recogniser.model_id!r} has {', '.join(recogniser.taxonomy.labels)}"
        )
    out = []
    for split in splits:
        for name, leave_out in (
            (split.value, ()),
            (f"{split.value}, clean", (fer2013.BLANK, fer2013.DUPLICATE)),
        ):
            samples = read_samples(root, split, *leave_out)
            found = figures(logits_of(recogniser, samples), samples, recogniser.card.calibration)
            used = f"{len(samples.faces)} faces"
            if leave_out:
                used += ", without blank images and repetitions of training images"
            out += [
                Metric(
                    corpus="FER+" if figure.startswith("ferplus") else fer2013.CORPUS,
                    split=name,
                    name=figure,
                    value=round(value, 4),
                    protocol=f"{used}; {_PROTOCOLS[figure]}",
                    command=COMMAND,
                )
                for figure, value in found.items()
            ]
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure beside the card's; see `command.run` for what is returned."""
    args = command.parser(__doc__ or "", "face-ferplus-v3", "FER2013 and FER+").parse_args(
        arguments
    )
    splits = (Split.VALIDATION, Split.TEST)
    return command.run(args, lambda recogniser, args: evaluate(recogniser, args.data, splits))


if __name__ == "__main__":
    sys.exit(main())
