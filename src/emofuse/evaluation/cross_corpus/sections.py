"""The sections of the cross-corpus report, in order: each reads one `Study`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ...core.estimates import Modality
from ...core.labels import CANONICAL
from ...corpora import recipes
from ...corpora.labels import load_map
from ...corpora.manifest import Split
from ...errors import InputError, ModelError
from ...fusion.config import FusionConfig
from ...fusion.factory import make_fuser
from ...models.card import Card, Metric
from ..fusion import study as by_label
from ..fusion.sections import subsets
from ..fusion.sections.finding import percent, points
from ..model.plan import Plan
from ..model.run import ModelRun
from ..predict import cached, loading
from ..predict.cached import CachedPredictions
from ..predict.scenes import FaceFinder
from ..predict.segmentation import Segmentation
from ..protocol.protocols import Protocol
from ..report.document import Section, Table
from ..report.formatting import cell
from . import sets
from .measures import Measured, measure
from .paired import FusedRow, PairedSet, measure_all
from .study import Finding, Study

FACE, SPEECH, TEXT = Modality.FACE, Modality.SPEECH, Modality.TEXT
VOICES = ("crema-d", "ravdess", "emodb", "nemo", "tess")
"""Corpora of voices, each left out in turn."""

_CUTS = (Segmentation.FULL, Segmentation.VAD)
_LEFT_OUT = "left out"


def left_out(study: Study) -> Finding:
    """Report voices of corpora that a training did not hear.

    The embedded model has heard all five, so that only trainings without one can tell: those
    of the plan, else what the card says of such trainings.
    """
    trained = study.plan.left_out
    found = (
        {corpus: _asked(study, corpus, model) for corpus, model in trained.items()}
        if trained
        else _recorded(study.card(SPEECH))
    )
    if not found:
        raise InputError(
            f"{study.card(SPEECH).id} says nothing of corpora that were left out of its training, "
            "and no such trainings were asked for (--leave-one-out)"
        )
    how = (
        f"Measured now, on trainings without that corpus: {study.plan.recipe}. "
        if trained
        else "Recorded: figures from the card of the model, which has heard all five corpora, "
        "measured when the same recipe was trained without each of them (one seed; its first "
        "command on the card). Not measured in this run: --leave-one-out trains and measures. "
    )
    mean = [float(np.mean([row[f"{cut.value} uar"] for row in found.values()])) for cut in _CUTS]
    head = ("left out", "labels", *(f"{what}, {cut.value}" for cut in _CUTS for what in _SHOWN))
    rows = [
        (corpus, str(int(row["labels"])), *(_shown(row, cut, x) for cut in _CUTS for x in _SHOWN))
        for corpus, row in found.items()
    ]
    text = (
        "Each row is a voice model that never heard that corpus: the others taught it, and its "
        "shared labels count (UAR). Full: whole clips; vad: cut as in an analysis. " + how
    )
    source = "left out" if trained else "left out (recorded)"
    summary = [
        (
            f"voice: {corpus}, {source}",
            f"UAR of {int(row['labels'])}",
            _pair(row, "UAR"),
            _pair(row, "ECE"),
            ", ".join(_shown(row, _CUTS[1], what) for what in _SHOWN[2:]),
        )
        for corpus, row in found.items()
    ]
    if len(found) > 1:
        shown = " / ".join(percent(x, "") for x in mean) + " %"
        summary.append((f"voice: mean of the {len(found)}, {source}", "UAR", shown, "", ""))
    return Finding(
        Section("Voices: a corpus that was left out", (text, Table("", head, tuple(rows)))),
        {"voices left out": {"recorded": not trained, "mean": mean, **found}},
        tuple(summary),
        measured=bool(trained),
    )


_SHOWN = ("UAR", "ECE", "surer than 90 %", "of these wrong")
_NAMES = {
    "UAR": "uar",
    "ECE": "ece",
    "surer than 90 %": "above_90",
    "of these wrong": "wrong_above_90",
}


def _shown(row: Mapping[str, float], cut: Segmentation, what: str, unit: str = " %") -> str:
    value = row.get(f"{cut.value} {_NAMES[what]}")
    if value is None or value != value:
        return "–"
    return f"{value:.3f}" if what == "ECE" else percent(value, unit)


def _pair(row: Mapping[str, float], what: str) -> str:
    shown = [_shown(row, cut, what, "") for cut in _CUTS]
    return " / ".join(shown) + ("" if what == "ECE" else " %")


def _recorded(card: Card) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for m in card.metrics:
        where, _, cut = m.split.partition(", ")
        if where == _LEFT_OUT and m.corpus in VOICES:
            row = out.setdefault(m.corpus, {"labels": _labels_of(m.corpus, card)})
            row[f"{cut} {m.name}"] = m.value
    return {corpus: out[corpus] for corpus in VOICES if corpus in out}


def _labels_of(corpus: str, card: Card) -> float:
    to = load_map(next(iter(recipes.recipe(corpus).labellings.values())))
    known = {label for label, yes in zip(to.target.labels, to.covered, strict=True) if yes}
    return float(len(known & set(card.taxonomy.labels)))


def _asked(study: Study, corpus: str, model: str) -> dict[str, float]:
    """Ask a model that was trained without a corpus; test speakers are left alone."""
    (located, *_) = loading.locate(model)
    manifest = study.manifest(corpus)
    if {e.split for e in manifest} > {Split.TEST}:
        manifest = manifest.where(lambda e: e.split is not Split.TEST)
    plan = Plan(Protocol.parse("cross-corpus"), segmentations=_CUTS, refit=False)
    run = ModelRun(located.load(study.plan.threads), manifest, plan, None, study.progress)
    row: dict[str, float] = {"labels": float(len(run.alignment.labels))}
    for cut, scored in zip(_CUTS, run.run(), strict=True):
        people = [e.speaker or "" for e in scored.samples.entries]
        m = measure(scored.samples.actual, scored.p, people, study.plan.n_resamples)
        row |= {f"{cut.value} {name}": m.metrics[name].value for name in ("uar", "ece")}
        row |= {
            f"{cut.value} above_90": m.sure,
            f"{cut.value} wrong_above_90": float("nan") if m.sure_wrong is None else m.sure_wrong,
        }
    return row


def known_voices(study: Study) -> Finding:
    """Measure the voice model on speakers whom it did not learn from, of corpora that it did."""
    rows, metrics, summary = [], {}, []
    for corpus in ("crema-d", "ravdess"):
        try:
            p = study.held_out(corpus).of("test")
        except InputError as e:
            study.miss(f"voices of {corpus}", e)
            continue
        labels = _occurring(p)
        m = _measured(study, p, labels)
        rows.append(_row(f"{corpus}, {m.speakers} test speakers", m, "uar", "ece"))
        metrics[corpus] = m.to_mapping()
        name = f"voice: {corpus}, new speakers of a known corpus"
        summary.append(_line(name, f"UAR of {len(labels)}", "uar", m))
    if not rows:
        raise InputError("needs crema-d or ravdess")
    text = (
        f"For comparison: {study.card(SPEECH).id} as it ships, on speakers whom it did not learn "
        "from, but of corpora whose other speakers it did. New rooms and new microphones are "
        "harder: see above. Cut as in an analysis."
    )
    table = Table("", ("speakers", "samples", "UAR", "ECE", *_SHOWN[2:]), tuple(rows))
    return Finding(
        Section("Voices: new speakers of known corpora", (text, table)),
        {"voices of known corpora": metrics},
        tuple(summary),
    )


def faces(study: Study) -> Finding:
    """Measure the face model on CK+ and on KDEF, open and closed."""
    rows, metrics, summary, cards = [], {}, [], []
    for corpus, title in (("ck-plus", "CK+"), ("kdef", "KDEF, faces found")):
        try:
            p = _faces(study, corpus)
        except InputError as e:
            study.miss(f"faces of {corpus}", e)
            continue
        for name, part in _without_contempt(title, p):
            closed = _measured(study, part, _occurring(part))
            opened = _measured(study, part, CANONICAL.labels)
            n = len(_occurring(part))
            rows.append((*_row(name, opened, "uar", "ece"), cell("uar", closed.metrics["uar"])))
            metrics[name] = {"open": opened.to_mapping(), "closed": closed.to_mapping()}
            summary.append(_line(f"face: {name}", f"UAR of {n}, open", "uar", opened))
            summary.append(_line(f"face: {name}", f"UAR of {n}, closed", "uar", closed))
            cards += _card_rows(corpus, name, opened, closed, study.plan.reproduce)
    if not rows:
        raise InputError("needs ck-plus or kdef")
    text = (
        "Posed faces of people whom the model did not learn from, though it was chosen and its "
        "temperature fitted on both sets: a little too good. CK+ as crops of 48 pixels where "
        "that is what is there, and KDEF as photos from up to both sides, in which faces are "
        "found as in an analysis; a face that is not found counts as an error."
    )
    head = ("faces", "samples", "UAR, open", "ECE", *_SHOWN[2:], "UAR, closed")
    return Finding(
        Section("Faces of other corpora", (text, Table("", head, tuple(rows)))),
        {"faces": metrics},
        tuple(summary),
        cards={study.card(FACE).id: tuple(cards)},
    )


def _faces(study: Study, corpus: str) -> CachedPredictions:
    manifest, model = study.manifest(corpus), study.models[FACE]
    if not Plan().faces.need_detection(manifest):
        return cached.load_or_compute(
            manifest, model, study.plan.predictions, progress=study.progress
        )
    # Not kept: what is found depends on more than the weights of one model.
    tick = study.progress(f"{corpus}, finding faces", len(manifest))
    return cached.compute(manifest, model, find=FaceFinder(), tick=tick)


def _without_contempt(title: str, p: CachedPredictions) -> list[tuple[str, CachedPredictions]]:
    contempt = np.array([label == "contempt" for label in p.labels])
    if not contempt.any():
        return [(title, p)]
    return [(f"{title}, six emotions", p.where(~contempt)), (f"{title}, with contempt", p)]


def _card_rows(
    corpus: str, name: str, opened: Measured, closed: Measured, command: str
) -> list[Metric]:
    split = ", ".join(("cross-corpus", *name.split(", ")[1:]))
    who = f"{opened.samples} samples of {opened.speakers} people"
    values = {
        "uar_open": (opened.metrics["uar"].value, "best of all labels of the model"),
        "uar": (closed.metrics["uar"].value, "best of the labels of the corpus"),
        "ece": (opened.metrics["ece"].value, "best of all labels of the model"),
        "above_90": (opened.sure, "share of answers surer than .9"),
        "wrong_above_90": (opened.sure_wrong, "of answers surer than .9, those that are wrong"),
    }
    return [
        Metric(corpus, split, key, round(value, 4), f"{who}; {how}", 1, command)
        for key, (value, how) in values.items()
        if value is not None
    ]


def words(study: Study) -> Finding:
    """Measure the text model on MELD's dev utterances."""
    p = study.of("meld", TEXT, Split.VALIDATION)
    if not len(p):
        raise InputError("meld has no validation samples")
    m = _measured(study, p, _occurring(p))
    taught = any(d.corpus == "meld" for d in study.card(TEXT).data)
    text = (
        f"{m.samples} utterances of a television series; the label is what people saw and heard, "
        "not what the words alone say, so that words cannot get all of it right. Weighted F1 over "
        "seven labels."
    )
    if taught:
        text += (
            f" No strangers: {study.card(TEXT).id} was taught by MELD's train part, other "
            "dialogues of the same series and characters."
        )
    table = Table(
        "",
        ("words", "samples", "weighted F1", "UAR", "ECE", *_SHOWN[2:]),
        (_row("MELD dev", m, "weighted_f1", "uar", "ece"),),
    )
    who, command = f"{m.samples} utterances", study.plan.reproduce
    split = "validation" if taught else "validation, cross-corpus"
    values = {
        "weighted_f1": m.metrics["weighted_f1"].value,
        "uar": m.metrics["uar"].value,
        "ece": m.metrics["ece"].value,
        "above_90": m.sure,
        "wrong_above_90": m.sure_wrong,
    }
    cards = tuple(
        Metric("meld", split, key, round(v, 4), who, 1, command)
        for key, v in values.items()
        if v is not None
    )
    return Finding(
        Section("Words: MELD", (text, table)),
        {"words": {"meld dev": m.to_mapping()}},
        (_line(f"words: MELD dev{', train was taught' if taught else ''}", *_F1, m),),
        cards={study.card(TEXT).id: cards},
    )


_F1 = ("weighted F1 of 7", "weighted_f1")


def paired(study: Study) -> Finding:
    """Fuse parts that belong together, every subset of them, and people's votes beside."""
    made = list(_paired_sets(study))
    if not made:
        raise InputError("needs RAVDESS' published posteriors, or crema-d.csv with its votes")
    tick = study.progress("fusing", sum(len(clips.subsets) for clips in made))
    blocks: list[str | Table] = [
        "Clips of one person each: errors of face, voice and words depend on each other as they "
        "do in use. Default fusion and default marks, nothing fitted here but what the texts say. "
        "One right: of clips of which exactly one part is right, how many the fused answer gets. "
        "Marked: share that is called uncertain, of wrong answers beside a right part and of "
        "right answers. The constants of the default fusion were rounded with the published "
        "RAVDESS posteriors and the crowd of CREMA-D in view (see the fusion page)."
    ]
    metrics: dict[str, Any] = {}
    fused: list[tuple[str, ...]] = []
    for clips in made:
        rows = measure_all(clips, study.plan.n_resamples, tick)
        cells = tuple(_fused_row(row) for row in rows)
        blocks += [clips.text, Table(clips.title, _FUSED, cells, _FUSED_NOTE)]
        metrics[clips.key] = {row.name: row.to_mapping() for row in rows}
        if clips.key not in _DETAILS:
            fused.append(_fused_line(clips, rows))
    try:
        people = sets.people_combine(study.plan.root)
        metrics["people"] = people
        blocks.append(_people(people))
    except InputError:
        pass  # said where the crowd's set was made
    return Finding(
        Section("Fusion of what belongs together", tuple(blocks)),
        {"paired": metrics},
        fused=tuple(fused),
    )


_DETAILS = frozenset(f"ravdess, published face ({face}) and voice" for face in sets.FACES[1:])
"""Sets that are not in the second table."""

_FUSED = (
    "present",
    "accuracy",
    "less the best part",
    "one right",
    "wrong, marked",
    "right, marked",
    "unmarked: accuracy",
    "ECE",
    "surer than 90 %",
    "of these wrong",
)
_FUSED_NOTE = "In brackets: 95 % interval, resampling people; number of clips."


def _paired_sets(study: Study) -> list[PairedSet]:
    root, text = study.plan.root, study.models[TEXT]
    out: list[PairedSet] = []

    def add(name: str, make: Callable[[], list[PairedSet]]) -> None:
        try:
            out.extend(make())
        except (InputError, ModelError) as e:
            study.miss(name, e)

    def ravdess() -> list[PairedSet]:
        data = sets.published(root)
        return [sets.ravdess_published(data, text, face) for face in sets.FACES]

    def ravdess_own() -> list[PairedSet]:
        voice = study.held_out("ravdess").of("test")
        return [sets.ravdess_own_voice(sets.published(root), voice, study.card(SPEECH), text)]

    def crema_own() -> list[PairedSet]:
        voice, ids = study.held_out("crema-d").of("test"), sets.crema_d_clips(root)
        crowd = sets.crema_d_crowd(root, text)
        return [sets.crema_d_own_voice(crowd, ids, voice, study.card(SPEECH))]

    add("RAVDESS' published posteriors", ravdess)
    add("RAVDESS' published faces with our voice model", ravdess_own)
    add("CREMA-D's crowd", lambda: [sets.crema_d_crowd(root, text)])
    add("CREMA-D's crowd by face with our voice model", crema_own)
    return out


def _fused_row(row: FusedRow) -> tuple[str, ...]:
    m = row.measured
    alone = row.gain is None
    return (
        row.name,
        cell("accuracy", m.metrics["accuracy"]),
        "–" if alone else _gain(row),
        _of(row.one_right, None if alone else row.one_right_of),
        _of(row.wrong_marked, None if alone else row.wrong_marked_of),
        _of(row.right_marked),
        _of(row.unmarked_accuracy),
        f"{m.metrics['ece'].value:.3f}",
        percent(m.sure),
        _of(m.sure_wrong),
    )


def _gain(row: FusedRow) -> str:
    value, low, high = row.gain or (0.0, 0.0, 0.0)
    return f"{points(value)}: {points(low)} to {points(high)}"


def _of(share: float | None, count: int | None = None) -> str:
    if share is None:
        return "–"
    return percent(share) if count is None else f"{percent(share)} ({count})"


def _fused_line(clips: PairedSet, rows: Sequence[FusedRow]) -> tuple[str, ...]:
    """Write the row of a set with all three parts for the second table."""
    together, last = [row for row in rows if row.gain is not None], rows[-1]
    return (
        clips.title,
        *(
            f"{percent(row.measured.metrics['accuracy'].value, '')} ({_gain(row)})"
            for row in together
        ),
        _of(last.one_right),
        _of(last.wrong_marked),
        f"{last.measured.metrics['ece'].value:.3f}",
    )


def _people(found: Mapping[str, float]) -> str:
    def share(name: str) -> str:
        return percent(found[name])

    return (
        f"How people combine (CREMA-D, {int(found['clips'])} clips with one winner in each vote): "
        f"the vote by face alone is right in {share('face right')}, by voice alone in "
        f"{share('voice right')}, by both in {share('both right')}. Face and voice differ in "
        f"{share('differ')}; those who see and hear then go with the face in "
        f"{share('follow the face')} and with the voice in {share('follow the voice')}. Where "
        f"exactly one of the two is right, they are right in {share('right where one is')}."
    )


def upper_bound(study: Study) -> Finding:
    """Pair samples of different people by label: an upper bound only, and last."""
    plan = by_label.FusionPlan(
        root=study.plan.root, threads=study.plan.threads, n_resamples=study.plan.n_resamples
    )
    corpora = by_label.TRIPLE.values()
    predictions = {corpus: study.held_out(corpus) for corpus in corpora}
    priors = {r.card.id: r.card.prior for r in study.models.values() if r.card.prior is not None}
    fuser = by_label.NamedFuser(FusionConfig().strategy, make_fuser(FusionConfig(), priors))
    found = subsets.section(
        by_label.Study(plan, study.models, predictions, (fuser,), study.progress)
    )
    title = "Upper bound only: faces, voices and words of different people, paired by label"
    return Finding(
        replace(found.section, title=title, collapsed=True), {"upper bound": dict(found.metrics)}
    )


def _measured(study: Study, p: CachedPredictions, labels: Sequence[str]) -> Measured:
    actual = np.array([labels.index(label) for label in p.labels], np.int64)
    missed = ~(p.quality > 0) if p.modality is FACE else None
    return measure(actual, p.over(labels), p.speakers, study.plan.n_resamples, missed)


def _occurring(p: CachedPredictions) -> tuple[str, ...]:
    return tuple(label for label in CANONICAL.labels if label in set(p.labels))


def _row(name: str, m: Measured, *metrics: str) -> tuple[str, ...]:
    samples = f"{m.samples}" + (f" ({m.missed} missed)" if m.missed else "")
    shown = (cell(key, m.metrics[key]) for key in metrics)
    return (name, samples, *shown, percent(m.sure), _of(m.sure_wrong))


def _line(asked: str, measure: str, key: str, m: Measured) -> tuple[str, ...]:
    return (asked, measure, cell(key, m.metrics[key]), f"{m.metrics['ece'].value:.3f}", _sure(m))


def _sure(m: Measured) -> str:
    return f"{percent(m.sure)}, {_of(m.sure_wrong)}"


SECTIONS: Mapping[str, Callable[[Study], Finding]] = MappingProxyType(
    {
        "voices of a corpus that was left out": left_out,
        "voices of known corpora": known_voices,
        "faces of other corpora": faces,
        "words": words,
        "fusion of what belongs together": paired,
        "pairs by label": upper_bound,
    }
)
"""The sections by what they evaluate."""
