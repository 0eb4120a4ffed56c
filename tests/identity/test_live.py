"""Live, a session says whose faces it sees and whose voices it hears, and that somebody is back."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.identity.made import direction, face, person, voice, voice_embeddings
from tests.streaming.patient import PATIENT

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import SPEAKER, Modality
from emofuse.core.identity import Heard, Identified, IdentityEmbedding
from emofuse.core.time import Span
from emofuse.identity import live
from emofuse.identity.config import IdentityConfig
from emofuse.identity.live import LiveVoices
from emofuse.streaming import Event, LiveSession


def events_of(path: Path, *modalities: Modality) -> list[Event]:
    """Return what a session says of a clip, without drops."""
    analyzer = Analyzer(AnalyzerConfig(modalities=modalities, max_wait_seconds=0))
    with (
        closing(analyzer.open(path)) as source,
        LiveSession(analyzer, source.info, PATIENT) as session,
    ):
        for packet in source.packets():
            session.push(packet)
        session.finish()
        events = list(session)
    assert not session.errors
    return events


def test_who_comes_back_is_known(media: Path) -> None:
    events = events_of(media / "comes_and_goes.mp4", Modality.FACE)
    found = [event for event in events if isinstance(event, Identified)]
    assert found == [Identified(face(1), person(1)), Identified(face(2), person(1))]


def told(embeddings: Iterable[IdentityEmbedding]) -> list[Heard | Identified]:
    voices = LiveVoices(IdentityConfig())
    return [event for item in embeddings for event in voices.add(item)]


def test_voices_keep_their_numbers() -> None:
    events = told(voice_embeddings([(0, 8, 0), (8, 16, 1), (16, 24, 0), (24, 32, 2)]))
    heard = [(e.span.start, e.subject.number) for e in events if isinstance(e, Heard)]
    for start, end, number in ((0, 8, 1), (12, 16, 2), (16, 24, 1), (28, 32, 3)):
        assert {n for at, n in heard if start <= at < end - 0.5} == {number}
    assert not any(isinstance(e, Identified) for e in events)


def at_angle(degrees: float, count: int, start: float) -> list[IdentityEmbedding]:
    turned = np.radians(degrees)
    row = (np.cos(turned) * direction(0) + np.sin(turned) * direction(1)).astype(np.float32)
    spans = (Span.of_seconds(start + k, start + k + 1) for k in range(count))
    return [IdentityEmbedding(SPEAKER, span, row, 1.0) for span in spans]


def test_a_late_merge_is_told_and_the_lower_number_kept() -> None:
    embeddings = [*at_angle(-25, 5, 0), *at_angle(25, 5, 10), *at_angle(0, 30, 20)]
    events = told(embeddings)
    assert {e.subject for e in events if isinstance(e, Heard)} >= {voice(1), voice(2)}
    assert [e for e in events if isinstance(e, Identified)] == [Identified(voice(2), voice(1))]
    last = events[-1]
    assert isinstance(last, Heard)
    assert last.subject == voice(1)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST", 80)
    voices = LiveVoices(IdentityConfig())
    for item in voice_embeddings([(8 * k, 8 * k + 8, k % 2) for k in range(12)]):
        list(voices.add(item))
    assert len(voices.turns) <= 80
    assert sorted(voices.numbers()) == [1, 2]


def test_a_voice_that_is_given_to_a_face_is_theirs(media: Path) -> None:
    events = events_of(media / "talking.mp4", Modality.FACE, Modality.SPEECH)
    heard = [e for e in events if isinstance(e, Heard)]
    assert heard
    assert heard[0].subject == voice(1)
    assert [e.span for e in heard] == sorted(e.span for e in heard)
    who = {e.subject: e.person for e in events if isinstance(e, Identified)}
    assert who[voice(1)] == person(1)
