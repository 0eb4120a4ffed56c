from dataclasses import replace

import numpy as np
import pytest
from tests.export.synthetic import face, timeline

from emofuse.core.estimates import (
    SPEAKER,
    Estimate,
    Modality,
    Probabilities,
    Rejected,
    RejectionReason,
)
from emofuse.core.labels import CANONICAL
from emofuse.core.time import NS, Span
from emofuse.export.summary import describe, runs_of, short_span, summarise, to_mapping


def fused(start: float, end: float, label: str, confidence: float = 0.8, subject=None) -> Estimate:
    p = np.full(8, (1 - confidence) / 7)
    p[CANONICAL.index(label)] = confidence
    span = Span.of_seconds(start, end)
    return Estimate(
        subject or face(1), span, Probabilities(CANONICAL, p), Modality.FUSED, 0.5, "logpool"
    )


def of(*estimates: Estimate, seconds: float = 20.0):
    return replace(timeline(1), estimates=estimates, duration_ns=round(seconds * NS))


def test_shares_runs_and_coverage():
    summary = summarise(
        of(fused(0, 4, "neutral"), fused(4, 6, "happy", 0.6), fused(6, 8, "happy", 0.8),
           fused(10, 12, "happy", 0.9))
    )  # fmt: skip
    (person,) = summary.people
    assert person.shares == pytest.approx({"happy": 0.6, "neutral": 0.4})
    assert person.label == "happy"
    assert [(r.label, str(r.span)) for r in person.runs] == [
        ("neutral", "0:00.0–0:04.0"), ("happy", "0:04.0–0:08.0"), ("happy", "0:10.0–0:12.0"),
    ]  # fmt: skip
    assert person.runs[1].confidence == pytest.approx(0.7)
    assert person.present_ns == 10 * NS
    assert person.coverage == pytest.approx(0.5)
    assert person.confidence == pytest.approx((4 * 0.8 + 2 * 0.6 + 2 * 0.8 + 2 * 0.9) / 10)
    assert describe(person) == "mostly happy (60 %), neutral 0:00–0:04"


def test_people_who_were_there_longest_come_first_and_voices_last():
    summary = summarise(
        of(
            fused(0, 9, "sad", subject=SPEAKER),
            fused(0, 2, "sad"),
            fused(0, 3, "fear", subject=face(2)),
        )
    )
    assert [str(p.subject) for p in summary.people] == ["face-2", "face-1", "speaker-1"]


def test_a_voice_that_went_into_a_face_is_not_a_person_of_its_own():
    subjects = [p.subject for p in summarise(timeline(24, people=1)).people]
    assert subjects[0] == face(1)
    only_face_fused = replace(
        timeline(24, people=1),
        estimates=tuple(
            e for e in timeline(24, people=1)
            if not (e.modality is Modality.FUSED and e.subject == SPEAKER)
        ),
    )  # fmt: skip
    (person,) = summarise(only_face_fused).people
    assert person.modalities == (Modality.FACE, Modality.SPEECH, Modality.TEXT)


def test_without_fused_results_the_single_modalities_speak():
    speech = tuple(e for e in timeline(24) if e.modality is Modality.SPEECH)
    (person,) = summarise(replace(timeline(24), estimates=speech)).people
    assert (person.subject, person.basis) == (SPEAKER, Modality.SPEECH)


def test_nothing_seen_is_an_empty_summary():
    assert summarise(of()).people == ()


def test_a_still_picture_has_no_length_but_a_label():
    (person,) = summarise(of(fused(0, 0, "surprise", 0.9), seconds=0)).people
    assert (person.shares, person.coverage) == ({"surprise": 1.0}, 1.0)
    assert describe(person, timed=False) == "surprise (90 % sure)"


def test_only_the_longest_moments_are_named_in_order_of_time():
    moments = [("sad", 4), ("fear", 1), ("sad", 2), ("happy", 6), ("fear", 3)]
    estimates, start = [fused(0, 20, "neutral")], 20
    for label, length in moments:
        estimates.append(fused(start, start + length, label))
        start += length
    # Two moments of sadness a second apart read as one.
    text = describe(summarise(of(*estimates, seconds=40)).people[0], most=2)
    assert text == "mostly neutral (56 %), sad 0:20–0:27, happy 0:27–0:33"
    assert describe(summarise(of(fused(0, 3, "sad"))).people[0]) == "sad throughout"


def test_runs_break_at_gaps_and_labels():
    runs = runs_of(
        [fused(0, 1, "sad"), fused(1, 2, "sad"), fused(2.5, 3, "sad"), fused(3, 4, "fear")]
    )
    assert [(r.span.start, r.span.end) for r in runs] == [(0, 2), (2.5, 3), (3, 4)]


def test_short_times():
    assert short_span(Span.of_seconds(4, 9.4)) == "0:04–0:09"
    assert short_span(Span.of_seconds(4, 4.3)) == "0:04"
    assert short_span(Span.of_seconds(3599.6, 3700)) == "1:00:00–1:01:40"


def test_uncertain_time_is_nobodys_and_is_said():
    doubtful = replace(fused(4, 10, "sad", 0.3), uncertain=Rejected(RejectionReason.LOW_CONFIDENCE))
    (person,) = summarise(of(fused(0, 4, "happy"), doubtful)).people
    assert person.shares == pytest.approx({"happy": 0.4})
    assert person.uncertain == pytest.approx(0.6)
    assert describe(person) == "sometimes happy (40 %)"
    (lost,) = summarise(of(doubtful)).people
    assert (lost.label, describe(lost)) == ("uncertain", "uncertain throughout")
    assert describe(lost, timed=False) == "uncertain, perhaps sad (30 % sure)"


def test_the_mapping_says_what_the_pages_show():
    summary = summarise(of(fused(0, 4, "neutral"), fused(4, 10, "happy")))
    (told,) = to_mapping(summary)["people"]
    assert (told["name"], told["says"]) == ("Face 1", "mostly happy (60 %), neutral 0:00–0:04")
    assert told["shares"] == {"happy": 0.6, "neutral": 0.4}
    assert told["facts"] == [
        "seen for 0:10 of 0:20 (50%)", "mean confidence 80%", "evidence quality 50%",
    ]  # fmt: skip
