"""The CSV table: what it holds, and that programs and spreadsheets read it."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.export.synthetic import timeline

from emofuse.core.estimates import Probabilities
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import Frame
from emofuse.core.time import Span
from emofuse.export.csv import CsvTable, csv_columns, write_csv

VOICE = Taxonomy("voice", ("neutral", "calm", "happy"))


def test_csv_reads_back_as_the_timeline(tmp_path):
    original = timeline(20, people=2)
    write_csv(original, tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=True)
    assert tuple(table.columns) == csv_columns(original.labels)
    assert len(table) == len(original)
    frame = original.to_frame().reset_index()
    for name in ("file", "subject", "modality", "label", "model"):
        assert (table[name] == frame[name]).all(), name
    for edge in ("start", "end"):
        assert np.allclose(table[edge], frame[edge].dt.total_seconds(), atol=0.5e-3 + 1e-9)
    for name in (*original.labels, "confidence", "quality"):
        ours, theirs = table[name].to_numpy(float), frame[name].to_numpy(float)
        assert np.allclose(ours, theirs, atol=0.5e-6 + 1e-9, equal_nan=True), name
    fused = table[table.modality == "fused"]
    shares = fused[["weight_face", "weight_speech", "weight_text"]]
    assert np.allclose(shares.sum(axis=1), 1, atol=3e-6)
    assert fused.disagreement.notna().all()
    assert table[table.modality != "fused"].disagreement.isna().all()


def test_csv_is_rfc_4180_and_harmless_in_spreadsheets(tmp_path):
    write_csv(timeline(40), tmp_path / "t.csv")
    raw = (tmp_path / "t.csv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n")
    rows = list(csv.DictReader(raw.decode("utf-8").splitlines()))
    said = {row["text"] for row in rows if row["modality"] == "text"}
    assert "Grüße aus Zürich – schön, dich zu sehen." in said
    assert '<b>Sit</b> down & rest; "tea"?' in said
    assert any(t.startswith("'=SUM(") for t in said)
    assert {row["text"] for row in rows if row["modality"] != "text"} == {""}


def test_csv_of_several_files_has_the_union_of_labels(tmp_path):
    a, b = timeline(3, path="a.mp4"), timeline(3, path="b.mp4")
    foreign = replace(b.estimates[0], probabilities=Probabilities(VOICE, np.array([0.0, 1.0, 0.0])))
    write_csv([a, replace(b, estimates=(foreign,))], tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.file.unique().tolist() == ["a.mp4", "b.mp4"]
    assert table.calm.notna().sum() == 1
    assert table.calm.max() == 1


def test_csv_of_nothing_has_its_header(tmp_path):
    write_csv(replace(timeline(1), estimates=()), tmp_path / "t.csv")
    assert tuple(pd.read_csv(tmp_path / "t.csv").columns) == csv_columns(CANONICAL.labels)


def test_csv_sink_streams_and_vanishes_on_failure(tmp_path):
    original = timeline(4)
    frame = Frame(np.zeros((4, 4, 3), np.uint8), Span(0, 1))
    with CsvTable(tmp_path / "live.csv", file="live") as sink:
        sink.write(frame)
        for estimate in original:
            sink.write(estimate)
    sink.close()
    assert len(pd.read_csv(tmp_path / "live.csv")) == len(original)
    sink = CsvTable(tmp_path / "bad.csv", labels=("happy",))
    with pytest.raises(ValueError, match="columns for happy"), sink:
        sink.write(original.estimates[0])
    assert not (tmp_path / "bad.csv").exists()
