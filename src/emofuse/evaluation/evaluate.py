"""The whole of an evaluation: ask, refuse leaks, measure, compare, spoil."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Modality
from ..corpora.manifest import Entry, Manifest, Split
from ..errors import InputError
from ..models.card import Calibration
from ..models.recogniser import OnnxRecogniser
from .metrics import bootstrap
from .metrics import classification as metrics
from .metrics.multilabel import best_thresholds
from .metrics.state import BINS, Countable, MetricState, MultilabelMetricState
from .predict.predict import Predictions, Tick, View, ask, crops, view_of
from .predict.scenes import Faces, Finder
from .predict.segmentation import Segmentation
from .protocol import protocols, subgroups
from .protocol.label_alignment import LabelAlignment, join
from .protocol.leaks import LeakError
from .protocol.protocols import Kind, Protocol
from .protocol.robustness import spoilings
from .report.provenance import provenance
from .report.results import (
    Answered,
    ClassRow,
    CorpusFacts,
    Corrupted,
    Evaluation,
    Figure,
    ModelFacts,
    Part,
    Reliability,
    number,
)

Floats = NDArray[np.float32]
Bars = Callable[[str, int], Tick]
"""Starts a progress bar from what is done and how often it will tick."""

UNUSABLE = frozenset({"conflicting_duplicate"})
"""Flags of samples that belong into no set."""

UNCLEAN = frozenset({"blank", "duplicate_of_train"})
"""Flags of samples that figures are also given without."""

_CALIBRATED = ("ece", "ece_adaptive", "nll", "brier")
"""Figures that depend on the temperature."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how.

    Args:
        protocol: on which samples.
        cuts: what of each clip a speech model hears; the first is the headline.
        faces: whether faces are crops, or have to be found in films and scenes.
        robustness: also measure corrupted samples.
        noises: folder of recorded noises and rooms, see `robustness.spoilings`.
        refit: also run validation data, to show what a fresh temperature would give.
        limit: ask at most so many samples, drawn by `seed`; 0 asks all.
        n_resamples: resampled sets for the intervals; at least 1000 is advised.
        seed: of everything that is random.
        despite_leaks: turn a refused leak into a warning that the report leads with.
        command: how it was asked for, for the report.
        again: how anybody can measure it again, for cards: without this machine's paths.
        label_map: where the corpus' own labels go, see `emofuse.corpora.labels.map_of`.

    Raises:
        ValueError: if a value makes no sense.
    """

    protocol: Protocol = field(default_factory=Protocol)
    cuts: tuple[Segmentation, ...] = tuple(Segmentation)
    faces: Faces = Faces.AUTO
    robustness: bool = False
    noises: Path | None = None
    refit: bool = True
    limit: int = 0
    n_resamples: int = bootstrap.DRAWS
    seed: int = 0
    despite_leaks: bool = False
    command: str = ""
    again: str = ""
    label_map: Path | None = None

    def __post_init__(self) -> None:
        if not self.cuts or self.limit < 0 or self.n_resamples < 1 or self.seed < 0:
            raise ValueError(f"need a cut, limit >= 0, n_resamples >= 1 and seed >= 0, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Samples that can be asked, with the truth over `LabelAlignment.labels`.

    Args:
        entries: the samples.
        actual: their class, (n,); of several labels, one of them.
        present: their labels, bool (n, labels).
    """

    entries: tuple[Entry, ...]
    actual: NDArray[np.int64]
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Predictions to a question in one view, each (n, labels) unless it says otherwise.

    Args:
        question: what was asked.
        p: probabilities at the card's temperature.
        raw: at temperature 1.
        refit: at the temperature refitted on validation; None if that was not done.
        free: (n,) index of the best of all the model's labels, `labels` for one that
            is not asked for; None if the model has no further labels.
    """

    question: Question
    p: Floats
    raw: Floats
    refit: Floats | None
    free: NDArray[np.int64] | None

    def subset(self, keep: NDArray[np.bool_]) -> Scored:
        """Return some of the samples; `keep` is bool (n,)."""
        q = self.question
        entries = tuple(e for e, yes in zip(q.entries, keep, strict=True) if yes)
        return Scored(
            Question(entries, q.actual[keep], q.present[keep]),
            self.p[keep],
            self.raw[keep],
            None if self.refit is None else self.refit[keep],
            None if self.free is None else self.free[keep],
        )

    @property
    def groups(self) -> NDArray[np.int64]:
        """What the bootstrap resamples."""
        return bootstrap.group_of([e.speaker for e in self.question.entries])

    @property
    def speakers(self) -> int | None:
        """How many are known."""
        return len({e.speaker for e in self.question.entries if e.speaker is not None}) or None


def evaluate(
    models: Sequence[OnnxRecogniser],
    manifest: Manifest,
    plan: Plan | None = None,
    bars: Bars = lambda name, total: lambda: None,
    homes: Sequence[Path | None] = (),
) -> Evaluation:
    """Measure a model, or one model a fold, on a corpus.

    Args:
        models: one model; of the protocol `Kind.FOLDS`, one for each fold.
        manifest: the corpus.
        plan: what is measured.
        bars: shows progress.
        homes: where the models' cards lie, which may tell their folds.

    Raises:
        InputError: if the corpus leaks or is empty, labels do not meet, a medium cannot
            be read, or thresholds need validation data that is not there.
    """
    started = time.monotonic()
    plan = plan or Plan()
    places = tuple(homes) or (None,) * len(models)
    if len(models) != 1 and plan.protocol.kind is not Kind.FOLDS:
        raise InputError(
            f"{len(models)} models were given: the protocol folds measures one a fold, any other "
            "a single model"
        )
    manifest = manifest.without(*UNUSABLE)
    studies = [
        _Study(model, manifest, plan, home, bars)
        for model, home in zip(models, places, strict=True)
    ]
    _check_folds(studies, manifest, plan)
    found = [study.run() for study in studies]
    merged = [_concatenated(rows) for rows in zip(*found, strict=True)]
    lead = studies[0]
    multi = manifest.taxonomy.multi_label
    names = [""] if lead.modality is not Modality.SPEECH else [c.value for c in plan.cuts]
    parts: list[Part] = []
    for name, scored in zip(names, merged, strict=False):
        parts += _parts(scored, name, lead, plan, multi)
    if plan.protocol.kind is Kind.FOLDS:
        parts[: len(names)] = [
            _with_folds(part, studies, [rows[i] for rows in found])
            for i, part in enumerate(parts[: len(names)])
        ]
    corrupted = merged[len(names) :]
    headline = merged[0]
    if multi:
        headline = headline.subset(headline.question.present.sum(axis=1) == 1)
    with_people = () if multi else subgroups.compare(
        headline.question.entries, headline.question.actual, headline.p, plan.n_resamples, plan.seed
    )  # fmt: skip
    left_out: Counter[str] = sum((s.left_out for s in studies), Counter())
    return Evaluation(
        modality=lead.modality.value,
        protocol=plan.protocol.name,
        models=tuple(study.facts for study in studies),
        corpus=_corpus_facts(manifest),
        parts=tuple(parts),
        subgroups=with_people,
        robustness=_robustness(merged[0], corrupted, lead, plan, multi) if corrupted else (),
        temperature_refit=lead.temperature_refit,
        left_out=dict(left_out),
        warnings=tuple(dict.fromkeys(w for s in studies for w in s.warnings)),
        notes=tuple(dict.fromkeys(n for s in studies for n in s.notes)),
        provenance=provenance(plan, (time.monotonic() - started) / 3600),
        answers=_answers(merged[0], lead.join.labels),
    )


class _Study:
    """One model and the samples that it is asked.

    Making it refuses what cannot be measured; `run` takes the time.
    """

    def __init__(
        self,
        model: OnnxRecogniser,
        manifest: Manifest,
        plan: Plan,
        home: Path | None,
        bars: Bars,
    ) -> None:
        self.model, self.plan, self.bars = model, plan, bars
        self.modality = model.card.modality
        self.join: LabelAlignment = join(model.taxonomy, manifest.taxonomy, plan.label_map)
        self.multi = manifest.taxonomy.multi_label
        self.left_out: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.fold: int | None = None
        protocol = plan.protocol
        if protocol.kind is Kind.FOLDS:
            self.fold = protocols.held_out_fold(manifest, model.card, home)
            protocol = Protocol(Kind.FOLD, None, self.fold)
        asked = protocol.select(manifest, model.card)
        self._refuse_leaks(protocol, manifest, asked)
        self.question = self._question(_limited(asked, plan))
        self._validation = self._held_back(manifest, asked)
        self._explain_labels()
        noises = plan.noises if self.modality is Modality.SPEECH else None
        self.spoilings = spoilings(self.modality, noises) if plan.robustness else ()
        self._read: Finder | None = None
        self.views: list[View] = [view_of(model.card, cut) for cut in self._cuts]
        if self.modality is Modality.FACE and plan.faces.are_to_be_found(asked):
            self._read, self.views = Finder(), [crops]
            self.notes.append("Faces were found and followed as in an analysis, and averaged.")
        self.views += [s.view(self.views[0], plan.seed) for s in self.spoilings]
        self.temperature_refit: float | None = None
        self.thresholds: NDArray[np.float64] | None = None

    @property
    def _cuts(self) -> tuple[Segmentation, ...]:
        return self.plan.cuts if self.modality is Modality.SPEECH else (Segmentation.CLIP,)

    @property
    def facts(self) -> ModelFacts:
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
        """Let the model answer: one `Scored` per view."""
        if self._validation is not None:
            self._fit(self._validation)
        n = len(self.question.entries)
        where = "" if self.fold is None else f", fold {self.fold}"
        tick = self.bars(f"{self.model.model_id}{where}", n)
        found = ask(self.model, self.question.entries, self.views, tick, self._read)
        self._say_empty(found[: len(self._cuts)])
        if self.multi and self.thresholds is None:
            # Only where validation itself is measured: anything else was refused before.
            p = found[0].probabilities(self.join, self.model.card.calibration)
            self.thresholds = best_thresholds(self.question.present, p)
        return [self._score(answers) for answers in found]

    def _score(self, answers: Predictions) -> Scored:
        card = self.model.card.calibration
        fitted = self.temperature_refit
        return Scored(
            self.question,
            answers.probabilities(self.join, card),
            answers.probabilities(self.join, Calibration()),
            answers.probabilities(self.join, Calibration(fitted)) if fitted else None,
            self._free(answers) if self.join.unknown_to_corpus else None,
        )

    def _say_empty(self, found: Sequence[Predictions]) -> None:
        thing = {Modality.SPEECH: "voice", Modality.FACE: "face"}.get(self.modality, "text")
        for cut, answers in zip(self._cuts, found, strict=True):
            if empty := answers.samples - len(np.unique(answers.sample)):
                where = f" ({cut.value})" if self.modality is Modality.SPEECH else ""
                self.notes.append(
                    f"In {empty} samples no {thing} was found{where}: they count as answered "
                    "neutral, or by chance where that is no label."
                )

    def _free(self, answers: Predictions) -> NDArray[np.int64]:
        number_of = np.where(
            self.join.shared, np.cumsum(self.join.shared) - 1, len(self.join.labels)
        )
        free: NDArray[np.int64] = number_of[
            answers.open_answers(self.join, self.model.card.calibration)
        ]
        return free

    def _fit(self, question: Question) -> None:
        tick = self.bars(f"{self.model.model_id}, validation", len(question.entries))
        answers = ask(self.model, question.entries, self.views[:1], tick, self._read)[0]
        if self.multi:
            p = answers.probabilities(self.join, self.model.card.calibration)
            self.thresholds = best_thresholds(question.present, p)
        if self.plan.refit:
            single = question.present.sum(axis=1) == 1
            self.temperature_refit = fit_temperature(
                answers.subset(single), question.actual[single], self.join
            )

    def _held_back(self, manifest: Manifest, asked: Manifest) -> Question | None:
        """Validation data that the model is not asked about; None if it is not needed or there."""
        if not (self.plan.refit or self.multi):
            return None
        taken = {e.id for e in asked}
        held = manifest.of(Split.VALIDATION).where(lambda e: e.id not in taken)
        if len(held):
            return self._question(held, count=False)
        if self.multi:
            if {e.split for e in asked} != {Split.VALIDATION}:
                raise InputError(
                    f"{manifest.corpus} has several labels a sample, which are told apart by "
                    "thresholds, and no validation split to choose these on: give one, or "
                    "measure the validation split itself (--split validation)"
                )
            self.notes.append(
                "The thresholds were chosen on the very samples that are measured, so the "
                "multi-label figures are a little too good."
            )
        self.notes.append(
            f"{manifest.corpus} has no validation samples apart from those measured: no "
            "temperature was refitted."
        )
        return None

    def _question(self, manifest: Manifest, count: bool = True) -> Question:
        targets = self.join.targets(manifest)
        keep, reasons = self._askable(targets)
        if count:
            self.left_out.update({reason: n for reason, n in reasons.items() if n})
        if not keep.any():
            raise InputError(
                f"no sample of {manifest.corpus} is left to ask: " +
                ", ".join(f"{n} {reason}" for reason, n in reasons.items() if n)
            )  # fmt: skip
        shared = targets[keep][:, self.join.shared]
        entries = tuple(e for e, yes in zip(manifest, keep, strict=True) if yes)
        actual = shared.argmax(axis=1)
        # Votes are no labels of a sample: of a corpus of one label the first place counts.
        present = shared > 0 if self.multi else np.eye(shared.shape[1], dtype=bool)[actual]
        return Question(entries, actual, present)

    def _askable(self, targets: Floats) -> tuple[NDArray[np.bool_], dict[str, int]]:
        known = targets[:, self.join.shared]
        labelled = targets.max(axis=1) > 0
        if self.multi:
            keep = known.max(axis=1) > 0
            tied = np.zeros(len(keep), bool)
        else:
            top = np.sort(targets, axis=1)
            tied = labelled & (top[:, -1] == top[:, -2])
            keep = labelled & ~tied & self.join.shared[targets.argmax(axis=1)]
        lost = self.join.unknown_to_model
        return keep, {
            "without a label that counts": int((~labelled).sum()),
            "whose first two labels tie": int(tied.sum()),
            f"that are {', '.join(lost)}, unknown to the model": int(
                (labelled & ~tied & ~keep).sum()
            ),
        }

    def _refuse_leaks(self, protocol: Protocol, manifest: Manifest, asked: Manifest) -> None:
        try:
            self.notes += protocols.check(protocol, manifest, asked, self.model.card)
        except LeakError as e:
            if not self.plan.despite_leaks:
                raise
            self.warnings.append(e.what)

    def _explain_labels(self) -> None:
        j = self.join
        if j.unknown_to_corpus:
            self.notes.append(
                f"The corpus does not know {', '.join(j.unknown_to_corpus)}: the answer is the "
                f"best of its {len(j.labels)} labels, the others are masked."
            )
        if dropped := dict(j.truth.dropped):
            told = "; ".join(f"{label}: {reason}" for label, reason in dropped.items())
            self.notes.append(f"Labels of the corpus that count nowhere: {told}.")


def fit_temperature(
    answers: Predictions,
    actual: NDArray[np.int64],
    asked: LabelAlignment,
    low: float = 0.05,
    high: float = 20.0,
) -> float:
    """Find the temperature that minimises the log loss of samples' averaged answers.

    For samples of one piece this is `metrics.fit_temperature`; of several it accounts
    for what averaging does to confidence.
    """
    ratio = (math.sqrt(5) - 1) / 2

    def loss(log_t: float) -> float:
        return metrics.nll(actual, answers.probabilities(asked, Calibration(math.exp(log_t))))

    first, last = math.log(low), math.log(high)
    while last - first > 1e-3:
        left, right = last - ratio * (last - first), first + ratio * (last - first)
        if loss(left) < loss(right):
            last = right
        else:
            first = left
    return round(math.exp((first + last) / 2), 4)


# ------------------------------------------------------------------ measuring


def _parts(scored: Scored, cut: str, study: _Study, plan: Plan, multi: bool) -> list[Part]:
    """Measure answers as a whole, and the parts of them that figures are also given for."""
    name = ", ".join(filter(None, (plan.protocol.name, cut)))
    how = _protocol(study, plan, cut)
    out = []
    if multi:
        assert study.thresholds is not None
        out.append(_flag_part(name, how, scored, study.join.labels, study.thresholds, plan))
        one = scored.question.present.sum(axis=1) == 1
        told = "samples with one label only, the answer is the most probable"
        told = "; ".join((told, _asked_for(study)))
        out.append(_part(f"{name}, one label", told, scored.subset(one), study, plan))
        return out
    out.append(_part(name, how, scored, study, plan))
    clean = np.array([e.flags.isdisjoint(UNCLEAN) for e in scored.question.entries])
    if 0 < clean.sum() < len(clean):
        flags = sorted({f for e in scored.question.entries for f in e.flags & UNCLEAN})
        told = f"{how}; without samples flagged {', '.join(flags)}"
        out.append(_part(f"{name}, clean", told, scored.subset(clean), study, plan))
    return out


def _protocol(study: _Study, plan: Plan, cut: str) -> str:
    words = [Segmentation(cut).protocol] if cut else []
    if plan.protocol.kind is Kind.FOLDS:
        words.append("each fold by the model that has not learnt from it")
    if study.multi:
        words.append("thresholds of the labels' probabilities chosen on validation for the best F1")
    return "; ".join((*words, _asked_for(study)))


def _asked_for(study: _Study) -> str:
    labels = study.join.labels
    return f"the answer is of {len(labels)} labels ({', '.join(labels)})"


def _part(name: str, protocol: str, scored: Scored, study: _Study, plan: Plan) -> Part:
    q, labels = scored.question, study.join.labels
    tally = MetricState.of(q.actual, scored.p)
    figures = _figures(tally, scored, plan)
    for suffix, p in (("uncalibrated", scored.raw), ("refit", scored.refit)):
        if p is not None:
            at = MetricState.of(q.actual, p).total().figures()
            figures |= {f"{f}_{suffix}": Figure(float(at[f])) for f in _CALIBRATED}
    if scored.free is not None:
        figures["uar_open"] = Figure(metrics.uar(q.actual, scored.free, len(labels) + 1))
    counts = metrics.confusion(q.actual, scored.p.argmax(axis=1), len(labels))
    temperatures = {
        "raw": (1.0, scored.raw),
        "card": (study.model.card.calibration.temperature, scored.p),
        "refit": (study.temperature_refit or 1.0, scored.refit),
    }
    return Part(
        name=name,
        protocol=protocol,
        samples=len(q.entries),
        speakers=scored.speakers,
        labels=labels,
        figures=figures,
        classes=_class_rows(labels, counts),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
        reliability={
            k: _reliability(t, q.actual, p) for k, (t, p) in temperatures.items() if p is not None
        },
    )


def _flag_part(
    name: str,
    protocol: str,
    scored: Scored,
    labels: tuple[str, ...],
    thresholds: NDArray[np.float64],
    plan: Plan,
) -> Part:
    present = scored.question.present
    tally = MultilabelMetricState.of(present, scored.p >= thresholds)
    total = tally.total()
    f1 = total.f1()
    rows = tuple(
        ClassRow(
            label,
            number(float(total.hits[i] / total.predicted[i])) if total.predicted[i] else None,
            number(float(total.hits[i] / total.present[i])) if total.present[i] else None,
            float(f1[i]),
            int(total.present[i]),
            float(thresholds[i]),
        )
        for i, label in enumerate(labels)
    )
    return Part(
        name=name,
        protocol=protocol,
        samples=len(present),
        speakers=scored.speakers,
        labels=labels,
        figures=_figures(tally, scored, plan),
        classes=rows,
        multi_label=True,
    )


def _figures(tally: Any, scored: Scored, plan: Plan) -> dict[str, Figure]:
    values = tally.total().figures()
    limits = bootstrap.intervals(tally, scored.groups, plan.n_resamples, plan.seed)
    return {name: Figure(float(v), *map(number, limits[name])) for name, v in values.items()}


def _class_rows(labels: Sequence[str], counts: NDArray[np.int64]) -> tuple[ClassRow, ...]:
    precision, recall, f1 = (
        [number(float(x)) for x in figure(counts)]
        for figure in (metrics.precision_of, metrics.recall_of, metrics.f1_of)
    )
    return tuple(
        ClassRow(label, precision[i], recall[i], f1[i], int(counts[i].sum()))
        for i, label in enumerate(labels)
    )


def _reliability(temperature: float, actual: NDArray[np.int64], p: Floats) -> Reliability:
    confidence, accuracy, count = metrics.reliability(actual, p, BINS)
    return Reliability(
        temperature,
        tuple(number(float(x)) for x in confidence),
        tuple(number(float(x)) for x in accuracy),
        tuple(int(n) for n in count),
        metrics.ece(actual, p, BINS),
    )


def _with_folds(part: Part, studies: Sequence[_Study], folds: Sequence[Scored]) -> Part:
    """Add each fold's figures, and make the headline their mean ± deviation."""
    if part.multi_label:
        return part
    by_fold = {
        f"fold {study.fold}": {
            name: float(v)
            for name, v in MetricState.of(s.question.actual, s.p).total().figures().items()
        }
        for study, s in zip(studies, folds, strict=True)
    }
    figures = dict(part.figures)
    for name in next(iter(by_fold.values())):
        mean, deviation = bootstrap.spread(row[name] for row in by_fold.values())
        # The interval is that of all samples together, whose figure differs a little.
        figures[name] = replace(figures[name], value=mean, deviation=deviation)
    protocol = f"{part.protocol}; mean of {len(by_fold)} folds ± standard deviation"
    return replace(part, figures=figures, folds=by_fold, protocol=protocol)


def _robustness(
    clean: Scored, corrupted: Sequence[Scored], study: _Study, plan: Plan, multi: bool
) -> tuple[Corrupted, ...]:
    names = [("unspoilt", ""), *((s.kind, s.strength) for s in study.spoilings)]
    return tuple(
        Corrupted(kind, strength, _spoilt_figures(scored, study, plan, multi))
        for (kind, strength), scored in zip(names, (clean, *corrupted), strict=True)
    )


def _spoilt_figures(scored: Scored, study: _Study, plan: Plan, multi: bool) -> dict[str, Figure]:
    shown: dict[str, Figure] = {}
    if multi:
        assert study.thresholds is not None
        flags: Countable = MultilabelMetricState.of(
            scored.question.present, scored.p >= study.thresholds
        )
        shown["macro_f1"] = _figures(flags, scored, plan)["macro_f1"]
        scored = scored.subset(scored.question.present.sum(axis=1) == 1)
    figures = _figures(MetricState.of(scored.question.actual, scored.p), scored, plan)
    return shown | {name: figures[name] for name in ("accuracy", "uar", "ece", "nll")}


# -------------------------------------------------------------------- joining


def _concatenated(rows: Sequence[Scored]) -> Scored:
    """Put the samples of several folds together."""
    if len(rows) == 1:
        return rows[0]
    questions = [r.question for r in rows]

    def together(parts: Sequence[NDArray[Any] | None]) -> Any:
        known = [p for p in parts if p is not None]
        return np.concatenate(known) if len(known) == len(parts) else None

    return Scored(
        Question(
            tuple(e for q in questions for e in q.entries),
            together([q.actual for q in questions]),
            together([q.present for q in questions]),
        ),
        together([r.p for r in rows]),
        together([r.raw for r in rows]),
        together([r.refit for r in rows]),
        together([r.free for r in rows]),
    )


def _answers(scored: Scored, labels: Sequence[str]) -> tuple[Answered, ...]:
    q = scored.question
    return tuple(
        Answered(
            entry.id,
            entry.speaker,
            tuple(label for label, yes in zip(labels, present, strict=True) if yes),
            tuple(round(float(x), 5) for x in row),
        )
        for entry, present, row in zip(q.entries, q.present, scored.p, strict=True)
    )


def _check_folds(studies: Sequence[_Study], manifest: Manifest, plan: Plan) -> None:
    if plan.protocol.kind is not Kind.FOLDS:
        return
    folds = protocols.folds_of(manifest)
    held = sorted(s.fold for s in studies if s.fold is not None)
    if held != list(folds):
        raise InputError(
            f"the protocol folds needs one model a fold of {manifest.corpus} "
            f"({', '.join(map(str, folds))}); the models here leave out {', '.join(map(str, held))}"
        )
    if len({s.join.labels for s in studies}) != 1 or len({s.modality for s in studies}) != 1:
        raise InputError("the models of the folds differ in their labels or modality")


def _limited(asked: Manifest, plan: Plan) -> Manifest:
    if not 0 < plan.limit < len(asked):
        return asked
    rng = np.random.default_rng(plan.seed)
    chosen = sorted(rng.choice(len(asked), plan.limit, replace=False))
    return replace(asked, entries=tuple(asked.entries[i] for i in chosen))


def _corpus_facts(manifest: Manifest) -> CorpusFacts:
    native = manifest.taxonomy
    return CorpusFacts(
        manifest.corpus, native.name, native.labels, len(manifest), manifest_digest(manifest)
    )


def manifest_digest(manifest: Manifest) -> str:
    """Return a digest of what a manifest says of its samples, whatever folder they are in.

    It changes with ids, labels, splits, folds, speakers and texts, not with media.
    """
    digest = hashlib.sha256(manifest.taxonomy.digest.encode())
    for e in manifest:
        labels: Mapping[str, float] = dict(sorted(e.labels.items()))
        digest.update(repr((e.id, labels, e.split.value, e.fold, e.speaker, e.text)).encode())
    return digest.hexdigest()[:16]
