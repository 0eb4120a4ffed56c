from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.labels import CANONICAL
from emofuse.evaluation.face import FaceSamples, figures, main
from emofuse.models.card import Calibration


def rows(*labels: str) -> np.ndarray:
    return np.eye(len(CANONICAL), dtype=np.float32)[[CANONICAL.index(x) for x in labels]]


@pytest.fixture
def samples() -> FaceSamples:
    votes = rows("happy", "sad", "contempt", "fear")
    votes[1] = 0.5 * rows("sad", "neutral").sum(axis=0)  # a tie
    votes[3] = 0  # nobody voted
    faces = np.zeros((4, 48, 48), np.uint8)
    return FaceSamples(faces, rows("happy", "sad", "neutral", "fear"), votes)


def test_contempt_is_no_answer_to_fer2013_and_is_one_to_ferplus(samples: FaceSamples) -> None:
    logits = 5 * rows("happy", "angry", "contempt", "fear") + rows(*["neutral"] * 4)
    found = figures(logits, samples)
    # Third face: contempt scores most, neutral next; FER2013 says neutral, FER+ contempt.
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["uar"] == pytest.approx(3 / 4)
    # Only the first and third face have one class with most votes.
    assert found["ferplus_accuracy"] == 1
    assert found["ferplus_macro_f1"] == 1


def test_only_what_taggers_agree_on_counts_for_the_majority(samples: FaceSamples) -> None:
    majority = rows("happy", "sad", "contempt", "fear")
    majority[1:3] = 0  # no majority
    logits = 5 * rows("happy", "angry", "contempt", "sad")
    found = figures(logits, replace(samples, majority=majority))
    assert found["ferplus_majority_accuracy"] == 1 / 2
    assert "ferplus_majority_accuracy" not in figures(logits, samples)


def test_calibration_changes_the_errors_and_no_answer(samples: FaceSamples) -> None:
    logits = 5 * rows("happy", "angry", "contempt", "fear")
    cool, warm = (figures(logits, samples, Calibration(t)) for t in (1.0, 3.0))
    assert cool["ece"] == cool["ece_uncalibrated"] == warm["ece_uncalibrated"]
    assert warm["ece"] != warm["ece_uncalibrated"]
    assert warm["ferplus_ece"] > cool["ferplus_ece"]  # all right, yet less sure
    assert warm["accuracy"] == cool["accuracy"]


def test_the_command_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "no FER2013 under" in capsys.readouterr().out
    assert main(["--data", str(tmp_path), "--model", "nothing"]) == 2
    assert "no model 'nothing'" in capsys.readouterr().out
