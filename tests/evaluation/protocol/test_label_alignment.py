import numpy as np
import pytest

from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.corpora.labels import taxonomy
from emofuse.corpora.manifest import Entry
from emofuse.errors import InputError
from emofuse.evaluation.protocol.label_alignment import align
from emofuse.models.card import Calibration

SEVEN = Taxonomy("speech", tuple(x for x in CANONICAL.labels if x != "contempt"))
SIX = Taxonomy("mine", ("angry", "disgust", "fear", "happy", "neutral", "sad"))


def entry(**labels: float) -> Entry:
    return Entry("x", labels=labels)


def test_equal_labels_meet_where_they_are() -> None:
    found = align(taxonomy("ravdess"), taxonomy("ravdess"))
    assert found.labels == taxonomy("ravdess").labels
    assert "calm" in found.labels
    assert found.targets([entry(calm=1.0)])[0, found.space.index("calm")] == 1


def test_labels_that_the_corpus_lacks_are_masked() -> None:
    found = align(SEVEN, taxonomy("crema_d"))
    assert set(found.labels) == set(SIX.labels)
    assert found.unknown_to_corpus == ("surprise",)
    logits = np.zeros((1, 7), np.float32)
    logits[0, SEVEN.index("surprise")] = 9  # would win if it were allowed
    logits[0, SEVEN.index("sad")] = 1
    p = found.probabilities(logits, Calibration())
    assert p.shape == (1, 6)
    assert p.sum() == pytest.approx(1)
    assert found.labels[int(p.argmax())] == "sad"
    free = found.unmasked(logits, Calibration())
    assert found.space.labels[int(free.argmax())] == "surprise"


def test_labels_that_the_model_lacks_are_said() -> None:
    found = align(SIX, taxonomy("ravdess"))
    assert found.unknown_to_model == ("surprise",)
    assert "surprise" not in found.labels
    assert found.targets([entry(calm=1.0)])[0, CANONICAL.index("neutral")] == 1


def test_fine_answers_add_up() -> None:
    found = align(taxonomy("ravdess"), taxonomy("crema_d"))
    native = taxonomy("ravdess")
    logits = np.full((1, 8), -9, np.float32)
    logits[0, [native.index("calm"), native.index("neutral"), native.index("sad")]] = 0
    p = found.probabilities(logits, Calibration())[0]
    assert p[found.labels.index("neutral")] == pytest.approx(2 / 3, abs=1e-3)


def test_a_multi_label_model_has_a_coarse_label_if_it_has_one_of_its_fine_ones() -> None:
    found = align(taxonomy("goemotions"), taxonomy("goemotions_ekman"))
    logits = np.full((1, 28), -9, np.float32)
    logits[0, taxonomy("goemotions").index("joy")] = 2
    p = found.probabilities(logits, Calibration())[0]
    assert p[found.labels.index("happy")] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-4)
    assert p.sum() < 1


def test_answers_fold_where_a_corpus_knows_nothing_finer() -> None:
    found = align(CANONICAL, taxonomy("valence"))
    logits = np.zeros((1, 8), np.float32)
    p = dict(zip(found.labels, found.probabilities(logits, Calibration())[0], strict=True))
    assert p["negative"] == pytest.approx(5 / 7)


def test_a_label_without_a_place_is_named() -> None:
    with pytest.raises(InputError, match="'bored'"):
        align(CANONICAL, Taxonomy("mine", ("happy", "bored")))
    with pytest.raises(InputError, match="share fewer than two"):
        align(Taxonomy("a", ("happy", "sad")), Taxonomy("b", ("angry", "fear")))
