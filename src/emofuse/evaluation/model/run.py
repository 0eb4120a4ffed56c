"""One run of a model over the samples of a corpus: labels, leaks, views, predictions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.estimates import Modality
from ...corpora.manifest import Entry, Manifest, Split
from ...errors import InputError
from ...face.config import FaceConfig
from ...face.crop import CropStyle
from ...group.recogniser import GroupRecogniser
from ...models.card import Calibration
from ..metrics.calibration import nll
from ..metrics.multilabel import best_thresholds
from ..predict.clips import ClipReader
from ..predict.inference import (
    LogitRecogniser,
    Predictions,
    Progress,
    View,
    crops,
    predict,
    view_of,
)
from ..predict.scenes import FaceFinder
from ..predict.segmentation import Segmentation
from ..protocol import protocols
from ..protocol.label_alignment import LabelAlignment, align
from ..protocol.leaks import LeakError
from ..protocol.protocols import Kind, Protocol
from ..protocol.robustness import corruptions
from ..report.results import ModelFacts
from .plan import Plan
from .samples import Floats, LabelledSamples, Scored


class ModelRun:
    """One model and the samples that it is evaluated on.

    Making it refuses what cannot be evaluated; `run` takes the time.

    Args:
        model: the model.
        manifest: the whole corpus.
        plan: what is evaluated.
        home: folder of the card, which may tell its fold; None if it has none.
        progress: starts a progress bar.

    Raises:
        InputError: see `evaluate`.
    """

    def __init__(
        self,
        model: LogitRecogniser,
        manifest: Manifest,
        plan: Plan,
        home: Path | None,
        progress: Progress,
    ) -> None:
        self.model, self.plan, self.progress = model, plan, progress
        self.modality = model.card.modality
        self.alignment: LabelAlignment = align(
            model.taxonomy, manifest.taxonomy, plan.label_map, model.card.label_map
        )
        self.multi = manifest.taxonomy.multi_label
        self.excluded: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.fold: int | None = None
        protocol = plan.protocol
        if protocol.kind is Kind.FOLDS:
            self.fold = protocols.held_out_fold(manifest, model.card, home)
            protocol = Protocol(Kind.FOLD, None, self.fold)
        chosen = protocol.select(manifest, model.card)
        self._refuse_leaks(protocol, manifest, chosen)
        self.samples = self._labelled(_limited(chosen, plan))
        self._validation = self._validation_samples(manifest, chosen)
        self._explain_labels()
        noise = plan.noise if self.modality is Modality.SPEECH else None
        self.corruptions = corruptions(self.modality, noise) if plan.robustness else ()
        self._read: Callable[[Entry], Any] | None = None
        self.views: list[View] = [view_of(model.card, s) for s in self._segmentations]
        if self.modality is Modality.FACE and plan.faces.need_detection(chosen):
            self._read = FaceFinder(
                FaceConfig(detector=plan.detector), style=CropStyle.of_card(model.card)
            )
            self.views = [crops]
            self.notes.append(
                f"Faces were found ({plan.detector}) and tracked as in an analysis; the "
                "predictions for them were averaged."
            )
        if isinstance(model, GroupRecogniser):
            self._read = ClipReader(model)
            self.notes.append("Keyframes and faces were found as in an analysis.")
        self.views += [s.view(self.views[0], plan.seed) for s in self.corruptions]
        self.temperature_refit: float | None = None
        self.thresholds: NDArray[np.float64] | None = None

    @property
    def _segmentations(self) -> tuple[Segmentation, ...]:
        return self.plan.segmentations if self.modality is Modality.SPEECH else (Segmentation.FULL,)

    @property
    def facts(self) -> ModelFacts:
        """What the report says of the model."""
        card = self.model.card
        return ModelFacts(
            card.id,
            card.files["weights"].sha256,
            card.taxonomy.labels,
            card.calibration.temperature,
            card.licence,
            self.fold,
        )

    def run(self) -> list[Scored]:
        """Predict all samples: one `Scored` per view."""
        if self._validation is not None:
            self._fit(self._validation)
        n = len(self.samples.entries)
        where = "" if self.fold is None else f", fold {self.fold}"
        tick = self.progress(f"{self.model.model_id}{where}", n)
        found = predict(self.model, self.samples.entries, self.views, tick, self._read)
        self._note_missed(found[: len(self._segmentations)])
        if self.multi and self.thresholds is None:
            # Only where validation itself is evaluated: anything else was refused before.
            p = found[0].probabilities(self.alignment, self.model.card.calibration)
            self.thresholds = best_thresholds(self.samples.present, p)
        return [self._score(predictions) for predictions in found]

    def _score(self, predictions: Predictions) -> Scored:
        card = self.model.card.calibration
        fitted = self.temperature_refit
        return Scored(
            self.samples,
            predictions.probabilities(self.alignment, card),
            predictions.probabilities(self.alignment, Calibration()),
            predictions.probabilities(self.alignment, Calibration(fitted)) if fitted else None,
            self._unmasked(predictions) if self.alignment.unknown_to_corpus else None,
            self._missed(predictions),
        )

    def _missed(self, predictions: Predictions) -> NDArray[np.bool_]:
        """Samples without a prediction: a missed face is an error, silence counts as neutral."""
        if self.modality is Modality.FACE:
            return predictions.missed
        return np.zeros(predictions.samples, bool)

    def _note_missed(self, found: Sequence[Predictions]) -> None:
        for segmentation, predictions in zip(self._segmentations, found, strict=True):
            if not (n := int(predictions.missed.sum())):
                continue
            if self.modality is Modality.FACE:
                note = (
                    f"No face was found in {n} samples: these count as errors, not in calibration."
                )
            else:
                note = (
                    f"No speech was found in {n} samples ({segmentation.value}): these count as "
                    "predicted neutral, or by chance where that is no label."
                )
            self.notes.append(note)

    def _unmasked(self, predictions: Predictions) -> NDArray[np.int64]:
        shared = self.alignment.shared
        number_of = np.where(shared, np.cumsum(shared) - 1, len(self.alignment.labels))
        best = predictions.unmasked(self.alignment, self.model.card.calibration)
        found: NDArray[np.int64] = number_of[best]
        return np.where(self._missed(predictions), len(self.alignment.labels), found)

    def _fit(self, samples: LabelledSamples) -> None:
        tick = self.progress(f"{self.model.model_id}, validation", len(samples.entries))
        predictions = predict(self.model, samples.entries, self.views[:1], tick, self._read)[0]
        if self.multi:
            p = predictions.probabilities(self.alignment, self.model.card.calibration)
            self.thresholds = best_thresholds(samples.present, p)
        if self.plan.refit:
            single = samples.single & ~self._missed(predictions)
            self.temperature_refit = fit_temperature(
                predictions.subset(single), samples.actual[single], self.alignment
            )

    def _validation_samples(self, manifest: Manifest, chosen: Manifest) -> LabelledSamples | None:
        """Validation data apart from what is evaluated; None if not needed or not there."""
        if not (self.plan.refit or self.multi):
            return None
        taken = {e.id for e in chosen}
        held = manifest.of(Split.VALIDATION).where(lambda e: e.id not in taken)
        if len(held):
            return self._labelled(held, count=False)
        if self.multi:
            if {e.split for e in chosen} != {Split.VALIDATION}:
                raise InputError(
                    f"{manifest.corpus} is multi-label, which needs thresholds, and has no "
                    "validation split to choose them on: give one, or evaluate on the "
                    "validation split itself (--split validation)"
                )
            self.notes.append(
                "The thresholds were chosen on the samples that are evaluated, so the "
                "multi-label metrics are slightly optimistic."
            )
        self.notes.append(
            f"{manifest.corpus} has no validation samples apart from those evaluated: no "
            "temperature was refitted."
        )
        return None

    def _labelled(self, manifest: Manifest, count: bool = True) -> LabelledSamples:
        targets = self.alignment.targets(manifest)
        keep, reasons = self._usable(targets)
        if count:
            self.excluded.update({reason: n for reason, n in reasons.items() if n})
        if not keep.any():
            raise InputError(
                f"no sample of {manifest.corpus} can be used: "
                + ", ".join(f"{n} {reason}" for reason, n in reasons.items() if n)
            )
        shared = targets[keep][:, self.alignment.shared]
        entries = tuple(e for e, yes in zip(manifest, keep, strict=True) if yes)
        actual = shared.argmax(axis=1)
        # Votes are not labels: in a single-label corpus the winner counts.
        present = shared > 0 if self.multi else np.eye(shared.shape[1], dtype=bool)[actual]
        return LabelledSamples(entries, actual, present)

    def _usable(self, targets: Floats) -> tuple[NDArray[np.bool_], dict[str, int]]:
        known = targets[:, self.alignment.shared]
        labelled = targets.max(axis=1) > 0
        if self.multi:
            keep = known.max(axis=1) > 0
            tied = np.zeros(len(keep), bool)
        else:
            top = np.sort(targets, axis=1)
            tied = labelled & (top[:, -1] == top[:, -2])
            keep = labelled & ~tied & self.alignment.shared[targets.argmax(axis=1)]
        lost = self.alignment.unknown_to_model
        return keep, {
            "without a usable label": int((~labelled).sum()),
            "whose votes tie": int(tied.sum()),
            f"labelled {', '.join(lost)}, unknown to the model": int(
                (labelled & ~tied & ~keep).sum()
            ),
        }

    def _refuse_leaks(self, protocol: Protocol, manifest: Manifest, chosen: Manifest) -> None:
        try:
            self.notes += protocols.check(protocol, manifest, chosen, self.model.card)
        except LeakError as e:
            if not self.plan.despite_leaks:
                raise
            self.warnings.append(e.what)

    def _explain_labels(self) -> None:
        a = self.alignment
        if a.unknown_to_corpus:
            self.notes.append(
                f"The corpus has no {', '.join(a.unknown_to_corpus)}: the prediction is the "
                f"best of {len(a.labels)} shared labels, others are masked."
            )
        if dropped := dict(a.truth.dropped):
            reasons = "; ".join(f"{label}: {reason}" for label, reason in dropped.items())
            self.notes.append(f"Unused labels of the corpus: {reasons}.")


def fit_temperature(
    predictions: Predictions,
    actual: NDArray[np.int64],
    alignment: LabelAlignment,
    low: float = 0.05,
    high: float = 20.0,
) -> float:
    """Return the temperature in [low, high] that minimizes the log loss of averaged predictions.

    For samples of one piece this is `calibration.fit_temperature`; for several it
    accounts for the effect of averaging on confidence.
    """
    ratio = (math.sqrt(5) - 1) / 2

    def loss(log_t: float) -> float:
        return nll(actual, predictions.probabilities(alignment, Calibration(math.exp(log_t))))

    first, last = math.log(low), math.log(high)
    while last - first > 1e-3:
        left, right = last - ratio * (last - first), first + ratio * (last - first)
        if loss(left) < loss(right):
            last = right
        else:
            first = left
    return round(math.exp((first + last) / 2), 4)


def _limited(chosen: Manifest, plan: Plan) -> Manifest:
    if not 0 < plan.limit < len(chosen):
        return chosen
    rng = np.random.default_rng(plan.seed)
    rows = sorted(rng.choice(len(chosen), plan.limit, replace=False))
    return replace(chosen, entries=tuple(chosen.entries[i] for i in rows))
