"""Measures a text model on GoEmotions; reproduces the figures of its card.

    python -m emofuse.evaluation.text --data ROOT

`ROOT` is laid out as `emofuse.corpora.recipes.goemotions` says. No torch is needed:
what is measured is the ONNX model through the recogniser's own `prepare`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.labels import CANONICAL, Taxonomy
from ..corpora.labels import load_map, soft_targets
from ..corpora.manifest import Manifest, Split
from ..corpora.recipes import goemotions
from ..corruptions.text import as_spoken
from ..errors import InputError
from ..models.card import Calibration, Metric
from ..models.recogniser import OnnxRecogniser
from . import command
from .metrics import classification as metrics
from .metrics.multilabel import best_thresholds, multilabel_f1

__all__ = [
    "COMMAND", "LABELS", "TextSamples", "choose_thresholds", "evaluate", "figures", "logits_of",
    "main", "present_labels", "read_samples", "texts_of",
]  # fmt: skip

COMMAND = "python -m emofuse.evaluation.text --data ROOT"

LABELS = Taxonomy(
    CANONICAL.name,
    tuple(
        label
        for label, known in zip(CANONICAL.labels, load_map("goemotions_ekman").covered, strict=True)
        if known
    ),
)
"""What a text model answers: the canonical labels that GoEmotions knows, all but contempt."""

_ALL = "every comment; a label counts as found where its probability reaches a threshold of its own"
_CHOSEN = "thresholds chosen on validation, one a label, for the best F1"
_ONE = "comments with one of the seven labels; the answer is the most probable label"
_PROTOCOLS = {
    "macro_f1": f"multi-label, mean F1 of Ekman's six and neutral; {_ALL}; {_CHOSEN}",
    "macro_f1_top": f"mean F1 of Ekman's six and neutral; {_ONE}",
    "accuracy_top": _ONE,
    "macro_f1_spoken": "as macro_f1, the comments in lower case and without punctuation",
    "ece": f"15 bins, calibrated; {_ONE}",
    "ece_uncalibrated": f"as ece, at temperature 1; {_ONE}",
}


@dataclass(frozen=True, slots=True, eq=False)
class TextSamples:
    """Comments of one split.

    Args:
        texts: what was written.
        present: which of `LABELS` a comment has, bool (n, 7); at least one.
    """

    texts: tuple[str, ...]
    present: NDArray[np.bool_]

    @property
    def target(self) -> NDArray[np.float64]:
        """Equal shares for the labels of a comment, (n, 7)."""
        shares: NDArray[np.float64] = self.present / self.present.sum(axis=1, keepdims=True)
        return shares


def read_samples(root: Path, split: Split) -> TextSamples:
    """Read one split.

    Raises:
        InputError: if the corpus is not under `root`.
    """
    manifest = goemotions.load(root, goemotions.Grain.EKMAN).of(split)
    return TextSamples(texts_of(manifest), present_labels(manifest))


def texts_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the texts of a manifest's entries."""
    return tuple(entry.text or "" for entry in manifest)


def present_labels(manifest: Manifest) -> NDArray[np.bool_]:
    """Return which of `LABELS` each entry has, in either of the corpus' labellings."""
    columns = [CANONICAL.index(label) for label in LABELS.labels]
    present: NDArray[np.bool_] = (
        soft_targets(manifest, load_map(manifest.taxonomy.name))[:, columns] > 0
    )
    return present


def logits_of(
    recogniser: OnnxRecogniser, texts: Sequence[str], batch: int = 64
) -> NDArray[np.float32]:
    """Run a recogniser on texts, those of about equal length together: (n, labels)."""
    rows = [recogniser.prepare(text) for text in texts]
    order = np.argsort([len(row) for row in rows], kind="stable")
    parts = [
        recogniser.logits([rows[i] for i in order[k : k + batch]])
        for k in range(0, len(order), batch)
    ]
    out = np.empty((len(rows), parts[0].shape[1]), np.float32)
    out[order] = np.concatenate(parts)
    return out


def figures(
    logits: NDArray[np.float32],
    samples: TextSamples,
    thresholds: NDArray[np.float64],
    calibration: Calibration,
) -> dict[str, float]:
    """Measure logits over `LABELS`, (n, 7).

    Args:
        logits: uncalibrated.
        samples: what was asked.
        thresholds: of the calibrated probabilities, one a label.
        calibration: of the model.

    Returns:
        ``macro_f1`` and ``f1_LABEL`` as multi-label figures with thresholds;
        ``macro_f1_top`` and ``accuracy_top`` of the most probable label, and the
        calibration errors ``ece`` and ``ece_uncalibrated``, on the comments that
        have one label only.
    """
    probabilities = calibration.probabilities(logits)
    f1 = multilabel_f1(samples.present, probabilities >= thresholds)
    single = samples.present.sum(axis=1) == 1
    actual, answer = samples.present[single].argmax(axis=1), logits[single].argmax(axis=1)
    return {
        "macro_f1": float(f1.mean()),
        **{f"f1_{label}": float(x) for label, x in zip(LABELS.labels, f1, strict=True)},
        "macro_f1_top": metrics.macro_f1(actual, answer, len(LABELS)),
        "accuracy_top": metrics.accuracy(actual, answer),
        "ece": metrics.ece(actual, probabilities[single]),
        "ece_uncalibrated": metrics.ece(actual, Calibration().probabilities(logits[single])),
    }


def choose_thresholds(
    logits: NDArray[np.float32], samples: TextSamples, calibration: Calibration
) -> NDArray[np.float64]:
    """Find each label's best threshold on samples that are not those of the report: (7,)."""
    return best_thresholds(samples.present, calibration.probabilities(logits))


def evaluate(recogniser: OnnxRecogniser, root: Path, splits: Sequence[Split]) -> list[Metric]:
    """Measure a text model on splits of GoEmotions, as written and as spoken.

    Raises:
        InputError: if the corpus is not under `root` or the model has other labels.
    """
    if recogniser.taxonomy.labels != LABELS.labels:
        raise InputError(
            f"this protocol needs a model of the labels {', '.join(LABELS.labels)}; "
            f"{recogniser.model_id!r} has {', '.join(recogniser.taxonomy.labels)}"
        )
    choose = read_samples(root, Split.VALIDATION)
    answers = {Split.VALIDATION: (choose, logits_of(recogniser, choose.texts))}
    calibration = recogniser.card.calibration
    thresholds = choose_thresholds(answers[Split.VALIDATION][1], choose, calibration)
    out = []
    for split in splits:
        if split not in answers:
            samples = read_samples(root, split)
            answers[split] = samples, logits_of(recogniser, samples.texts)
        samples, logits = answers[split]
        found = figures(logits, samples, thresholds, calibration)
        spoken = logits_of(recogniser, [as_spoken(text) for text in samples.texts])
        found["macro_f1_spoken"] = figures(spoken, samples, thresholds, calibration)["macro_f1"]
        out += [_metric(split, name, value, len(samples.texts)) for name, value in found.items()]
    return out


def _metric(split: Split, name: str, value: float, comments: int) -> Metric:
    protocol = _PROTOCOLS.get(name, f"F1 of one label; {_ALL}; {_CHOSEN}")
    if split is Split.VALIDATION and "threshold" in protocol:
        protocol += " (here itself, so a little too good)"
    return Metric(
        corpus="GoEmotions",
        split=split.value,
        name=name,
        value=round(value, 4),
        protocol=f"{comments} comments in all; {protocol}",
        command=COMMAND,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure beside the card's; see `command.run` for what is returned."""
    args = command.parser(__doc__ or "", "text-minilm-v2", "GoEmotions").parse_args(arguments)
    splits = (Split.VALIDATION, Split.TEST)
    return command.run(args, lambda recogniser, args: evaluate(recogniser, args.data, splits))


if __name__ == "__main__":
    sys.exit(main())
