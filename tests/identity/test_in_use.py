"""Who is who in real clips, through the whole analysis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.identity.made import face

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.core.identity import IdentityEmbedding
from emofuse.core.media import Frame, MediaInfo, Packet, Track, VideoInfo, Watermark
from emofuse.core.time import Span, to_ns
from emofuse.identity.config import IdentityConfig
from emofuse.text.transcribe import TranscribeConfig

SILENT = TranscribeConfig(engine="none")
CUT_NS = to_ns(1.5)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(AnalyzerConfig(modalities=(Modality.FACE,), transcribe=SILENT))


class Film:
    """Two people side by side made a film that is cut back and forth: left, right, left, right."""

    def __init__(self, packets: list[Packet], info: MediaInfo) -> None:
        frames = [p for p in packets if isinstance(p, Frame)]
        assert info.video is not None
        half = info.video.width // 2
        self.info = replace(info, video=VideoInfo(half, info.video.height, 25.0, "raw"), audio=None)
        self._shots = [
            [replace(f, image=np.ascontiguousarray(f.image[:, side])) for f in frames]
            for side in (slice(half), slice(half, 2 * half))
        ]

    def packets(self) -> Iterator[Packet]:
        for shot in range(4):
            start, taken_ns = shot * CUT_NS, (shot // 2) * CUT_NS
            for frame in self._shots[shot % 2]:
                at_ns = frame.at.start_ns - taken_ns
                if 0 <= at_ns < CUT_NS:
                    end_ns = min(CUT_NS, frame.at.end_ns - taken_ns)
                    yield Frame(frame.image, Span(start + at_ns, start + end_ns))
            yield Watermark(Track.VIDEO, start + CUT_NS)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def film(media: Path) -> Film:
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,)))
    with closing(analyzer.open(media / "two_people.mp4")) as source:
        return Film(list(source.packets()), source.info)


def test_a_film_cut_back_and_forth_has_two_people(analyzer: Analyzer, film: Film) -> None:
    timeline = analyzer.collect(film)
    assert timeline.people is not None
    tracks = [person.tracks for person in timeline.people.known]
    assert tracks == [(face(1), face(3)), (face(2), face(4))]
    assert [str(s) for s in timeline.subjects] == ["person-1", "person-2"]
    assert len({(e.subject, e.modality, e.span) for e in timeline}) == len(timeline)


def test_without_identity_they_are_four_faces(film: Film) -> None:
    config = AnalyzerConfig(modalities=(Modality.FACE,), identity=IdentityConfig(enabled=False))
    timeline = Analyzer(config).collect(film)
    assert timeline.people is None
    assert [str(s) for s in timeline.subjects] == ["face-1", "face-2", "face-3", "face-4"]


def test_who_leaves_and_returns_is_the_same_and_the_voice_is_theirs(media: Path) -> None:
    timeline = Analyzer(AnalyzerConfig(transcribe=SILENT)).analyze(media / "comes_and_goes.mp4")
    assert {str(s) for s in timeline.subjects} == {"person-1"}
    assert timeline.people is not None
    (person,) = timeline.people.known
    assert person.tracks == (face(1), face(2))
    assert person.voice
    gone = Span.of_seconds(2.5, 4.5)
    heard = [e for e in timeline.fused if e.span.overlap_ns(gone)]
    assert heard, "the voice goes on while nobody is seen"


def test_nothing_biometric_is_in_a_timeline(analyzer: Analyzer, film: Film) -> None:
    timeline = analyzer.collect(film)
    assert timeline.people is not None
    assert not any(person.embeddings for person in timeline.people.known)
    assert all(e.embedding is None for e in timeline)


def test_a_photo_is_not_embedded_unless_files_are_compared(media: Path) -> None:
    config = AnalyzerConfig(modalities=(Modality.FACE,))
    assert Analyzer(config).analyze(media / "portrait.jpg").people is None
    across = replace(config, identity=IdentityConfig(across_files=True))
    people = Analyzer(across).analyze(media / "portrait.jpg").people
    assert people is not None
    assert [set(person.embeddings) for person in people.known] == [{"face"}]


def test_prints_are_few_and_pass_all_stages(analyzer: Analyzer, film: Film) -> None:
    embeddings = [item for item in analyzer.stream(film) if isinstance(item, IdentityEmbedding)]
    assert {p.subject for p in embeddings} == {face(n) for n in range(1, 5)}
    assert len(embeddings) <= 8
