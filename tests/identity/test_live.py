"""Live, a session says whose faces it sees, and that somebody is back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.identity.prints import face, person

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.estimates import Modality
from emofuse.core.identity import Identified
from emofuse.streaming import LiveConfig, LiveSession


def test_who_comes_back_is_known(media: Path) -> None:
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE,)))
    patient = LiveConfig(frames=10_000, patience_seconds=None, overdue_seconds=None, unread=100_000)
    with (
        closing(analyzer.open(media / "comes_and_goes.mp4")) as source,
        LiveSession(analyzer, source.info, patient) as session,
    ):
        for packet in source.packets():
            session.push(packet)
        session.finish()
        told = [event for event in session if isinstance(event, Identified)]
    assert told == [Identified(face(1), person(1)), Identified(face(2), person(1))]
    assert not session.errors
