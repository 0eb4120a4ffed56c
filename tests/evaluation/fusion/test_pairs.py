"""Pairs bring together what has the same label, and use everything."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.synthetic import LABELS, made

from emofuse.core.estimates import Modality
from emofuse.errors import InputError
from emofuse.evaluation.fusion import pairs

FACE, VOICE, WORDS = (
    made(Modality.FACE, 200), made(Modality.SPEECH, 50), made(Modality.TEXT, 90)
)  # fmt: skip


def test_partners_share_their_label_and_everybody_has_one() -> None:
    found = pairs.by_label(FACE, VOICE, WORDS, labels=LABELS, seed=1)
    for number, part in enumerate(found.parts):
        labels = [part.labels[i] for i in found.rows[:, number]]
        assert labels == [LABELS[i] for i in found.actual]
        assert set(found.rows[:, number]) == set(range(len(part)))
    most = [max(p.labels.count(x) for p in found.parts) for x in LABELS]
    assert np.bincount(found.actual).tolist() == most


def test_rows_are_used_about_equally_often() -> None:
    found = pairs.by_label(FACE, VOICE, labels=LABELS, seed=1)
    for number in range(len(LABELS)):
        used = Counter(found.rows[found.actual == number, 1].tolist())
        assert max(used.values()) - min(used.values()) <= 1


def test_a_seed_says_it_all() -> None:
    one, same, other = (pairs.by_label(FACE, VOICE, labels=LABELS, seed=s).rows for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_so_many_pairs_of_each_label() -> None:
    found = pairs.by_label(FACE, VOICE, labels=LABELS, seed=1, per_label=7)
    assert np.bincount(found.actual).tolist() == [7] * len(LABELS)


def test_evidence_is_what_the_rows_say_and_silence_is_none() -> None:
    silent = replace(VOICE, quality=np.zeros(len(VOICE), np.float32))
    found = pairs.by_label(FACE, VOICE, labels=LABELS, seed=1)
    evidence = found.evidence(3)
    row = found.rows[3, 0]
    assert np.array_equal(evidence[Modality.FACE].probabilities.values, FACE.probabilities[row])
    assert set(evidence) == {Modality.FACE, Modality.SPEECH}
    assert set(found.with_part(silent).evidence(3)) == {Modality.FACE}


def test_other_samples_cannot_take_a_place() -> None:
    found = pairs.by_label(FACE, VOICE, labels=LABELS, seed=1)
    with pytest.raises(ValueError, match="not of the samples"):
        found.with_part(made(Modality.SPEECH, 49))


def test_labels_that_all_know() -> None:
    less = made(Modality.SPEECH, 80, labels=("sad", "happy", "fear"))
    assert pairs.shared_labels(FACE, less) == ("happy", "sad")
    assert pairs.shared_labels(FACE, VOICE) == LABELS


def test_nothing_to_pair() -> None:
    with pytest.raises(InputError, match="no sample that is surprise"):
        pairs.by_label(FACE, VOICE, labels=("surprise",), seed=0)
    with pytest.raises(InputError, match="different modalities"):
        pairs.by_label(FACE, FACE, labels=LABELS, seed=0)
