"""Our models' predictions for face and voice, paired by label."""

from __future__ import annotations

from ...report.document import Section, Table
from ..paired import Fused, fuse
from ..pairs import by_label, shared_labels
from ..study import FACE, INDEPENDENT, SPEECH, Study, alone
from .finding import Finding, mean_accuracy, mean_and_deviation, percent

_SETS = {
    "FER2013 × RAVDESS": ("ravdess", "fer2013"),
    "FER2013 × CREMA-D": ("crema-d", "fer2013"),
    "FER+ × RAVDESS": ("ravdess", ""),
    "FER+ × CREMA-D": ("crema-d", ""),
}
"""Title → the corpus of voices, and the labelling of the faces of FER2013."""


def section(study: Study) -> Finding:
    """Compare strategies on pairs of face and voice."""
    names = ["face alone", "voice alone", *study.names]
    runs: dict[str, dict[str, list[Fused]]] = {name: {t: [] for t in _SETS} for name in names}
    n_labels: dict[str, int] = {}
    tick = study.progress("pairs", len(_SETS) * len(study.pair_seeds) * len(study.fusers))
    for title, (corpus, labelling) in _SETS.items():
        face, voice = study.of("fer2013", labelling=labelling), study.of(corpus)
        labels = shared_labels(face, voice)
        n_labels[title] = len(labels)
        for seed in study.pair_seeds:
            pairs = by_label(face, voice, labels=labels, seed=seed)
            runs["face alone"][title].append(alone(pairs, FACE))
            runs["voice alone"][title].append(alone(pairs, SPEECH))
            for named in study.fusers:
                runs[named.name][title].append(fuse(pairs, named.fuser))
                tick()
    head = ("strategy", *(f"{t}, {n_labels[t]} labels" for t in _SETS))
    accuracy, uar = (
        tuple(
            (
                name,
                *(mean_and_deviation([getattr(f, metric) for f in runs[name][t]]) for t in _SETS),
            )
            for name in names
        )
        for metric in ("accuracy", "uar")
    )
    text = (
        "FER2013 test faces where FER+'s ten votes do not tie, under their majority and under "
        "FER2013's own labels; clips of RAVDESS fold 3 (seven labels) and of CREMA-D's test "
        "speakers (six; its actors play no surprise). No model here was trained on any of them, "
        "apart from what its card says of its teachers. Every face and clip is used; the "
        "prediction is the best of the shared labels. Targets: 88 % with FER2013's labels, 94 % "
        "with FER+'s."
    )
    note = f"Mean ± standard deviation over {len(study.pair_seeds)} pairings of the same samples."
    default = study.default.name
    return Finding(
        Section(
            "2. Our models, paired by label",
            (
                INDEPENDENT,
                text,
                Table("Accuracy", head, accuracy, note),
                Table("UAR: every label counts the same", head, uar, note),
            ),
        ),
        {
            "pairs": {
                name: {t: [f.accuracy for f in found] for t, found in by_set.items()}
                for name, by_set in runs.items()
            }
        },
        tuple(
            (title, percent(mean_accuracy(runs[default][title])), default)
            for title in ("FER2013 × RAVDESS", "FER+ × RAVDESS")
        ),
        {
            title: {name: percent(mean_accuracy(runs[name][title])) for name in study.names}
            for title in _SETS
        },
    )
