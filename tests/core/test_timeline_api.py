"""What a timeline does for those who work with it in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.export.synthetic import face, timeline
from tests.export.test_html import NASTY

from emofuse import InputError, Timeline
from emofuse.core.details import TextDetails
from emofuse.core.estimates import Modality
from emofuse.export.people import summary_rows


def test_slices_in_time_make_up_the_whole() -> None:
    made = timeline(24)
    parts = [made.between(a, a + 6) for a in range(0, 24, 6)]
    assert [e for part in parts for e in part] == list(made.between(0, 24))
    assert all(6 <= e.span.start < 12 for e in parts[1])
    assert parts[1].media == made.media


@pytest.mark.parametrize("who", ["face-2", "Face 2", "face 2", face(2)])
def test_a_person_by_any_name(who: str) -> None:
    made = timeline(24)
    assert made.person(who).estimates == tuple(e for e in made if e.subject == face(2))


def test_nobody_of_that_name_says_who_there_is() -> None:
    with pytest.raises(InputError, match=r"no person 'Anna'; there is face-1 \(Face 1\)"):
        timeline(6).person("Anna")


def test_slices_can_be_sliced() -> None:
    made = timeline(24).person("face-1").modality("face").between(0, 4)
    assert {(e.subject, e.modality) for e in made} == {(face(1), Modality.FACE)}
    whole = timeline(24)
    assert whole.modality("fused").estimates == whole.fused
    with pytest.raises(ValueError, match="no modality 'smell'"):
        made.modality("smell")


def test_frames_have_seconds_and_timedeltas() -> None:
    frame = timeline(12).to_frame().reset_index()
    np.testing.assert_allclose(frame.start.dt.total_seconds(), frame.start_s)
    np.testing.assert_allclose(frame.end.dt.total_seconds(), frame.end_s)
    assert "weight_face" not in frame


def test_full_frames_have_weights_words_and_details() -> None:
    made = timeline(12)
    frame = made.to_frame(full=True).reset_index()
    fused = frame[frame.modality == "fused"]
    weights = fused[["weight_face", "weight_speech", "weight_text"]]
    assert np.allclose(weights.sum(axis=1), 1)
    assert fused.disagreement.notna().all()
    said = [e.find_details(TextDetails).text for e in made.of(Modality.TEXT)]
    assert frame[frame.modality == "text"].text.tolist() == said
    assert frame[frame.modality == "face"].box.notna().all()
    assert list(made.to_frame(full=True).columns[: len(made.to_frame().columns) - 2]) == [
        c for c in made.to_frame().columns if not c.endswith("_s")
    ]


def test_the_summary_is_a_frame() -> None:
    made = timeline(12)
    assert made.summary().to_dict("records")[0]["person"] == next(summary_rows(made))["person"]


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    made = timeline(6)
    made.to_json(tmp_path / "timeline.json")
    for path in (tmp_path, tmp_path / "timeline.json"):
        back = Timeline.load(path)
        assert back.media == made.media
        assert len(back) == len(made)
    made.to_csv(tmp_path / "a.csv")
    assert len(pd.read_csv(tmp_path / "a.csv")) == len(made)
    made.save(tmp_path / "slots.csv")
    assert "slot" in pd.read_csv(tmp_path / "slots.csv")
    made.save(tmp_path / "b.EAF")
    assert (tmp_path / "b.EAF").read_text().startswith("<?xml")
    with pytest.raises(InputError, match="exists already"):
        made.save(tmp_path / "a.csv")
    made.save(tmp_path / "a.csv", format="summary", overwrite=True)
    with pytest.raises(InputError, match=r"expected a name that ends in one of \.csv"):
        made.save(tmp_path / "a.exe")


def test_a_notebook_shows_it() -> None:
    html = timeline(24, lines=(NASTY,), path=f"dir/{NASTY}")._repr_html_()
    assert "Face 1" in html
    assert html.count("<svg") == 3
    assert "Expressions, not feelings" in html
    assert "<script" not in html
    assert "<img" not in html
