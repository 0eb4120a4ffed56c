"""The report on fusion, on posteriors and readings that are made up."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.made import LABELS, joined, made, softmax
from tests.evaluation.report.test_report import Tags

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.evaluation.fusion import pairs, posteriors
from emofuse.evaluation.fusion import study as fusion
from emofuse.evaluation.fusion.paired import fuse, microseconds, pooled, subsets
from emofuse.evaluation.report import document
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
    assert (alone.shares == 1).all()


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
    assert fused.share(FACE) == pytest.approx(0.45, abs=0.01)


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
    fits = fusion._fits()
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
def study() -> fusion._Study:
    """A study of made readings: what the corpora's names hold is a few hundred rows."""
    found = {}
    for modality, corpus in fusion.TRIPLE.items():
        halves = [
            made(modality, 300, seed, corpus, split=split, noise=1.3)
            for seed, split in enumerate(("validation", "test"))
        ]
        found[corpus] = joined(*halves)
    pools = [s for s in Strategy if not s.learned]
    fusers = [fusion.Named(s.value, make_fuser(FusionConfig(s))) for s in pools]
    plan = fusion.FusionPlan(Path(), seeds=1, per_label=30)
    return fusion._Study(plan, {}, found, fusers, lambda name, total: lambda: None)


def test_no_subset_falls_below_its_best_part(study: fusion._Study) -> None:
    part = fusion._subsets(study)
    table = part.section.tables[0]
    assert len(table.rows) == 7
    accuracy = part.figures["subsets"]["logpool"]
    assert accuracy["face + voice + words"] > max(accuracy[x] for x in ("face", "voice", "words"))


def test_thresholds_come_from_validation_and_keep_nine_of_ten(study: fusion._Study) -> None:
    for name, row in fusion._abstaining(study).figures["abstaining"].items():
        assert row["coverage"] >= 0.85, name
        assert row["accuracy_answered"] >= row["accuracy"] - 0.01
        assert 0 < row["aurc"] < 1 - row["accuracy"] + 0.02


def test_a_temperature_for_what_is_fused_comes_from_validation(study: fusion._Study) -> None:
    _, figures, met, worst = fusion._fused_calibration(study)
    assert set(figures) == {"weighted", "confidence", "logpool"}
    assert worst == pytest.approx(float(met["worst ECE in domain"]["logpool"]), abs=1e-3)
    before, after = zip(*figures["weighted"]["in_domain"].values(), strict=True)
    assert np.mean(after) < np.mean(before)  # an average of experts is too modest


def test_speed_is_measured(study: fusion._Study) -> None:
    assert all(us > 0 for us in fusion._speed(study).figures["microseconds"].values())


def test_what_is_missing_is_said_and_the_rest_measured(table: Path, tmp_path: Path) -> None:
    found = fusion.evaluate(fusion.FusionPlan(tmp_path, seeds=1, n_resamples=20))
    titles = [s.title for s in found.sections]
    assert any("RAVDESS" in t for t in titles)
    assert not any("Speed" in t for t in titles)
    told = " ".join(found.notes)
    for name in ("fer2013", "crema-d", "goemotions"):
        assert name in told
    assert found.figures["posteriors"]


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--posteriors"):
        fusion.evaluate(fusion.FusionPlan(tmp_path))


DOCUMENT = Document(
    title="<i>Fusion</i>",
    facts=("a | b",),
    sections=(
        Section(
            "1. <b>One</b>",
            ("text",),
            (Table("t", ("name", "x"), (("<u>a</u>", "1"), ("b", "2")), "note", frozenset({1})),),
            (Curve("risk", "answered", "wrong", {"<s>": ((0.1, 0.0), (1.0, 0.2))}, (0.9, 0.1)),),
        ),
    ),
    notes=("careful",),
    provenance=(("emofuse", "9"),),
    figures={"a": 1},
    big=(("big", "1 %", "told"),),
)


def test_the_page_is_well_formed_and_harmless() -> None:
    tags = Tags()
    tags.VOID = tags.VOID | {"rect", "circle", "polyline"}  # type: ignore[misc]
    html = document.to_html(DOCUMENT)
    for empty in ("rect", "circle", "polyline"):
        assert f"<{empty} " in html
    tags.feed(html.replace("/>", ">"))
    assert tags.open == []
    assert not {"script", "u", "i", "link"} & tags.seen
    for told in ("<u>a</u>", "careful", "1 %", "risk"):
        assert told in tags.text


def test_markdown_keeps_its_tables_and_json_everything() -> None:
    text = document.to_markdown(DOCUMENT)
    for block in (b for b in text.split("\n\n") if b.startswith("|")):
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1
    assert "a \\| b" in text
    back = json.loads(json.dumps(DOCUMENT.to_mapping()))
    assert back["figures"] == {"a": 1}
    assert back["sections"][0]["tables"][0]["best"] == [1]


def test_rows_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="every row needs 2"):
        Table("t", ("a", "b"), (("only",),))
