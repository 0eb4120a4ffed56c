"""Evaluating a model: predict, refuse leaks, measure, corrupt."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...core.estimates import Modality
from ...corpora.manifest import Manifest
from ...errors import InputError
from ..predict.inference import LogitRecogniser, Progress
from ..protocol import protocols
from ..protocol.protocols import UNUSABLE, Kind
from ..report.provenance import provenance
from ..report.results import CorpusFacts, Evaluation, Part, SamplePrediction
from . import measure, subgroups
from .plan import Plan
from .run import ModelRun
from .samples import Scored


def evaluate(
    models: Sequence[LogitRecogniser],
    manifest: Manifest,
    plan: Plan | None = None,
    progress: Progress = lambda name, total: lambda: None,
    homes: Sequence[Path | None] = (),
) -> Evaluation:
    """Evaluate a model, or one model per fold, on a corpus.

    Args:
        models: one model; with the protocol `Kind.FOLDS`, one for each fold.
        manifest: the corpus.
        plan: what is evaluated.
        progress: starts a progress bar.
        homes: paths of the models' cards, which may tell their folds.

    Raises:
        InputError: if the evaluation would leak, the corpus is empty, labels cannot be
            aligned, a medium cannot be read, or thresholds need validation data that is
            not there.
    """
    started = time.monotonic()
    plan = plan or Plan()
    folds = plan.protocol.kind is Kind.FOLDS
    if len(models) != 1 and not folds:
        raise InputError(
            f"got {len(models)} models: only the protocol folds takes several, one per fold"
        )
    manifest = manifest.without(*UNUSABLE)
    places = tuple(homes) or (None,) * len(models)
    runs = [ModelRun(m, manifest, plan, h, progress) for m, h in zip(models, places, strict=True)]
    if folds:
        _check_folds(runs, manifest)
    found = [run.run() for run in runs]
    merged = [Scored.concatenated(rows) for rows in zip(*found, strict=True)]
    lead = runs[0]
    names = [""] if lead.modality is not Modality.SPEECH else [s.value for s in plan.segmentations]
    parts: list[Part] = []
    for name, scored in zip(names, merged, strict=False):
        parts += measure.parts_of(scored, name, lead, plan)
    if folds:
        parts[: len(names)] = [
            measure.with_folds(part, runs, [rows[i] for rows in found])
            for i, part in enumerate(parts[: len(names)])
        ]
    corrupted = merged[len(names) :]
    return Evaluation(
        modality=lead.modality.value,
        protocol=plan.protocol.name,
        models=tuple(run.facts for run in runs),
        corpus=_corpus_facts(manifest),
        parts=tuple(parts),
        subgroups=() if lead.multi else subgroups.compare(merged[0], plan.n_resamples, plan.seed),
        robustness=measure.robustness(merged[0], corrupted, lead, plan) if corrupted else (),
        temperature_refit=lead.temperature_refit,
        excluded=dict(sum((run.excluded for run in runs), Counter())),
        warnings=tuple(dict.fromkeys(w for run in runs for w in run.warnings)),
        notes=tuple(dict.fromkeys(n for run in runs for n in run.notes)),
        provenance=provenance(plan, (time.monotonic() - started) / 3600),
        predictions=_predictions(merged[0], lead.alignment.labels),
    )


def _predictions(scored: Scored, labels: Sequence[str]) -> tuple[SamplePrediction, ...]:
    s = scored.samples
    return tuple(
        SamplePrediction(
            entry.id,
            entry.speaker,
            tuple(label for label, yes in zip(labels, present, strict=True) if yes),
            () if missed else tuple(round(float(x), 5) for x in row),
        )
        for entry, present, row, missed in zip(
            s.entries, s.present, scored.p, scored.missed, strict=True
        )
    )


def _check_folds(runs: Sequence[ModelRun], manifest: Manifest) -> None:
    folds = protocols.folds_of(manifest)
    held = sorted(run.fold for run in runs if run.fold is not None)
    if held != list(folds):
        raise InputError(
            f"the protocol folds needs one model per fold of {manifest.corpus} "
            f"({', '.join(map(str, folds))}); the models given hold out {', '.join(map(str, held))}"
        )
    if len({run.alignment.labels for run in runs}) != 1 or len({run.modality for run in runs}) != 1:
        raise InputError("the models of the folds differ in their labels or modality")


def _corpus_facts(manifest: Manifest) -> CorpusFacts:
    native = manifest.taxonomy
    return CorpusFacts(
        manifest.corpus, native.name, native.labels, len(manifest), manifest_digest(manifest)
    )


def manifest_digest(manifest: Manifest) -> str:
    """Return a digest of a manifest's samples, whatever folder they are in.

    It changes with ids, labels, splits, folds, speakers and texts, not with media.
    """
    digest = hashlib.sha256(manifest.taxonomy.digest.encode())
    for e in manifest:
        labels: Mapping[str, float] = dict(sorted(e.labels.items()))
        digest.update(repr((e.id, labels, e.split.value, e.fold, e.speaker, e.text)).encode())
    return digest.hexdigest()[:16]
