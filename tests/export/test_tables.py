"""Tables for statistics: nobody and nothing is missing, and figures are the timeline's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.export.synthetic import NS, SLOT, face, timeline

from emofuse.batch.results import Results
from emofuse.core.estimates import Modality, Rejected, RejectionReason
from emofuse.core.timeline import Timeline
from emofuse.export.people import summary_rows, transitions_of, write_summary
from emofuse.export.slots import slot_rows, write_slots, write_wide_slots
from emofuse.export.summary import summarise


def read_slots(made: Timeline, folder: Path) -> pd.DataFrame:
    write_slots(made, folder / "slots.csv")
    return pd.read_csv(folder / "slots.csv")


def test_every_person_has_every_slot(tmp_path: Path) -> None:
    made = timeline(24, people=3)
    table = read_slots(made, tmp_path)
    people = {str(p.subject) for p in summarise(made).people}
    assert set(table.person) == people
    assert (table.groupby("person").size() == 48).all()
    for _, rows in table.groupby("person"):
        assert rows.slot.tolist() == list(range(48))
        assert np.allclose(rows.start, np.arange(48) * 0.5)
        assert np.allclose(rows.end, np.arange(1, 49) * 0.5)
    assert set(table.present) == {0, 1}


def test_slots_hold_what_the_timeline_says(tmp_path: Path) -> None:
    made = timeline(24, people=2)
    table = read_slots(made, tmp_path).set_index(["person", "slot"])
    for e in made.fused:
        row = table.loc[(str(e.subject), e.span.start_ns // SLOT)]
        assert row.present == 1
        assert row.label == e.label
        for label, p in e.probabilities.items():
            assert row[f"p_{label}"] == pytest.approx(p, abs=1e-6)
        for m, weight in e.fusion.modality_weights.items():
            assert row[f"{m}_weight"] == pytest.approx(weight, abs=1e-6)
            assert row[f"{m}_label"] == e.fusion.probabilities[m].label
    assert table.present.sum() == len(made.fused)
    absent = table[table.present == 0]
    assert absent.label.isna().all()
    assert absent.p_happy.isna().all()


def test_wide_slots_are_the_long_ones(tmp_path: Path) -> None:
    made = timeline(12, people=2)
    long = read_slots(made, tmp_path)
    write_wide_slots(made, tmp_path / "wide.csv")
    wide = pd.read_csv(tmp_path / "wide.csv")
    assert len(wide) == 24
    assert all(name.isidentifier() for name in wide.columns)
    for person, rows in long.groupby("person"):
        ours = wide[f"{person.replace('-', '_')}_p_happy"].to_numpy()
        np.testing.assert_array_equal(ours, rows.p_happy.to_numpy())


def test_longer_estimates_stand_in_each_slot_that_they_cover() -> None:
    made = timeline(8, people=0)
    alone = replace(made, estimates=made.of(Modality.SPEECH))
    rows = list(slot_rows(alone))
    assert len(rows) == 16
    heard = sum(e.span.duration_ns for e in alone) / SLOT
    assert sum(row["present"] for row in rows) == pytest.approx(heard, abs=2)
    assert {row["speech_label"] for row in rows if row["present"]} == {e.label for e in alone}


def test_a_file_of_nobody_has_a_header(tmp_path: Path) -> None:
    empty = replace(timeline(2), estimates=())
    assert len(read_slots(empty, tmp_path)) == 0
    write_summary(empty, tmp_path / "summary.csv")
    assert pd.read_csv(tmp_path / "summary.csv").columns[0] == "file"
    write_wide_slots(empty, tmp_path / "wide.csv")


def test_words_are_harmless_in_spreadsheets(tmp_path: Path) -> None:
    table = read_slots(timeline(40, people=1, lines=("=1+1",)), tmp_path)
    assert "'=1+1" in set(table.text.dropna())


def test_a_person_in_short_is_their_slots_in_short(tmp_path: Path) -> None:
    made = timeline(24, people=2)
    doubtful = Rejected(RejectionReason.FACE_TOO_SMALL)
    made = replace(
        made,
        estimates=tuple(
            replace(e, uncertain=doubtful)
            if e.modality is Modality.FUSED and e.span.start_ns // NS % 3 == 0
            else e
            for e in made
        ),
    )
    write_summary(
        [made, replace(made, media=replace(made.media, path="b.mp4"))], tmp_path / "s.csv"
    )
    table = pd.read_csv(tmp_path / "s.csv")
    assert len(table) == 2 * len(summarise(made).people)
    slots = pd.DataFrame(slot_rows(made))
    row = table[(table.person == "face-1")].iloc[0]
    mine = slots[(slots.person == "face-1") & (slots.present == 1)]
    assert row.present == pytest.approx(len(mine) * 0.5)
    assert row.uncertain == pytest.approx(mine.uncertain.notna().mean(), abs=1e-5)
    assert row.mean_happy == pytest.approx(mine.p_happy.astype(float).mean(), abs=1e-5)
    sure = mine[mine.uncertain.isna()]
    assert row.share_happy == pytest.approx((sure.label == "happy").sum() / len(mine), abs=1e-5)
    assert row.transitions == (sure.label != sure.label.shift()).sum() - 1
    shares = table.filter(regex="^share_").sum(axis=1) + table.uncertain
    assert np.allclose(shares, 1, atol=1e-5)


def test_uncertain_time_is_no_transition() -> None:
    made = timeline(24, people=1)
    first = made.of(Modality.FUSED, face(1))[:3]
    happy = [replace(e, probabilities=first[0].probabilities) for e in first]
    happy[1] = replace(happy[1], uncertain=Rejected(RejectionReason.LOW_CONFIDENCE))
    (person,) = summarise(replace(made, estimates=tuple(happy))).people
    assert transitions_of(person) == 0


def test_a_picture_has_figures(tmp_path: Path) -> None:
    made = timeline(2, people=1)
    e = made.of(Modality.FUSED, face(1))[0]
    still = replace(made, estimates=(replace(e, span=type(e.span)(0, 0)),), duration_ns=0)
    (row,) = summary_rows(still)
    assert row["mean_happy"] == pytest.approx(e.probabilities["happy"])
    assert row["transitions_per_minute"] is None
    assert len(list(slot_rows(still))) == 1


def test_tables_of_files_with_other_labels_are_joined(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    write_summary(timeline(6), paths[0])
    paths[1].write_text("file,person,share_merry\r\nb.mp4,group-1,1.0\r\n")
    joined = Results(tmp_path, ("summary",), batch=True).write_summary(paths)
    assert joined is not None
    table = pd.read_csv(joined)
    assert len(table) == len(pd.read_csv(paths[0])) + 1
    assert table.share_merry.notna().sum() == 1
