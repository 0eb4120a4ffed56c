"""Calibration of each model and of what is fused, before and after a refitted temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError
from ....models import calibrate
from ....models.card import Calibration
from ...metrics import classification as metrics
from ...metrics.calibration import ece, nll
from ...predict.cached import CachedPredictions
from ...report.document import Section, Table
from ..paired import Fused, fuse
from ..pairs import Pairs, by_label, shared_labels
from ..study import CORRUPTIONS, TRIPLE, NamedFuser, Study
from .finding import Finding, named

_TARGET, _TARGET_SHIFTED = 0.03, 0.08
"""Of the ECE, in domain and under shift."""


def section(study: Study) -> Finding:
    """Measure calibration in domain and under shift."""
    models, by_model = _models(study)
    every, shifted = study.subsets, _shifted(study)
    rows, by_fuser = [], {}
    summary: dict[str, dict[str, str]] = {"worst ECE in domain": {}, "worst ECE under shift": {}}
    worst: dict[str, float] = {}
    for fuser in study.fusers:
        refit = _refit(study, fuser)
        in_domain = {named(s): _errors(study.fused(fuser, 0, s), refit) for s in every}
        shift = {t: _errors(fuse(pairs, fuser.fuser), refit) for t, pairs in shifted.items()}
        for name, (before, after) in {
            **in_domain, **{f"shift: {t}": pair for t, pair in shift.items()}
        }.items():  # fmt: skip
            rows.append((fuser.name, name, f"{before:.3f}", f"{after:.3f}"))
        worst[fuser.name] = max(before for before, _ in in_domain.values())
        summary["worst ECE in domain"][fuser.name] = f"{worst[fuser.name]:.3f}"
        if shift:
            most = max(before for before, _ in shift.values())
            summary["worst ECE under shift"][fuser.name] = f"{most:.3f}"
        by_fuser[fuser.name] = {
            "in_domain": in_domain,
            "shift": shift,
            "temperature": refit.temperature,
        }
    fused = Table(
        "What is fused",
        ("strategy", "present", "ECE", "ECE after a temperature"),
        tuple(rows),
        "Balanced triples as above. The temperature is one for all subsets, fitted on triples of "
        "validation samples; it shows what the strategy leaves to gain.",
        texts=frozenset({0, 1}),
    )
    text = (
        "ECE: the mean distance between confidence and accuracy. Temperatures are fitted on "
        "validation samples and measured on test samples.",
        f"Targets: {_TARGET} in domain, {_TARGET_SHIFTED} under shift, for every subset. Shift "
        "here is a blurred face, noisy audio, and RAVDESS, to which nothing was fitted.",
    )
    default = study.default.name
    return Finding(
        Section("4. Calibration", (*text, models, fused)),
        {"calibration": {"models": by_model, "fused": by_fuser}},
        (("ECE, worst subset", f"{worst[default]:.3f}", f"{default}, in domain"),),
        summary,
    )


def _models(study: Study) -> tuple[Table, dict[str, Any]]:
    rows, found = [], {}
    for corpus in TRIPLE.values():
        try:
            held, test = study.of(corpus, "validation"), study.of(corpus)
        except InputError:
            continue
        labels = tuple(x for x in held.taxonomy.labels if x in set(held.labels))
        targets, logits, _ = _over(held, labels)
        one_hot, new, by_card = _over(test, labels)
        if not (len(targets) and len(one_hot)):
            continue  # nothing of it could be read, such as sounds without a voice
        actual = one_hot.argmax(axis=1)
        p = {
            "none": Calibration().probabilities(new),
            "card": by_card,
            "temperature": calibrate.fit_temperature(targets, logits).probabilities(new),
        }
        errors = {name: ece(actual, x) for name, x in p.items()}
        losses = {name: nll(actual, x) for name, x in p.items()}
        name = f"{test.modality.value}: {corpus}"
        rows.append((name, *(f"{x:.3f}" for x in (*errors.values(), *losses.values()))))
        found[corpus] = {"ece": errors, "nll": losses, "labels": labels}
    kinds = ("uncalibrated", "card", "refitted")
    head = ("model", *(f"ECE, {k}" for k in kinds), *(f"NLL, {k}" for k in kinds))
    note = (
        "Each model alone on test samples, over the labels that occur in its validation samples. "
        "Clips by the mean logits of their windows, under the card by their mean probabilities."
    )
    return Table("Each model", head, tuple(rows), note), found


def _over(
    part: CachedPredictions, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return targets, logits and the card's probabilities over some labels, each (n, labels)."""
    some = part.where(np.array([x in labels for x in part.labels]) & (part.quality > 0))
    index = np.array([labels.index(x) for x in some.labels], np.int64)
    columns = [some.taxonomy.index(x) for x in labels]
    known = np.array([x in labels for x in some.taxonomy.labels])
    by_card = metrics.among(some.probabilities, known)[:, columns]
    return metrics.one_hot(index, len(labels)), some.logits[:, columns], by_card


def _refit(study: Study, fuser: NamedFuser) -> Calibration:
    runs = [study.fused(fuser, 0, s, "validation") for s in study.subsets]
    labels = runs[0].p.shape[1]
    targets = np.concatenate([metrics.one_hot(f.actual, labels) for f in runs])
    return calibrate.fit_temperature(targets, np.log(np.concatenate([f.p for f in runs])))


def _errors(fused: Fused, refit: Calibration) -> tuple[float, float]:
    """Return the ECE before and after a refitted temperature."""
    return fused.ece, ece(fused.actual, refit.recalibrated(fused.p).astype(np.float64))


def _shifted(study: Study) -> dict[str, Pairs]:
    out = {}
    for modality, condition in CORRUPTIONS.items():
        if modality in study.models:
            out[f"{modality.value}, {condition}"] = study.corrupted(modality)
    try:
        face, voice = study.of("fer2013"), study.of("ravdess")
    except InputError:  # the report says that the corpus is missing
        return out
    labels = shared_labels(face, voice)
    out["voice of RAVDESS"] = by_label(face, voice, labels=labels, seed=0, per_label=200)
    return out
