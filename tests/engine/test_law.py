"""The engine's law: cut the same media in any way, and the timeline is the same.

Over real media, through the real pipeline: resampler, voice activity, detector,
tracker, windows, models, alignment, fusion and smoothing.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.chunking import recut

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality
from emofuse.core.media import MediaInfo, Packet, Track, Watermark
from emofuse.core.time import NS, Span
from emofuse.text.transcribe import TranscribeConfig

TOLERANCE = 1e-5
"""On every probability and quality: batches may be composed differently."""

CLIPS = ("talking.mp4", "two_people.mp4")


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(AnalyzerConfig(transcribe=TranscribeConfig(engine="none")))


def estimates(analyzer: Analyzer, info: MediaInfo, packets: list[Packet]) -> dict:
    items = analyzer.run(packets, analyzer.pipeline(info))
    return {
        (e.subject, e.span, e.modality): np.append(e.probabilities.values, e.quality)
        for e in items
        if isinstance(e, Estimate)
    }


@pytest.fixture(scope="module", params=CLIPS)
def medium(request: pytest.FixtureRequest, analyzer: Analyzer, media: Path) -> tuple:
    """A clip's description, its packets as decoded, and the timeline of the whole."""
    with closing(analyzer.open(media / request.param)) as source:
        packets, info = list(source.packets()), source.info
    whole = estimates(analyzer, info, packets)
    assert {m for _, _, m in whole} >= {Modality.FACE, Modality.SPEECH, Modality.FUSED}
    return info, packets, whole


@settings(
    max_examples=4,  # for each of the clips: each runs the whole pipeline
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_chunking_gives_the_same_timeline(medium: tuple, analyzer: Analyzer, seed: int) -> None:
    info, packets, whole = medium
    pieces = estimates(analyzer, info, recut(packets, np.random.default_rng(seed)))
    assert pieces.keys() == whole.keys()
    for key, values in whole.items():
        np.testing.assert_allclose(pieces[key], values, atol=TOLERANCE, err_msg=str(key))


def test_in_an_empty_stretch_no_slot_waits_for_more_than_a_hop(media: Path) -> None:
    """The face is gone from 1.6 s to 5.2 s; once it is let go, slots come as fast as pictures."""
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,)))
    hop_ns = round(analyzer.config.slot_seconds * NS)
    gone = Span.of_seconds(1.6 + analyzer.config.face.hold_seconds + 0.25, 5.0)
    with closing(analyzer.open(media / "comes_and_goes.mp4")) as source:
        packets, pipeline = list(source.packets()), analyzer.pipeline(source.info)
    fused_ns, waits = 0, []
    for packet in packets:
        for item in pipeline.feed(packet):
            if isinstance(item, Watermark):
                fused_ns = item.upto_ns
        seen = isinstance(packet, Watermark) and packet.track is Track.VIDEO
        if seen and gone.start_ns <= packet.upto_ns < gone.end_ns:
            waits.append(packet.upto_ns - fused_ns)
    assert len(waits) > 10
    assert max(waits) <= hop_ns
