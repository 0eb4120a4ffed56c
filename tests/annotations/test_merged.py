"""A face and a voice that a hand makes one person are fused as if they always had been."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from tests.export.synthetic import face, scores

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.annotations import Annotations, apply
from emofuse.annotations.agreement import pairs_of
from emofuse.annotations.edits import Merge, SetLabel
from emofuse.core.estimates import SPEAKER, Estimate, LabelSource, Modality, Subject
from emofuse.core.labels import CANONICAL, Taxonomy
from emofuse.core.media import AudioInfo, MediaInfo, MediaKind, VideoInfo, Watermark
from emofuse.core.time import Span
from emofuse.core.timeline import Provenance, Timeline
from emofuse.engine.pipeline import Chain
from emofuse.engine.smooth import SmoothConfig, SmoothMethod
from emofuse.export.json import read_json, write_json

VOICE = Taxonomy("voice", CANONICAL.labels[:7])
INFO = MediaInfo(
    "call.mp4",
    MediaKind.VIDEO,
    video=VideoInfo(64, 48, 25.0, "raw"),
    audio=AudioInfo(16_000, 1, "pcm"),
)
SMOOTHING = {
    method: replace(SmoothConfig(), method=method)
    for method in (SmoothMethod.NONE, SmoothMethod.EXPONENTIAL, SmoothMethod.HMM)
}
MERGE = Merge(subject="speaker-1", into="face-1")


def analyzed(voice: Subject, smoothing: SmoothConfig) -> Timeline:
    """What the analysis makes of eight seconds of a face and a voice of some subject."""
    rng = np.random.default_rng(4)
    config = AnalyzerConfig(modalities=(Modality.FACE, Modality.SPEECH), smoothing=smoothing)
    analyzer = Analyzer(config)
    aligner, _, *joint = analyzer.joint(INFO)  # whose voice it is, is given
    stages, items = Chain(aligner, *joint), []
    for k in range(16):
        span = Span.of_seconds(k / 2, k / 2 + 0.5)
        p = scores(CANONICAL, CANONICAL.labels[k // 5], 0.6, rng)
        items.append(Estimate(face(1), span, p, Modality.FACE, 0.3 + k / 40, "face-v4"))
        if k % 2 and k > 4:
            span = Span.of_seconds(k / 2 - 0.5, k / 2 + 0.5)
            p = scores(VOICE, VOICE.labels[k % 3], 0.7, rng)
            items.append(Estimate(voice, span, p, Modality.SPEECH, 0.9 - k / 40, "speech-v4"))
    items += [Watermark(m, items[-1].span.end_ns) for m in config.modalities]
    out = [x for item in items for x in stages.feed(item)] + list(stages.flush())
    settings = {"smoothing": asdict(smoothing), "slot_seconds": 0.5}
    provenance = Provenance("0", {**config.models, Modality.FUSED: "logpool"}, {}, settings)
    models = {m: i for m, i in provenance.models.items() if m is not Modality.TEXT}
    return Timeline(
        INFO,
        tuple(x for x in out if isinstance(x, Estimate)),
        replace(provenance, models=models),
        duration_ns=8 * 10**9,
    )


def merged(found: Timeline, *edits) -> Timeline:
    return apply(found, Annotations.of(found).with_edits([*edits, MERGE]))


@pytest.mark.parametrize("method", SMOOTHING)
def test_merged_by_hand_is_as_one_from_the_start(method: SmoothMethod) -> None:
    apart, one = (analyzed(s, SMOOTHING[method]) for s in (SPEAKER, face(1)))
    assert {len(e.fusion.probabilities) for e in apart.fused if e.fusion} == {1}
    result = merged(apart)
    assert result.notes == ()
    assert [e.span for e in result.fused] == [e.span for e in one.fused]
    for got, wanted in zip(result.fused, one.fused, strict=True):
        np.testing.assert_allclose(got.probabilities.values, wanted.probabilities.values, atol=1e-3)
        assert got.uncertain == wanted.uncertain
        assert got.fusion is not None
        assert wanted.fusion is not None
        assert set(got.fusion.probabilities) == set(wanted.fusion.probabilities)
    for e in result.fused:
        both = e.fusion is not None and len(e.fusion.probabilities) == 2
        assert not both or (e.source is LabelSource.HAND and e.machine is not None)
        assert e.span.start >= 1 or e.machine is None, "long before the voice nothing changes"


def test_what_a_hand_labelled_stays_and_what_is_fused_anew_is_nobodys_judgement(tmp_path) -> None:
    found = analyzed(SPEAKER, SmoothConfig())
    result = merged(found, SetLabel(subject="face-1", start=3, end=4, label="fear"))
    labelled = [e for e in result.fused if e.set_by_hand]
    assert [(e.span.start, e.label) for e in labelled] == [(3.0, "fear"), (3.5, "fear")]
    assert sum(e.source is LabelSource.HAND for e in result.fused) > 4
    assert len(list(pairs_of(result))) == 2
    write_json(result, tmp_path / "edited.json")
    read = read_json(tmp_path / "edited.json")
    assert [(e.source, e.set_by_hand) for e in read.fused] == [
        (e.source, e.set_by_hand) for e in result.fused
    ]


def test_what_cannot_be_fused_here_is_merged_and_told() -> None:
    found = analyzed(SPEAKER, SmoothConfig())
    models = {**found.provenance.models, Modality.SPEECH: "somebody-elses"}
    result = merged(replace(found, provenance=replace(found.provenance, models=models)))
    assert [n.code for n in result.notes] == ["merge-not-fused"]
    assert "somebody-elses" in result.notes[0].message
    assert {str(s) for s in result.subjects} == {"face-1"}
