"""The trainer from files to a finished model, on a small drawn corpus."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emofuse.core.labels import CANONICAL
from emofuse.corpora.labels import taxonomy
from emofuse.face.recognise import FaceRecogniser
from emofuse.models.card import read_card
from emofuse.models.golden import read_golden, replay
from emofuse.training.core.loop import LoopConfig
from emofuse.training.core.train import train
from emofuse.training.face.task import FaceTrainer, FaceTraining

pytestmark = pytest.mark.slow  # trains nets


VOTES = taxonomy("ferplus").labels
KINDS = {"happy": "happiness", "sad": "sadness"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright above is happy, bright below is sad; every fourth face has no votes."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(1)
    rows = []
    for split, n in (("train", 64), ("validation", 24), ("test", 24)):
        for i in range(n):
            label = ("happy", "sad")[i % 2]
            path = Path(split, label, f"{i}.jpg")
            face = rng.integers(60, 120, (48, 48))
            face[slice(0, 24) if label == "happy" else slice(24, 48)] += 80
            (root / "fer2013" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(face.astype(np.uint8)).save(root / "fer2013" / path)
            votes = dict.fromkeys(VOTES, "" if i % 4 == 3 else "0")
            if i % 4 != 3:
                votes |= {KINDS[label]: "8", "contempt": "2"}
            rows.append(
                {"path": path.as_posix(), "split": split, "label": label, **votes}
                | {"duplicate_of_train": "x" if split == "test" and i < 4 else "", "blank": "0"}
            )
    with (root / "fer2013_labels.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_targets_mix_both_labellings(corpus: Path) -> None:
    (learn,) = FaceTrainer(FaceTraining(data=corpus)).train_samples
    target, known = learn.target, learn.known
    happy, sad, contempt = (CANONICAL.index(x) for x in ("happy", "sad", "contempt"))
    np.testing.assert_allclose(target.sum(axis=1), 1, rtol=1e-6)
    assert target[0, happy] == pytest.approx(0.5 * 0.8 + 0.5)
    assert target[0, contempt] == pytest.approx(0.5 * 0.2)
    assert known[0].all()
    assert target[3, sad] == 1
    assert not known[3, contempt]
    assert known[3].sum() == len(CANONICAL) - 1


TWO = {"name": "two-headed", "stem": 16, "widths": [16, 32], "blocks": [1, 1], "adjustment": 1.0}


def test_two_heads_learn_the_labellings_apart(corpus: Path, tmp_path: Path) -> None:
    loop = LoopConfig(epochs=4, lr=0.05, ema=0.5, bf16=False)
    config = FaceTraining(data=corpus, run=tmp_path / "run", batch=16, net=TWO, loop=loop)
    trainer = FaceTrainer(config)
    target, known = trainer.taught(trainer.train_samples[0])
    happy, contempt = CANONICAL.index("happy"), CANONICAL.index("contempt")
    assert target.shape == known.shape == (64, 2, 8)
    assert target[0, 0, happy] == 1
    assert target[0, 1, [happy, contempt]] == pytest.approx([0.8, 0.2])
    assert not known[0, 0, contempt]  # FER2013's label knows none
    assert known[0, 1].all()
    assert not known[3, 1].any()  # nobody voted

    net = trainer.new_net()
    assert net.offset[0, contempt] < -1e3
    assert net.offset[1, contempt] == pytest.approx(-np.log(0.2), rel=1e-4)
    card = read_card(train(trainer))
    stated = {(m.split, m.name): m.value for m in card.metrics}
    assert stated["validation", "accuracy"] > 0.9


def test_from_pictures_to_a_model_with_its_card(corpus: Path, tmp_path: Path) -> None:
    config = FaceTraining(
        id="face-tiny",
        data=corpus,
        run=tmp_path / "run",
        out=tmp_path / "out",
        batch=16,
        net={"name": "compact", "stem": 16, "widths": [16, 32], "blocks": [1, 1]},
        loop=LoopConfig(epochs=6, lr=0.05, ema=0.5, bf16=False),
    )
    card_path = train(FaceTrainer(config))
    card = read_card(card_path)
    weights = tmp_path / "out"
    recogniser = FaceRecogniser(card, {"weights": weights / card.files["weights"].name})
    assert replay(recogniser, read_golden(weights / "face-tiny.golden.npz")) < 1e-5

    stated = {(m.split, m.name): m.value for m in card.metrics}
    assert stated["validation", "accuracy"] > 0.9
    # Votes name contempt, which the labels lack: that must not pass for certain error.
    assert 0.05 < card.calibration.temperature < 10
    assert card.prior is not None
    assert sum(card.prior) == pytest.approx(1, abs=1e-3)
    assert card.taxonomy == CANONICAL
    assert [c.corpus for c in card.data] == ["fer2013"]
