"""Where two people may speak at once is told, kept and written."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from tests.export.synthetic import timeline
from tests.identity.made import voice_embeddings

from emofuse.core.estimates import Modality
from emofuse.core.identity import IdentityEmbedding, Overlap, People
from emofuse.core.media import AudioChunk
from emofuse.core.time import Span
from emofuse.export import export
from emofuse.export.json import read_json
from emofuse.identity.config import IdentityConfig
from emofuse.identity.encoders import VoiceEmbedder, voice_encoder
from emofuse.identity.voices import Voices
from emofuse.models.store import Store
from emofuse.sources.audio import read_audio

PEOPLE = People(overlaps=(Overlap(Span.of_seconds(2, 4.2), 0.83),))


def test_prints_tell_how_likely_two_people_speak_at_once(media: Path) -> None:
    stage = VoiceEmbedder(voice_encoder(IdentityConfig().voice_model, Store(folders=[])))
    sound = read_audio(media / "talking.mp4")
    items = [*stage.feed(AudioChunk(sound, 16_000, 0)), *stage.flush()]
    told = [item.overlap for item in items if isinstance(item, IdentityEmbedding)]
    assert all(0 < overlap < 1 for overlap in told)
    assert len(set(told)) == len(told) > 2


def test_neighbours_are_one_overlap() -> None:
    voices = Voices(IdentityConfig(overlap=0.5))
    for k, item in enumerate(voice_embeddings([(0, 4, 0)])):
        voices.add(replace(item, overlap=(0.1, 0.6, 0.9, 0.2, 0.7)[k]))
    assert [(o.span.start, o.span.end, o.confidence) for o in voices.overlaps()] == [
        (0.8, 2.4, 0.9),
        (3.2, 4.0, 0.7),
    ]


def test_files_have_overlaps(tmp_path: Path) -> None:
    found = replace(timeline(8), people=PEOPLE)
    for name, file in (("json", "a.json"), ("elan", "a.eaf")):
        export(found, name, tmp_path / file)
    read = read_json(tmp_path / "a.json")
    assert read.people is not None
    assert read.people.overlaps == PEOPLE.overlaps
    assert "Possible overlaps" in (tmp_path / "a.eaf").read_text()
    assert "possible overlap<" in (tmp_path / "a.eaf").read_text()


def test_rows_that_heard_a_voice_tell_of_a_second_one(tmp_path: Path) -> None:
    found = replace(timeline(8), people=PEOPLE)
    export(found, "csv", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    marked = [row for row in rows if row["overlap"]]
    assert marked
    assert {row["overlap"] for row in marked} == {"0.830000"}
    for row in rows:
        shared = float(row["start"]) < 4.2 and float(row["end"]) > 2
        if row["modality"] == Modality.SPEECH.value:
            assert bool(row["overlap"]) == shared
        elif row["modality"] in ("face", "text"):
            assert not row["overlap"]
