"""The engine's law: cut the same media in any way, and the timeline is the same.

Over real media, through the real pipeline: resampler, voice activity, detector,
tracker, windows, models, alignment, fusion and smoothing.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from chunking import recut
from emofuse.text.transcribe import TranscribeConfig, TranscriberName
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Estimate, Modality
from emofuse.core.media import MediaInfo, Packet, Progress, Track
from emofuse.core.time import NS

TOLERANCE = 1e-5
"""On every probability and quality: batches may be composed differently."""

CLIPS = ("talking.mp4", "two_people.mp4")


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(AnalyzerConfig(transcribe=TranscribeConfig(engine=TranscriberName.NONE)))


def estimates(analyzer: Analyzer, info: MediaInfo, packets: list[Packet]) -> dict:
    items = analyzer.run(packets, analyzer.pipeline(info))
    return {
        (e.subject, e.span, e.modality): np.append(e.scores.probabilities, e.quality)
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
    max_examples=110,  # for each of the clips
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_chunking_gives_the_same_timeline(medium: tuple, analyzer: Analyzer, seed: int) -> None:
    info, packets, whole = medium
    pieces = estimates(analyzer, info, recut(packets, np.random.default_rng(seed)))
    assert pieces.keys() == whole.keys()
    for key, values in whole.items():
        np.testing.assert_allclose(pieces[key], values, atol=TOLERANCE, err_msg=str(key))


def test_in_empty_stretches_no_slot_waits_for_more_than_a_hop(
    analyzer: Analyzer, media: Path
) -> None:
    """With no face for seconds, the slots go on as fast as the pictures come."""
    hop_ns = round(analyzer.config.slot_seconds * NS)
    with closing(analyzer.open(media / "no_face.mp4")) as source:
        packets = [p for p in source.packets() if getattr(p, "track", None) is not Track.AUDIO]
        info = source.info
    pipeline = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,))).pipeline(info)
    fused_ns, seen_ns = 0, 0
    for packet in packets:
        for item in pipeline.feed(packet):
            assert not isinstance(item, Estimate)
            if isinstance(item, Progress):
                fused_ns = item.upto_ns
        if isinstance(packet, Progress) and packet.track is Track.VIDEO:
            seen_ns = packet.upto_ns
            assert seen_ns - fused_ns <= hop_ns
    assert seen_ns >= 3 * NS
