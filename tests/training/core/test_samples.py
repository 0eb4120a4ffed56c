"""From corpora to what is taught: masks, shares, teachers, held-out speakers, broken files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training import made

from emofuse.config.loader import construct
from emofuse.corpora.manifest import Split
from emofuse.errors import InputError
from emofuse.training.core.samples import Samples, drawn, label_weights, steps_of
from emofuse.training.core.targets import TargetConfig
from emofuse.training.core.teacher import softened
from emofuse.training.face.task import FaceTrainer, FaceTraining


def trainer(tmp_path: Path, table: Path, **more: Any) -> FaceTrainer:
    config = made.face_config(tmp_path / "run", table, **more)
    return FaceTrainer(construct(FaceTraining, config, "config"))


def two(tmp_path: Path, **second: Any) -> list[dict[str, Any]]:
    """One corpus of happy and sad faces, and one of happy and angry ones."""
    first = made.faces(tmp_path / "a", {"train": 12, "validation": 4})
    other = made.faces(tmp_path / "b", {"train": 8, "validation": 4}, ("happy", "angry"))
    return [
        {"name": "csv", "root": str(first), "options": {"name": "one"}},
        {"name": "csv", "root": str(other), "options": {"name": "two"}, **second},
    ]


def test_what_a_corpus_does_not_know_is_masked(tmp_path: Path) -> None:
    made_trainer = trainer(tmp_path, Path(), corpora=two(tmp_path))
    one, other = made_trainer.train_samples
    assert made_trainer.learned.labels == ("happy", "sad", "angry")
    assert one.known.tolist() == [[True, True, False]] * 12
    assert other.known.tolist() == [[True, False, True]] * 8
    assert (one.target[:, 2] == 0).all()
    assert other.target[1].tolist() == [0, 0, 1]
    (first, *_) = made_trainer.batches(made_trainer.train_samples)(0, np.random.default_rng(0))
    assert first.mask is not None
    assert (first.target[~first.mask] == 0).all()
    found = made_trainer.validate(made_trainer.new_net().eval())
    assert found["accuracy"] == pytest.approx((found["accuracy_one"] + found["accuracy_two"]) / 2)


def test_smoothing_stays_within_what_is_known(tmp_path: Path) -> None:
    made_trainer = trainer(
        tmp_path, Path(), corpora=two(tmp_path), targets={"votes": 0.0, "smoothing": 0.2}
    )
    np.testing.assert_allclose(made_trainer.train_samples[0].target[0], [0.9, 0.1, 0.0], atol=1e-6)


def test_shares_say_how_often_samples_are_met() -> None:
    def some(n: int, share: float) -> Samples[Any]:
        empty = np.zeros((n, 2), np.float32)
        known, covered = np.ones((n, 2), bool), np.ones(2, bool)
        return Samples(
            "c",
            (None,) * n,
            [None] * n,
            empty,
            empty,
            empty,
            known,
            covered,
            share,  # type: ignore[arg-type]
        )

    samples = [some(40, 0.5), some(10, 2.5)]
    assert steps_of(samples, 9) == 5
    rng = np.random.default_rng(0)
    epochs = [[p for b in drawn(samples, 9, rng) for p in b] for _ in range(2)]
    for places in epochs:
        assert len(places) == 45
        often = {i: places.count((1, i)) for i in range(10)}
        assert set(often.values()) <= {2, 3}
        assert max(places.count((0, i)) for i in range(40)) == 1
        assert sum(1 for k, _ in places if k == 0) == 20
    assert set(epochs[0]) != set(epochs[1]), "another half each time"
    with pytest.raises(InputError, match="lower `batch`"):
        steps_of(samples, 100)


def test_weights_favour_rare_labels_and_average_to_one(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "a", {"train": 12, "validation": 4}, ("happy", "happy", "sad"))
    for weighting in ("balanced", "effective"):
        made_trainer = trainer(
            tmp_path, table, targets={"votes": 0.0, "weighting": weighting, "beta": 0.9}
        )
        weights = made_trainer.task().weights
        assert weights is not None
        share = made_trainer.train_samples[0].target.mean(axis=0)
        assert float(weights @ torch.from_numpy(share)) == pytest.approx(1)
        expected = 2.0 if weighting == "balanced" else (1 - 0.9**8) / (1 - 0.9**4)
        assert float(weights[1] / weights[0]) == pytest.approx(expected, rel=1e-5)
    assert label_weights(made_trainer.train_samples, TargetConfig(), 2) is None


def test_speakers_are_held_out_where_there_is_no_validation(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "a", {"train": 60}, speakers=10)
    with pytest.warns(UserWarning, match="no validation split: the speakers s"):
        made_trainer = trainer(tmp_path, table)
    learn, choose = (
        made_trainer.train_samples[0].entries,
        made_trainer.validation_samples[0].entries,
    )
    assert {e.speaker for e in learn}.isdisjoint({e.speaker for e in choose})
    assert len(learn) + len(choose) == 60
    with pytest.warns(UserWarning, match="held out"):
        again = trainer(tmp_path, table, loop={"seed": 7})
    assert again.validation_samples[0].entries == choose, "the seed has no say in it"


def test_folds_may_be_held_out_and_must_exist(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "a", {"train": 30})
    rows = [line + f",{i % 3}" for i, line in enumerate(table.read_text().splitlines()[1:])]
    table.write_text("path,label,split,fold\n" + "\n".join(rows))
    corpus = {"name": "csv", "root": str(table), "validation_folds": [1], "test_folds": [0]}
    made_trainer = trainer(tmp_path, Path(), corpora=[corpus])
    assert {e.fold for e in made_trainer.train_samples[0].entries} == {2}
    assert {e.fold for e in made_trainer.validation_samples[0].entries} == {1}
    assert len(made_trainer.corpora[0].manifest.of(Split.TEST)) == 10
    with pytest.raises(InputError, match="has no fold 7; it has 0, 1, 2"):
        trainer(tmp_path, Path(), corpora=[{**corpus, "test_folds": [7]}])


def test_a_teacher_is_mixed_in_by_its_share(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "a")
    rows = [{"clip": f"x-{i}.png", "p_happy": 0.9, "p_sad": 0.1} for i in range(32)]
    answers = made.write_table(tmp_path / "teacher.csv", rows)
    teacher = {"table": str(answers), "prefix": "p_", "id_prefix": ["x-", "train-"]}
    corpus = {"name": "csv", "root": str(table), "teacher": teacher}
    targets = {"votes": 0.0, "teacher": 0.25, "temperature": 2.0}
    (learn,) = trainer(tmp_path, Path(), corpora=[corpus], targets=targets).train_samples
    assert learn.target[1].tolist() == pytest.approx([0.25 * 0.75, 0.75 + 0.25 * 0.25])
    assert softened(np.array([[0.9, 0.1]], np.float32), 2.0)[0, 0] == pytest.approx(0.75)
    for changed, message in (
        ({"prefix": "q_"}, "not a table of a teacher's posteriors: expected a column of ids"),
        ({"id_prefix": None}, "knows none of its 32 training samples"),
        ({"table": str(tmp_path / "no.csv")}, "cannot read the teacher's table"),
    ):
        with pytest.raises(InputError, match=message):
            assert trainer(
                tmp_path, Path(), corpora=[{**corpus, "teacher": {**teacher, **changed}}]
            ).train_samples


def test_a_damaged_picture_is_named_and_may_be_skipped(tmp_path: Path) -> None:
    table = made.faces(tmp_path / "a")
    (tmp_path / "a" / "train-5.png").write_bytes(b"\x89PNG no picture")
    with pytest.raises(InputError, match=r"sample 'train-5.png'.*skip_unreadable: true"):
        assert trainer(tmp_path, table).train_samples
    with pytest.warns(UserWarning, match=r"1 of 32 samples cannot be read .*train-5"):
        (learn,) = trainer(tmp_path, table, skip_unreadable=True).train_samples
    assert len(learn) == len(learn.media) == len(learn.target) == 31
    for i in (6, 7):
        (tmp_path / "a" / f"train-{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match="3 of 32 samples cannot be read, more than the 5%"):
        assert trainer(tmp_path, table, skip_unreadable=True).train_samples


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"net": {"name": "resnet-9000"}}, "no net 'resnet-9000' for face; there are .*compact"),
        ({"net": {"name": "compact", "widhts": [16]}}, r"net\.widhts.*did you mean 'widths'"),
        ({"net": {"name": "compact", "stem": "big"}}, r"net\.stem: got 'big', expected"),
        ({"net": {"name": "compact", "labels": 8}}, r"net\.labels: got 8, expected no such key"),
        ({"net": {"stem": 16}}, r"net: got .*expected \{name"),
        ({"net": {"name": "compact", "stem": 8}}, "net: need at least 16 channels"),
        ({"preparation": {"side": 4}}, "preparation: need side >= 8"),
        ({"corpora": [{"name": "atlantis"}]}, "no corpus 'atlantis'; there are .*ravdess"),
        ({"corpora": [{"name": "csv", "root": "/nowhere/x"}]}, "nowhere"),
        ({"select": "beauty"}, "select: got 'beauty', expected one of accuracy"),
        ({"init": "no.safetensors"}, r"no\.safetensors is not a checkpoint"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    table = made.faces(tmp_path / "a")
    with pytest.raises(InputError, match=message):
        trainer(tmp_path, table, **changed).task()


def test_labels_without_a_place_and_empty_corpora_are_told(tmp_path: Path) -> None:
    odd = made.faces(tmp_path / "odd", labels=("happy", "smug"))
    with pytest.raises(InputError, match="no place among the canonical labels for 'smug'"):
        trainer(tmp_path, odd)
    assert trainer(tmp_path, odd, labels="native").learned.labels == ("happy", "smug")
    none = made.faces(tmp_path / "none", {"test": 8})
    with pytest.raises(InputError, match="nothing to train on is left of 8 samples"):
        trainer(tmp_path, none)
