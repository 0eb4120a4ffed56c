from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import MediaInfo, MediaKind
from emofuse.core.time import Span
from emofuse.core.timeline import Provenance, Timeline

SEVEN = Taxonomy("seven", CANONICAL.labels[:7])
FACE = Subject(SubjectKind.FACE, 1)


def scores(label: str, taxonomy: Taxonomy = CANONICAL, p: float = 0.6) -> Probabilities:
    rest = (1 - p) / (len(taxonomy) - 1)
    return Probabilities(taxonomy, np.array([p if x == label else rest for x in taxonomy.labels]))


def estimate(
    modality: Modality, start: float, end: float, label: str, subject: Subject = FACE
) -> Estimate:
    taxonomy = SEVEN if modality is Modality.SPEECH else CANONICAL
    return Estimate(
        subject, Span.of_seconds(start, end), scores(label, taxonomy), modality, 0.5, "model"
    )


@pytest.mark.parametrize(
    "p", [[0.5] * 8, [0.2] * 5, [np.nan] + [0.0] * 7, [2.0, -1.0] + [0.0] * 6], ids=str
)
def test_scores_are_probabilities_or_nothing(p: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        Probabilities(CANONICAL, np.array(p))


def test_scores_keep_a_copy_of_their_own() -> None:
    p = np.eye(8)[2]
    s = Probabilities(CANONICAL, p)
    p[:] = 0
    assert s.label == "sad"
    assert s.confidence == 1.0
    assert s["sad"] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        s.values[0] = 1


def timeline() -> Timeline:
    return Timeline(
        MediaInfo("clip.mp4", MediaKind.VIDEO),
        (
            estimate(Modality.FUSED, 0.5, 1.0, "sad"),
            estimate(Modality.SPEECH, 0.0, 1.0, "angry", SPEAKER),
            estimate(Modality.FACE, 0.0, 0.5, "happy"),
            estimate(Modality.FUSED, 0.0, 0.5, "happy"),
        ),
        Provenance("0", {}),
    )


def test_a_timeline_is_in_order_however_it_was_made() -> None:
    starts = [e.span for e in timeline()]
    assert starts == sorted(starts)
    assert [e.label for e in timeline().fused] == ["happy", "sad"]
    assert timeline().subjects == (FACE, SPEAKER)


def test_a_label_that_a_model_does_not_know_is_missing_not_zero() -> None:
    speech = next(r for r in timeline().records() if r["modality"] == "speech")
    assert speech["contempt"] is None
    assert speech["angry"] == pytest.approx(0.6)


def test_the_frame_is_indexed_by_file_and_time() -> None:
    frame = timeline().to_frame()
    assert frame.index.names == ["file", "start", "end"]
    assert len(frame) == 4
    at_half = frame[frame.index.get_level_values("start") == pd.Timedelta(seconds=0.5)]
    assert at_half["label"].tolist() == ["sad"]
    assert frame.columns.tolist()[:3] == ["subject", "modality", "label"]


def test_an_empty_timeline_still_has_its_columns() -> None:
    empty = Timeline(MediaInfo("a", MediaKind.AUDIO), (), Provenance("0", {})).to_frame()
    assert len(empty) == 0
    assert "confidence" in empty.columns
