"""Compares all fusion strategies in one report (`emofuse evaluate fusion`)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ...core.estimates import Modality
from ...errors import InputError, ModelError
from ...fusion.config import FusionConfig, Strategy
from ...fusion.factory import make_fuser
from ...models.card import Card
from ...models.registry import load
from ...models.store import Store
from ..predict import cached
from ..predict.inference import LogitRecogniser, Progress, with_logits
from ..report.document import Document, Section, Table
from ..report.provenance import provenance
from .sections import SECTIONS, Finding
from .study import FACE, SPEECH, TEXT, FusionPlan, NamedFuser, Study


def evaluate(
    plan: FusionPlan,
    progress: Progress = lambda name, total: lambda: None,
    store: Store | None = None,
) -> Document:
    """Compare all strategies.

    Args:
        plan: what is evaluated.
        progress: starts a progress bar.
        store: where models are; default: `Store()`.

    Raises:
        InputError: if there is neither a corpus nor a table of posteriors.
        ModelError: if a recogniser is missing or damaged.
    """
    started = time.monotonic()
    store = store or Store()
    models = _models(plan, store)
    predictions, missing = cached.collect(plan.root, models, plan.cache, progress)
    fusers, unavailable = _fusers({m: r.card for m, r in models.items()}, store)
    study = Study(plan, models, predictions, fusers, progress)
    findings: list[Finding] = []
    for name, section in SECTIONS.items():
        try:
            findings.append(section(study))
        except InputError as e:
            missing.append(f"Not evaluated: {name}. Reason: {e}")
    if not findings:
        raise InputError("; ".join(missing))
    origin = provenance(plan, (time.monotonic() - started) / 3600)
    rows = origin.rows
    rows += [(f"{m.value} model", _describe(r.card)) for m, r in models.items()]
    notes = (*unavailable, *missing)
    return Document(
        title="Fusion",
        facts=(
            f"{len(fusers)} strategies",
            " + ".join(predictions) or "no corpus",
            f"{plan.pairings} pairings",
            origin.date[:10],
        ),
        sections=(_summary(study, findings), *(f.section for f in findings)),
        notes=notes,
        provenance=tuple(rows),
        results={
            "metrics": {k: v for f in findings for k, v in f.metrics.items()},
            "notes": list(notes),
            "provenance": dict(rows),
        },
        headline=tuple(tile for f in findings for tile in f.headline),
    )


def _summary(study: Study, findings: Sequence[Finding]) -> Section:
    table = Table(
        "Key metrics",
        ("", *study.names),
        tuple(
            (criterion, *(row.get(name, "–") for name in study.names))
            for finding in findings
            for criterion, row in finding.summary.items()
        ),
        "A dash: not applicable to the strategy.",
    )
    return Section("Summary", (table,))


def _models(plan: FusionPlan, store: Store) -> dict[Modality, LogitRecogniser]:
    return {m: with_logits(load(plan.models[m], store, plan.threads)) for m in (FACE, SPEECH, TEXT)}


def _fusers(cards: Mapping[Modality, Card], store: Store) -> tuple[list[NamedFuser], list[str]]:
    """Make every strategy; trained ones are left out where there is no card of theirs."""
    priors = {c.id: c.prior for c in cards.values() if c.prior is not None}
    found, unavailable = [], []
    for strategy in Strategy:
        trained = f"fusion-{strategy.value}-v1"
        if not strategy.learned:
            found.append(NamedFuser(strategy.value, make_fuser(FusionConfig(strategy), priors)))
        try:
            store.card(trained)
        except ModelError:
            if strategy.learned:
                unavailable.append(f"{strategy.value} was not evaluated: there is no {trained}.")
            continue
        try:
            config = FusionConfig(strategy, model=trained)
            fuser = make_fuser(config, models=cards, store=store)
        except ModelError as e:
            unavailable.append(f"{strategy.value} ({trained}) was not evaluated: {e}.")
            continue
        name = strategy.value if strategy.learned else f"{strategy.value}, trained"
        found.append(NamedFuser(name, fuser))
    return found, unavailable


def _describe(card: Card) -> str:
    return (
        f"{card.id}, sha256 {card.files['weights'].sha256}, "
        f"temperature {card.calibration.temperature:g}"
    )
