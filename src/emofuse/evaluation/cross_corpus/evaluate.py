"""One report of what is right about people and recordings that no model has met."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...core.estimates import Modality
from ...errors import InputError
from ...models.card import Metric
from ...models.registry import load
from ...models.store import Store
from ..predict.inference import Progress, with_logits
from ..report.document import Document, Section, Table
from ..report.provenance import provenance
from .sections import SECTIONS
from .study import ALONE, FUSED, CrossCorpusPlan, Finding, Study


@dataclass(frozen=True, slots=True)
class CrossCorpus:
    """The report, and rows for the cards of the models by their ids."""

    report: Document
    cards: Mapping[str, tuple[Metric, ...]]


def evaluate(
    plan: CrossCorpusPlan,
    progress: Progress = lambda name, total: lambda: None,
    store: Store | None = None,
) -> CrossCorpus:
    """Evaluate the default models, and their fusion, on what a folder holds.

    Args:
        plan: what is evaluated.
        progress: starts a progress bar.
        store: where models are; default: `Store()`.

    Raises:
        InputError: if the folder holds nothing of what is asked about.
        ModelError: if a recogniser is missing or damaged.
    """
    started = time.monotonic()
    store = store or Store()
    models = {m: with_logits(load(plan.models[m], store, plan.threads)) for m in _MODALITIES}
    study = Study(plan, models, progress)
    findings: list[Finding] = []
    for name, section in SECTIONS.items():
        try:
            findings.append(section(study))
        except InputError as e:
            study.miss(name, e)
    if not any(finding.measured for finding in findings):
        raise InputError(
            f"{plan.root} holds none of the corpora (see `emofuse corpus list`); give the folder "
            f"that holds some with --data. {' '.join(study.missing)}"
        )
    origin = provenance(plan, (time.monotonic() - started) / 3600)
    rows = origin.rows
    for modality, model in models.items():
        sha256 = model.card.files["weights"].sha256
        rows.append((f"{modality.spec.name} model", f"{model.card.id}, sha256 {sha256}"))
    alone = tuple(row for f in findings for row in f.alone)
    fused = tuple(row for f in findings for row in f.fused)
    tables = [Table("Alone", ALONE, alone, _READ, texts=frozenset({0, 1}))]
    tables += [Table("Fused", FUSED, fused, _READ_FUSED)] if fused else []
    cards: dict[str, tuple[Metric, ...]] = {}
    for finding in findings:
        for model_id, metrics in finding.cards.items():
            cards[model_id] = (*cards.get(model_id, ()), *metrics)
    return CrossCorpus(
        Document(
            title="Strangers: people and recordings that no model has met",
            facts=(*(model.card.id for model in models.values()), origin.date[:10]),
            sections=(Section("Summary", tuple(tables)), *(f.section for f in findings)),
            notes=tuple(study.missing),
            provenance=tuple(rows),
            results={
                "alone": [dict(zip(ALONE, row, strict=True)) for row in alone],
                "fused": [dict(zip(FUSED, row, strict=True)) for row in fused],
                "metrics": {k: v for f in findings for k, v in f.metrics.items()},
                "notes": list(study.missing),
                "provenance": dict(rows),
            },
        ),
        cards,
    )


_MODALITIES = (Modality.FACE, Modality.SPEECH, Modality.TEXT)
_READ = (
    "UAR: unweighted average recall. Open: the best of all labels that the model has, which is "
    "what a user sees; closed: the best of the labels that the corpus has. ECE: expected "
    "calibration error, 15 bins. Sure: the share of answers above 90 %; wrong: of those. Intervals "
    "are 95 %, resampling people. Of left-out voices the two figures are of whole clips and of "
    "clips cut as in an analysis; sure and wrong of the latter."
)
_READ_FUSED = (
    "Accuracy in %; in brackets its difference to the best of the parts, in points, and the 95 % "
    "interval of that, resampling people. Of all three: one right, the share that the fused "
    "answer gets of clips of which exactly one part is right; wrong, marked: the share that is "
    "called uncertain of wrong answers beside a right part; ECE."
)
