"""`emofuse evaluate cross-corpus` for real, on small corpora that the test makes."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emofuse.cli.main import main
from emofuse.core.estimates import Modality
from emofuse.corpora.recipes.crema_d import SENTENCES, SPLIT_OF
from emofuse.evaluation.cross_corpus import sections, sets
from emofuse.evaluation.cross_corpus.study import CrossCorpusPlan, Study
from emofuse.evaluation.fusion import posteriors
from emofuse.evaluation.predict.loading import locate
from emofuse.models.card import read_card
from emofuse.models.store import WEIGHTS, ZOO, Store

SPEECH = Modality.SPEECH
LETTERS = {"NEU": "N", "HAP": "H", "SAD": "S", "ANG": "A", "FEA": "F", "DIS": "D"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Votes on ten actors, posteriors of ten actors, a few utterances of MELD; no sound."""
    root = tmp_path_factory.mktemp("root")
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for actor in range(1001, 1011):
        for emotion, letter in LETTERS.items():
            wrong = rng.choice(list(LETTERS.values()))
            rows.append(
                {"clip": f"{actor}_DFA_{emotion}_XX", "speaker": actor, "sex": "Male", "age": 30}
                | {"race": "", "sentence": rng.choice(list(SENTENCES)), "emotion": emotion}
                | {"split": SPLIT_OF.get(str(actor), "train"), "conflicting_duplicate": "0"}
                | {"face_vote": letter if rng.random() < 0.8 else wrong, "face_level": 70}
                | {"voice_vote": letter if rng.random() < 0.5 else f"{letter}:N"}
                | {"voice_level": 60, "multimodal_vote": letter, "multimodal_level": 75}
            )
    write(root / "crema-d.csv", rows)
    names = [f"{m}_{x}" for m in posteriors.MODELS.values() for x in posteriors.LABELS]
    clips = []
    for i in range(80):
        p = rng.normal(0, 1, (3, 8))
        p[:, i % 8] += 2.0
        p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
        name = f"03-01-{i % 8 + 1:02d}-01-{i % 2 + 1:02d}-01-{i % 10:02d}"
        about = {"clip": name, "actor": i % 10, "emotion": posteriors.LABELS[i % 8], "fold": i % 5}
        clips.append(about | dict(zip(names, p.ravel().tolist(), strict=True)))
    write(root / "fusion" / posteriors.TABLE, clips)
    said = (
        ("joy", "That is wonderful!"),
        ("anger", "I hate you."),
        ("neutral", "It is on the table."),
    )
    write(
        root / "meld-dev.csv",
        [
            {"dialogue": i, "utterance": 0, "speaker": f"s{i}", "emotion": e, "text": text}
            for i, (e, text) in enumerate(said)
        ],
    )
    return root


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as f:
        table = csv.DictWriter(f, rows[0])
        table.writeheader()
        table.writerows(rows)


def test_one_command_reports_what_is_there_and_names_what_is_not(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = tmp_path / "cards"
    cards.mkdir()
    card = f"{Modality.TEXT.spec.model}.toml"
    shutil.copy(ZOO / card, cards)
    given = ("--data", str(root), "--cache", str(tmp_path / "cache"), "--resamples", "50")
    to = ("--out", str(tmp_path / "out"), "--update-cards", str(cards))
    assert main(["evaluate", "cross-corpus", *given, *to]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    paired = found["metrics"]["paired"]
    assert len(paired["crema-d, crowd"]) == 7
    assert set(paired["ravdess, published face (MLP) and voice"]["face + voice"]) >= {
        "gain", "right_where_one_part_is", "wrong_with_a_right_part_marked", "ece", "above_90",
    }  # fmt: skip
    assert found["metrics"]["words"]["meld dev"]["samples"] == 3
    assert found["metrics"]["voices left out"]["recorded"] is True
    assert any("ck-plus" in note for note in found["notes"])
    assert any("our voice model" in note for note in found["notes"])
    shown = capsys.readouterr().out
    assert "left out" in " ".join(shown.split())
    page = (tmp_path / "out" / "report.md").read_text()
    for row in found["alone"]:
        assert row["value"] in page
    assert [row["one person's clips"][:7] for row in found["fused"]] == ["RAVDESS", "CREMA-D"]
    written = [m for m in read_card(cards / card).metrics if m.corpus == "meld"]
    assert {m.name for m in written} >= {"weighted_f1", "ece"}


def test_nothing_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["evaluate", "cross-corpus", "--data", str(tmp_path / "empty")]) != 0
    assert "crema-d" in capsys.readouterr().err


def test_what_a_vote_says_is_learned_on_other_actors(root: Path) -> None:
    rows = sets._crema_rows(root)
    people = tuple(row["speaker"] for row in rows)
    fold = sets._folds(people)
    assert all(
        len({f for f, who in zip(fold, people, strict=True) if who == p}) == 1 for p in people
    )
    actual = np.array([sets._ACTED.index(row["emotion"]) for row in rows])
    p = sets._of_votes(rows, "face", actual, fold)
    held = fold == 0
    swapped = np.where(held, (actual + 1) % 6, actual)  # other labels of the held-out actors
    again = sets._of_votes(rows, "face", swapped, fold)
    np.testing.assert_allclose(p[held], again[held])
    assert (p.argmax(axis=1) == actual).mean() > 0.6


def test_figures_of_left_out_corpora_come_from_the_card() -> None:
    card = Store().card("speech-v4")
    found = sections._recorded(card)
    assert list(found) == list(sections.VOICES)
    recorded = next(
        m for m in card.metrics if (m.corpus, m.split, m.name) == ("tess", "left out, vad", "uar")
    )
    assert found["tess"]["vad uar"] == recorded.value
    assert sections._recorded(replace(card, metrics=())) == {}


def test_a_model_that_was_trained_without_a_corpus_is_asked_about_it(
    tmp_path: Path, media: Path
) -> None:
    """The embedded voice model, called one that has heard nothing, on EmoDB's layout."""
    card = (ZOO / "speech-v4.toml").read_text()
    no_data = re.sub(r"\[\[(data|metrics)\]\]\n(?:(?!\[).*\n)*", "", card)
    (tmp_path / "speech-v4.toml").write_text(no_data)
    shutil.copy(WEIGHTS / "speech-v4.onnx", tmp_path)
    for name in ("03a01Fa", "03a01Wa", "08a01Na"):
        shutil.copy(media / "speech.ogg", tmp_path / f"{name}.ogg")
    models = {SPEECH: locate("speech-v4")[0].load()}
    left_out = {"emodb": str(tmp_path / "speech-v4.toml")}
    found = sections.left_out(Study(CrossCorpusPlan(tmp_path, left_out=left_out), models))
    row = found.metrics["voices left out"]["emodb"]
    assert found.measured
    assert found.metrics["voices left out"]["recorded"] is False
    assert row["full uar"] in (1 / 3, 0.0)  # the same sound under three labels
    assert row["labels"] == 6


@pytest.mark.slow  # imports torch
def test_one_corpus_cannot_be_left_out(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "one.yaml").write_text("corpora: [{name: tess}]\n")
    given = ("--data", str(root), "--leave-one-out", str(tmp_path / "one.yaml"))
    assert main(["evaluate", "cross-corpus", *given]) != 0
    assert "two corpora" in capsys.readouterr().err
