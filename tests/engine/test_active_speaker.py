"""Whose voice it is: over scripted mouths, where everything is known, and over a film."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.analyzer import Analyzer, AnalyzerConfig
from emofuse.core.details import FaceDetails
from emofuse.core.estimates import SPEAKER, Estimate, Modality, Probabilities, Subject, SubjectKind
from emofuse.core.labels import CANONICAL
from emofuse.core.media import Watermark
from emofuse.core.protocols import Slot
from emofuse.core.time import NS, Span
from emofuse.engine.active_speaker import (
    ActiveSpeakerAttribution,
    ActiveSpeakerConfig,
    ActiveSpeakerMethod,
)
from emofuse.errors import InputError

A, B = Subject(SubjectKind.FACE, 1), Subject(SubjectKind.FACE, 2)
HOP = NS // 2
STILL, TALKS = 0.08, 0.22
SOLE = ActiveSpeakerConfig(ActiveSpeakerMethod.SOLE)

Script = list[tuple[dict[Subject, float | None], bool]]
"""For every hop: the mouth motion of each face in the picture, and whether a voice is heard."""


def estimate(subject: Subject, modality: Modality, span: Span, motion: float | None) -> Estimate:
    details = None if motion is None else FaceDetails(mouth=motion)
    scores = Probabilities(CANONICAL, np.full(8, 1 / 8))
    return Estimate(subject, span, scores, modality, 1.0, modality.value, details=details)


def stream(script: Script, told: float = 1.0, seed: int = 0) -> list[Slot | Watermark]:
    """What the aligner yields; progress comes after a share of the hops only."""
    rng, items = np.random.default_rng(seed), []
    for k, (mouths, voice) in enumerate(script):
        span = Span(k * HOP, (k + 1) * HOP)
        for face, motion in sorted(mouths.items()):
            seen = estimate(face, Modality.FACE, span, motion)
            items.append(Slot(face, span, {Modality.FACE: seen}))
        if voice:
            heard = estimate(SPEAKER, Modality.SPEECH, span, None)
            items.append(Slot(SPEAKER, span, {Modality.SPEECH: heard}))
        if rng.random() < told:
            items.append(Watermark(Modality.FUSED, span.end_ns))
    return items


def run(stage: ActiveSpeakerAttribution, items: list[Slot | Watermark]) -> list:
    return [out for item in items for out in stage.feed(item)] + list(stage.flush())


def owners(script: Script, config: ActiveSpeakerConfig | None = None) -> str:
    """For every hop: who has the voice (1, 2), the unknown speaker (?), or nobody (-)."""
    out = ["-"] * len(script)
    for slot in run(ActiveSpeakerAttribution(config), stream(script)):
        if isinstance(slot, Slot) and Modality.SPEECH in slot.evidence:
            k = slot.span.start_ns // HOP
            out[k] = "?" if slot.subject == SPEAKER else str(slot.subject.number)
    return "".join(out)


def pair(a: float | None, b: float | None, voice: bool = True) -> tuple:
    return {A: a, B: b}, voice


def test_without_mouths_the_voice_belongs_to_the_only_face() -> None:
    script: Script = [({A: None}, True), ({}, True), ({A: None, B: None}, True), ({}, False)]
    assert owners(script, SOLE) == "1??-"
    assert owners(script) == "1??-"  # nothing measured: the same


def test_the_voice_goes_with_the_mouth_that_moves() -> None:
    script = [pair(TALKS, STILL)] * 4 + [pair(STILL, STILL, False)] + [pair(STILL, TALKS)] * 4
    assert owners(script) == "1111-2222"
    assert owners(script, SOLE) == "????-????"


def test_one_closed_mouth_does_not_end_a_turn() -> None:
    script = [pair(TALKS, STILL)] * 4 + [pair(STILL, STILL)] + [pair(TALKS, STILL)] * 4
    assert owners(script) == "1" * 9


def test_a_listener_who_moves_once_does_not_take_the_word() -> None:
    script = [pair(TALKS, STILL)] * 4 + [pair(TALKS, TALKS)] + [pair(TALKS, STILL)] * 4
    assert owners(script) == "1" * 9


def test_a_voice_from_elsewhere_is_not_given_to_still_mouths() -> None:
    assert owners([pair(STILL, STILL)] * 5) == "?" * 5
    assert owners([({A: 0.05}, True)] * 6)[2:] == "?" * 4
    assert owners([({A: TALKS}, True)] * 6) == "1" * 6


def test_the_only_face_keeps_the_voice_while_nothing_speaks_against_it() -> None:
    assert owners([({A: 0.13}, True)] * 6) == "1" * 6


def test_when_both_mouths_move_nobody_is_given_the_voice() -> None:
    assert owners([pair(TALKS, TALKS)] * 5) == "?" * 5


def test_a_mouth_that_always_seems_to_move_counts_against_its_own_rest() -> None:
    """A noisy picture: 0.18 is the first face's rest, and more than most need to speak."""
    talk = [pair(0.18, 0.18)] * 5
    assert owners([pair(0.18, STILL, False)] * 20 + talk)[20:] == "2" * 5
    assert owners(talk) == "?" * 5  # it cannot be known without the silence


def test_a_linked_voice_says_how_sure_it_is() -> None:
    script = [pair(TALKS, STILL)] * 4
    heard = [
        slot.evidence[Modality.SPEECH]
        for slot in run(ActiveSpeakerAttribution(), stream(script))
        if isinstance(slot, Slot) and slot.subject == A
    ]
    assert [e.subject for e in heard] == [SPEAKER] * 4
    assert all(0.9 < e.attribution <= 1 for e in heard)


scripts = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from([A, B, Subject(SubjectKind.FACE, 3)]),
            st.none() | st.floats(0, 1),
            max_size=3,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(script=scripts, lag=st.sampled_from([0.0, 0.5, 0.7, 2.0]), seed=st.integers(0, 2**31))
def test_when_progress_is_told_does_not_matter_and_nothing_is_lost(
    script: Script, lag: float, seed: int
) -> None:
    whole, stage = None, ActiveSpeakerAttribution(ActiveSpeakerConfig(lag=lag))
    for told in (1.0, 0.3, 0.0):
        upto, out = 0, []
        stage.reset()
        for item in run(stage, stream(script, told, seed)):
            if isinstance(item, Watermark):
                assert item.upto_ns > upto
                upto = item.upto_ns
            else:
                assert item.span.start_ns >= upto
                link = {m: e.attribution for m, e in item.evidence.items()}
                out.append((item.span, item.subject, link))
        whole = whole or out
        assert out == whole
        assert sum(Modality.SPEECH in links for _, _, links in out) == sum(v for _, v in script)
        assert sum(Modality.FACE in links for _, _, links in out) == sum(len(m) for m, _ in script)


def test_faces_that_come_and_go_for_an_hour_are_forgotten() -> None:
    stage = ActiveSpeakerAttribution()
    for k in range(1000):
        face = Subject(SubjectKind.FACE, k + 1)
        span = Span(k * HOP, (k + 1) * HOP)
        list(
            stage.feed(Slot(face, span, {Modality.FACE: estimate(face, Modality.FACE, span, 0.1)}))
        )
        list(stage.feed(Watermark(Modality.FUSED, span.end_ns)))
    assert len(stage._calm) <= 64
    assert len(stage._held) <= 2


@pytest.mark.parametrize(
    "wrong", [{"least": 0.0}, {"sole": 1.0}, {"away": -0.1}, {"turn": 0.0}, {"lag": -1.0}]
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"active_speaker.{next(iter(wrong))}"):
        ActiveSpeakerConfig(**wrong)


def test_in_a_film_with_two_faces_the_voice_goes_to_the_one_whose_mouth_moves(media: Path) -> None:
    """In the clip the face on the right speaks, from 0.4 s to 1.4 s; its mouth is animated."""
    analyzer = Analyzer(AnalyzerConfig(modalities=(Modality.FACE, Modality.SPEECH)))
    with closing(analyzer.open(media / "two_people.mp4")) as source:
        timeline = analyzer.collect(source)
    place = {e.subject: e.details.box[0] for e in timeline.of(Modality.FACE)}
    right = max(place, key=lambda face: place[face])
    given_to = {
        e.subject
        for e in timeline.of(Modality.FUSED)
        if e.fusion and Modality.SPEECH in e.fusion.modality_weights
    }
    assert right in given_to
    assert given_to <= {right, SPEAKER}
