import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.export.synthetic import timeline

from emofuse.core.details import FaceDetails, SpeechDetails, TextDetails
from emofuse.core.estimates import (
    Affect,
    Estimate,
    FusionDetails,
    Modality,
    Probabilities,
    Subject,
    SubjectKind,
)
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import AudioInfo, Diagnostic, MediaInfo, MediaKind, VideoInfo
from emofuse.core.modality import modalities
from emofuse.core.time import Span
from emofuse.core.timeline import Provenance, Timeline
from emofuse.errors import InputError
from emofuse.export.csv import write_csv
from emofuse.export.json import read_json, write_json

DAYS_26 = 26 * 86_400 * 10**9
TAXONOMIES = (
    CANONICAL,
    Taxonomy("voice", ("neutral", "calm", "happy")),
    Taxonomy("voice", ("happy", "neutral")),  # same name, other labels
    Taxonomy("many", ("joy", "grief"), multi_label=True),
)

ns = st.integers(0, DAYS_26)
unit = st.floats(0, 1)
text = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | finite | text,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def scores(draw):
    taxonomy = draw(st.sampled_from(TAXONOMIES))
    p = np.array(draw(st.lists(unit, min_size=len(taxonomy), max_size=len(taxonomy))))
    if not taxonomy.multi_label:
        p = (p + 1e-9) / (p + 1e-9).sum()
    return Probabilities(taxonomy, p)


@st.composite
def blends(draw):
    parts = draw(st.lists(st.sampled_from(modalities()), min_size=1, max_size=3, unique=True))
    weights = [draw(st.floats(0.01, 1)) for _ in parts]
    return FusionDetails(
        {m: w / sum(weights) for m, w in zip(parts, weights, strict=True)},
        draw(unit),
        {m: draw(scores()) for m in parts},
        {m: d for m in parts if (d := draw(details_of(m))) is not None},
    )


def details_of(modality):
    """What an estimate may keep; a fused one keeps its parts'."""
    known = {
        Modality.FACE: st.builds(
            FaceDetails, st.tuples(unit, unit, unit, unit), st.none() | unit, st.none() | unit
        ),
        Modality.SPEECH: st.builds(SpeechDetails, unit, st.none() | unit),
        Modality.TEXT: st.builds(TextDetails, text),
    }
    return st.none() | known[modality] if modality in known else st.none()


@st.composite
def estimates(draw):
    edges = sorted((draw(ns), draw(ns)))
    embedding = draw(
        st.none() | st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4)
    )
    modality = draw(st.sampled_from((*modalities(), Modality.FUSED)))
    affect = draw(st.none() | st.builds(Affect, st.floats(-1, 1), st.floats(-1, 1)))
    return Estimate(
        subject=Subject(draw(st.sampled_from(list(SubjectKind))), draw(st.integers(1, 99))),
        span=Span(*edges),
        probabilities=draw(scores()),
        modality=modality,
        quality=draw(unit),
        model_id=draw(text),
        affect=affect,
        embedding=None if embedding is None else np.array(embedding, np.float32),
        fusion=draw(blends()) if modality is Modality.FUSED else None,
        details=draw(details_of(modality)),
        attribution=draw(st.none() | unit),
    )


@st.composite
def timelines(draw):
    video = st.builds(
        VideoInfo,
        st.integers(1, 9999),
        st.integers(1, 9999),
        st.none() | st.floats(1, 240),
        text,
        st.sampled_from([0, 90]),
    )
    audio = st.builds(AudioInfo, st.integers(1, 192_000), st.integers(1, 8), text, ns)
    media = st.builds(
        MediaInfo,
        text,
        st.sampled_from(list(MediaKind)),
        st.none() | ns,
        st.none() | video,
        st.none() | audio,
        st.none() | text,
        st.none() | text,
    )
    return Timeline(
        draw(media),
        tuple(draw(st.lists(estimates(), max_size=4))),
        Provenance(
            draw(text),
            draw(st.dictionaries(st.sampled_from((*modalities(), Modality.FUSED)), text)),
            draw(st.dictionaries(text, text, max_size=2)),
            draw(st.dictionaries(text, plain, max_size=3)),
        ),
        tuple(draw(st.lists(st.builds(Diagnostic, text, text, st.none() | ns), max_size=2))),
        draw(ns),
    )  # fmt: skip


def same_scores(a: Probabilities, b: Probabilities) -> bool:
    return a.taxonomy == b.taxonomy and bool((a.values == b.values).all())


def assert_same(a: Timeline, b: Timeline) -> None:
    assert (a.media, a.provenance, a.notes, a.duration_ns) == (
        b.media, b.provenance, b.notes, b.duration_ns,
    )  # fmt: skip
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        for name in (
            "subject",
            "span",
            "modality",
            "quality",
            "model_id",
            "affect",
            "details",
            "attribution",
        ):
            assert getattr(x, name) == getattr(y, name), name
        assert same_scores(x.probabilities, y.probabilities)
        assert (x.embedding is None) == (y.embedding is None)
        assert x.embedding is None or (x.embedding == y.embedding).all()
        assert (x.fusion is None) == (y.fusion is None)
        if x.fusion and y.fusion:
            assert x.fusion.modality_weights == y.fusion.modality_weights
            assert x.fusion.disagreement == y.fusion.disagreement
            assert x.fusion.probabilities.keys() == y.fusion.probabilities.keys()
            assert all(
                same_scores(x.fusion.probabilities[m], y.fusion.probabilities[m])
                for m in x.fusion.probabilities
            )


@settings(max_examples=60, deadline=None)
@given(original=timelines())
def test_json_round_trip(original, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.json"
    write_json(original, path, overwrite=True)
    assert_same(read_json(path), original)


def test_json_is_plain_and_versioned(tmp_path):
    original = timeline(6)
    write_json(original, tmp_path / "t.json")
    raw = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert (raw["schema"], raw["version"]) == ("emofuse/timeline", 1)
    first = raw["estimates"][0]
    assert first["label"] == original.estimates[0].label
    assert set(first["probabilities"]) == set(original.estimates[0].probabilities.taxonomy.labels)
    assert first["confidence"] == max(first["probabilities"].values())


def test_settings_of_any_type_become_plain(tmp_path):
    odd = {"path": tmp_path, "share": np.float32(0.5), "mode": Modality.FACE, "worst": float("inf"),
           "ids": {Modality.TEXT: (1, np.int64(2))}}  # fmt: skip
    original = timeline(2)
    write_json(
        replace(original, provenance=replace(original.provenance, settings=odd)),
        tmp_path / "t.json",
    )
    assert read_json(tmp_path / "t.json").provenance.settings == {
        "path": str(tmp_path), "share": 0.5, "mode": "face", "worst": None,
        "ids": {"text": (1, 2)},
    }  # fmt: skip


def test_file_name_that_is_no_utf8(tmp_path):
    name = b"b\xe4r.mp4".decode("utf-8", "surrogateescape")
    original = timeline(2, path=name)
    write_json(original, tmp_path / "t.json")
    assert read_json(tmp_path / "t.json").media.path == name
    write_csv(original, tmp_path / "t.csv")
    assert "b\\udce4r.mp4" in (tmp_path / "t.csv").read_text(encoding="utf-8")


def test_writing_takes_little_memory_however_long(tmp_path):
    def peak(seconds: int) -> int:
        original = timeline(seconds, people=1)
        tracemalloc.start()
        write_json(original, tmp_path / f"{seconds}.json")
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(240) < peak(60) + 100_000
    assert (tmp_path / "240.json").stat().st_size > 500_000


def test_keys_of_a_later_emofuse_are_ignored(tmp_path):
    original = timeline(3)
    write_json(original, tmp_path / "t.json")
    raw = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    media = raw["media"]
    parts = (raw, media, media["video"], media["audio"], raw["provenance"], raw["estimates"][0])
    for part in (*parts, raw["taxonomies"]["canonical"]):
        part["new"] = 1
    (tmp_path / "later.json").write_text(json.dumps(raw), encoding="utf-8")
    assert_same(read_json(tmp_path / "later.json"), original)


def test_the_documented_lines_run(tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "timeline-format.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    original = timeline(20, people=1, lines=())
    write_json(original, "out/timeline.json")
    write_csv(original, "out/timeline.csv")
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 2
    assert_same(read_json("copy.json"), original)
    assert names["seconds"].sum() == pytest.approx(17)  # 20 s, 3 of them without the face


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "expected the schema"),
        ('{"schema": "other"}', "got 'other'"),
        ('{"schema": "emofuse/timeline", "version": 99}', "version 99"),
        ('{"schema": "emofuse/timeline", "version": 1}', "damaged"),
    ],
)
def test_what_is_not_a_timeline_is_refused(tmp_path, content, complaint):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_json(tmp_path / "t.json")


def test_truncated_json_and_missing_file(tmp_path):
    write_json(timeline(4), tmp_path / "t.json")
    whole = (tmp_path / "t.json").read_text()
    (tmp_path / "cut.json").write_text(whole[: len(whole) // 2])
    for name in ("cut.json", "absent.json"):
        with pytest.raises(InputError):
            read_json(tmp_path / name)


def test_results_are_not_overwritten(tmp_path):
    for write, name in ((write_json, "t.json"), (write_csv, "t.csv")):
        write(timeline(1), tmp_path / name)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="exists already"):
            write(timeline(2), tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
        write(timeline(2), tmp_path / name, overwrite=True)
        assert (tmp_path / name).read_bytes() != before
