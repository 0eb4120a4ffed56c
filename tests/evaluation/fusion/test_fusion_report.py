"""The report on fusion, on synthetic posteriors and predictions."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.report.test_report import Tags
from tests.evaluation.synthetic import LABELS, joined, made, softmax

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.evaluation.fusion import pairs, posteriors, sections
from emofuse.evaluation.fusion.evaluate import evaluate
from emofuse.evaluation.fusion.paired import fuse, microseconds, pooled, subsets
from emofuse.evaluation.fusion.study import TRIPLE, FusionPlan, NamedFuser, Study
from emofuse.evaluation.report import html, markdown
from emofuse.evaluation.report.document import Curve, Document, Section, Table
from emofuse.fusion.config import FusionConfig, Strategy
from emofuse.fusion.factory import make_fuser

FACE, SPEECH, WORDS = Modality.FACE, Modality.SPEECH, Modality.TEXT


@pytest.fixture(scope="module")
def triples() -> pairs.Pairs:
    parts = (made(FACE, noise=1.5), made(SPEECH, noise=1.2), made(WORDS))
    return pairs.by_label(*parts, labels=LABELS, seed=0, per_label=25)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Posteriors of 60 clips by 10 actors: two weak face models and a better voice."""
    rng = np.random.default_rng(0)
    names = [f"{m}_{x}" for m in posteriors.MODELS.values() for x in posteriors.LABELS]
    path = tmp_path / "deep" / posteriors.TABLE
    path.parent.mkdir()
    with path.open("w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["clip", "actor", "emotion", "fold", *names])
        for i in range(60):
            label = i % 8
            p = rng.normal(0, 1, (3, 8))
            p[:, label] += (1.0, 1.2, 2.5)
            actor = i % 10
            row = [f"c{i}", actor, posteriors.LABELS[label], actor % 5]
            out.writerow([*row, *softmax(p).ravel().tolist()])
    return path


def test_subsets_are_all_of_them() -> None:
    found = subsets((FACE, SPEECH, WORDS))
    assert len(found) == len(set(found)) == 7
    assert found[0] == (FACE,)
    assert found[-1] == (FACE, SPEECH, WORDS)


def test_one_part_alone_is_fused_as_it_is(triples: pairs.Pairs) -> None:
    fuser = make_fuser(FusionConfig(Strategy.LOGPOOL))
    alone = fuse(triples, fuser, (SPEECH,))
    assert alone.p == pytest.approx(triples.part(SPEECH).over(LABELS), abs=1e-4)
    assert (alone.weights == 1).all()


def test_more_parts_know_more(triples: pairs.Pairs) -> None:
    fuser = make_fuser(FusionConfig(Strategy.LOGPOOL))
    found = {s: fuse(triples, fuser, s) for s in subsets(triples.modalities)}
    best = max(found[(m,)].accuracy for m in triples.modalities)
    assert found[triples.modalities].accuracy > best + 0.05
    confidence, right = pooled(list(found.values()))
    assert len(confidence) == len(right) == 7 * len(triples)
    assert 0 < microseconds(triples, fuser, 10) < 1e6


def test_what_is_not_asked_for_is_no_answer(triples: pairs.Pairs) -> None:
    fused = fuse(triples, make_fuser(FusionConfig(Strategy.WEIGHTED)))
    assert fused.p.shape == (len(triples), len(LABELS))
    assert fused.p.sum(axis=1) == pytest.approx(np.ones(len(triples)))
    assert fused.weight(FACE) == pytest.approx(0.45, abs=0.01)


def test_posteriors_are_found_and_read(table: Path) -> None:
    data = posteriors.load(table.parents[1])
    assert len(data) == 60
    assert data.p.shape == (60, 3, 8)
    assert data.p.sum(axis=2) == pytest.approx(np.ones((60, 3)))


def test_the_tested_fold_is_never_fitted(table: Path) -> None:
    data = posteriors.load(table)
    seen: list[set[str]] = []

    def fit(p: np.ndarray, actual: np.ndarray, actors: np.ndarray) -> posteriors.Predict:
        seen.append(set(actors))
        return lambda new: new.mean(axis=1)

    posteriors.out_of_fold(data, ("face MLP", "voice"), fit)
    for fold, actors in zip(range(5), seen, strict=True):
        held = {a for a, f in zip(data.actors, data.fold, strict=True) if f == fold}
        assert held
        assert not held & actors


def test_known_means() -> None:
    p = np.array([[[0.9, 0.1], [0.2, 0.8]]])
    nobody = np.zeros(1, np.int64)
    assert posteriors.average(p, nobody, nobody)(p)[0] == pytest.approx([0.55, 0.45])
    g = np.sqrt([0.9 * 0.2, 0.1 * 0.8])
    assert posteriors.geometric(p, nobody, nobody)(p)[0] == pytest.approx(g / g.sum(), rel=1e-3)


def test_every_set_of_models_is_measured(table: Path) -> None:
    data = posteriors.load(table)
    fits = sections.posteriors.fits()
    some = {name: fits[name] for name in ("logpool", "weighted, trained")}
    rows = posteriors.compare(data, some, n_resamples=50)
    names = {r.name for r in rows}
    assert {
        "voice alone",
        "plain average",
        "geometric mean",
        "logpool",
        "weighted, trained",
    } <= names
    for row in rows:
        low, high = row.accuracy[1:]
        assert low <= row.accuracy[0] <= high
        assert len(row.folds) == 5
    voice = next(r for r in rows if r.name == "voice alone")
    assert voice.gains == (0,) * 5
    assert voice.never_worse


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--posteriors"):
        posteriors.load(tmp_path)
    other = tmp_path / posteriors.TABLE
    other.write_text("clip,actor\n1,2\n")
    with pytest.raises(InputError, match="lacks the columns"):
        posteriors.load(tmp_path)


@pytest.fixture(scope="module")
def study() -> Study:
    """A study of synthetic predictions: each corpus has a few hundred rows."""
    found = {}
    for modality, corpus in TRIPLE.items():
        halves = [
            made(modality, 300, seed, corpus, split=split, noise=1.3)
            for seed, split in enumerate(("validation", "test"))
        ]
        found[corpus] = joined(*halves)
    pools = [s for s in Strategy if not s.learned]
    fusers = [NamedFuser(s.value, make_fuser(FusionConfig(s))) for s in pools]
    return Study(FusionPlan(Path(), pairings=1, per_label=30), {}, found, fusers)


def test_no_subset_falls_below_its_best_part(study: Study) -> None:
    finding = sections.subsets.section(study)
    (table,) = (b for b in finding.section.blocks if isinstance(b, Table))
    assert len(table.rows) == 7
    accuracy = finding.metrics["subsets"]["logpool"]
    assert accuracy["face + voice + text"] > max(accuracy[x] for x in ("face", "voice", "text"))


def test_thresholds_come_from_validation_and_keep_nine_of_ten(study: Study) -> None:
    for name, row in sections.rejection.section(study).metrics["rejection"].items():
        assert row["coverage"] >= 0.85, name
        assert row["accuracy_accepted"] >= row["accuracy"] - 0.01
        assert 0 < row["aurc"] < 1 - row["accuracy"] + 0.02


def test_a_temperature_for_what_is_fused_comes_from_validation(study: Study) -> None:
    finding = sections.calibration.section(study)
    found = finding.metrics["calibration"]["fused"]
    assert set(found) == {"weighted", "confidence", "logpool"}
    before, after = zip(*found["weighted"]["in_domain"].values(), strict=True)
    assert np.mean(after) < np.mean(before)  # an average of experts is underconfident
    worst = max(before for before, _ in found["logpool"]["in_domain"].values())
    assert finding.summary["worst ECE in domain"]["logpool"] == f"{worst:.3f}"


def test_speed_is_measured(study: Study) -> None:
    found = sections.speed.section(study).metrics["microseconds"]
    assert all(us > 0 for us in found.values())


def test_sections_need_no_order(study: Study) -> None:
    alone = replace(study, _memo={})
    assert sections.rejection.section(alone) == sections.rejection.section(study)


@pytest.mark.slow
def test_what_is_missing_is_said_and_the_rest_measured(table: Path, tmp_path: Path) -> None:
    found = evaluate(FusionPlan(tmp_path, pairings=1, n_resamples=20))
    titles = [s.title for s in found.sections]
    assert any("RAVDESS" in t for t in titles)
    assert not any("Speed" in t for t in titles)
    told = " ".join(found.notes)
    for name in ("fer2013", "crema-d", "goemotions"):
        assert name in told
    assert found.results["metrics"]["posteriors"]


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--posteriors"):
        evaluate(FusionPlan(tmp_path))


DOCUMENT = Document(
    title="<i>Fusion</i>",
    facts=("a | b",),
    sections=(
        Section(
            "1. <b>One</b>",
            (
                "text",
                Table("t", ("name", "x"), (("<u>a</u>", "1"), ("b", "2")), "note", frozenset({1})),
                Curve("risk", "coverage", "error", {"<s>": ((0.1, 0.0), (1.0, 0.2))}, (0.9, 0.1)),
            ),
        ),
    ),
    notes=("careful",),
    provenance=(("emofuse", "9"),),
    results={"a": 1},
    headline=(("big", "1 %", "told"),),
)


def test_the_page_is_well_formed_and_harmless() -> None:
    tags = Tags()
    tags.VOID = tags.VOID | {"rect", "circle", "polyline"}  # type: ignore[misc]
    page = html.render(DOCUMENT)
    for empty in ("rect", "circle", "polyline"):
        assert f"<{empty} " in page
    tags.feed(page.replace("/>", ">"))
    assert tags.open == []
    assert not {"script", "u", "i", "link"} & tags.seen
    for told in ("<u>a</u>", "careful", "1 %", "risk"):
        assert told in tags.text


def test_markdown_keeps_its_tables_and_json_the_results() -> None:
    text = markdown.render(DOCUMENT)
    for block in (b for b in text.split("\n\n") if b.startswith("|")):
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1
    assert "a \\| b" in text
    assert json.loads(DOCUMENT.to_json()) == {"a": 1}


def test_rows_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="every row needs 2"):
        Table("t", ("a", "b"), (("only",),))
