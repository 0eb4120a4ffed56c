"""Where sentences end, when they are said, and the stage that makes samples of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.details import TextDetails
from emofuse.core.estimates import SPEAKER, Modality
from emofuse.core.media import Sample, Track, Utterance, Watermark, Word
from emofuse.core.time import NS, Span
from emofuse.text.sentences import Sentences, share_time, split_sentences

CASES = {
    "abbreviations and numbers": (
        "Mr. Smith paid $3.50. He left at 5 p.m. on Friday. Dr. No came, e.g. with J. R. Jones.",
        [
            "Mr. Smith paid $3.50.",
            "He left at 5 p.m. on Friday.",
            "Dr. No came, e.g. with J. R. Jones.",
        ],
    ),
    "an abbreviation at the end": (
        "I live in the U.S. It is fine.",
        ["I live in the U.S.", "It is fine."],
    ),
    "quotes": (
        '"Stop!" he said. "I won\'t do it." Then he left (at last).',
        ['"Stop!" he said.', '"I won\'t do it."', "Then he left (at last)."],
    ),
    "hesitation": (
        "I... I don't know… maybe. Really?!",
        ["I... I don't know… maybe.", "Really?!"],
    ),
    "lower case only": (
        "wow! that's great. i love it",
        ["wow!", "that's great.", "i love it"],
    ),
    "lines without full stops": (
        "i am so happy\nthis is great\n\nno way",
        ["i am so happy", "this is great", "no way"],
    ),
    "wrapped lines": (
        "It was a long\nline that wraps. And\nthen it ends.\n\nNew one",
        ["It was a long line that wraps.", "And then it ends.", "New one"],
    ),
    "list numbers": ("1. Buy milk. 2. Be happy.", ["1. Buy milk.", "2. Be happy."]),
    "addresses and versions": (
        "Version 2.0 is out. See example.com for more.",
        ["Version 2.0 is out.", "See example.com for more."],
    ),
    "Japanese": (
        "これは本当に嬉しい。でも、怖い！行くな。",
        ["これは本当に嬉しい。", "でも、怖い！", "行くな。"],
    ),
    "Hindi": ("क्या हुआ? मैं खुश हूँ। बहुत अच्छा।", ["क्या हुआ?", "मैं खुश हूँ।", "बहुत अच्छा।"]),
    "Arabic and Urdu": ("مرحبا. كيف حالك؟ شكرا۔", ["مرحبا.", "كيف حالك؟", "شكرا۔"]),
    "signs alone": ("Great... :) !!", ["Great... :) !!"]),
    "nothing": (" \n\t ", []),
}


@pytest.mark.parametrize("case", CASES)
def test_sentences_end_where_a_reader_says(case: str) -> None:
    text, expected = CASES[case]
    assert split_sentences(text) == expected


def test_a_long_sentence_is_cut_behind_a_comma() -> None:
    text = " ".join(["word"] * 29) + " comma, " + " ".join(["more"] * 20)
    first, second = split_sentences(text)
    assert first.endswith("comma,")
    assert second.split() == ["more"] * 20
    assert [len(s.split()) for s in split_sentences("so " * 95)] == [40, 40, 15]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_sign_is_lost(text: str) -> None:
    parts = split_sentences(text)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part.strip() for part in parts)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.integers(0, 10**12))
def test_shared_time_tiles_the_span(parts: list[str], length: int) -> None:
    whole = Span(5, 5 + length)
    spans = share_time(parts, whole)
    assert len(spans) == len(parts)
    assert (spans[0].start_ns, spans[-1].end_ns) == (5, 5 + length)
    assert all(a.end_ns == b.start_ns for a, b in pairwise(spans))


def says(text: str, start: float, end: float, **more: object) -> Utterance:
    return Utterance(text, Span.of_seconds(start, end), **more)  # type: ignore[arg-type]


def run(*items: Utterance | Watermark) -> list[Sample | Watermark]:
    stage = Sentences()
    return [out for item in items for out in stage.feed(item)] + list(stage.flush())


def texts(*items: Utterance | Watermark) -> list[str]:
    return [s.data for s in run(*items) if isinstance(s, Sample)]


def test_an_utterance_becomes_samples_of_its_sentences() -> None:
    first, second = run(says("I am glad. So am I!", 1, 3, confidence=0.7, speaker="Ann"))
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert (first.data, second.data) == ("I am glad.", "So am I!")
    assert (first.subject, first.quality) == (SPEAKER, 0.7)
    assert first.details == TextDetails("I am glad.", "Ann")
    assert first.span.start == 1.0
    assert first.span.end == second.span.start > 1.0
    assert second.span.end == 3.0


def test_the_words_times_are_used_where_they_are_known() -> None:
    heard = [("Yes.", 0.0, 0.2), ("Oh", 2.0, 2.2), ("no!", 2.2, 2.5)]
    words = tuple(Word(t, Span.of_seconds(a, b)) for t, a, b in heard)
    spans = [s.span for s in run(says("Yes. Oh no!", 0, 3, words=words)) if isinstance(s, Sample)]
    assert spans == [Span.of_seconds(0, 0.2), Span.of_seconds(2.0, 2.5)]


def test_a_sentence_of_several_cues_is_put_together() -> None:
    cues = says("I never thought", 0, 1), says("that you would come.", 1.1, 2), says("Hi!", 2, 3)
    first, second = (s for s in run(*cues) if isinstance(s, Sample))
    assert first.data == "I never thought that you would come."
    assert first.span == Span.of_seconds(0, 2)
    assert second.data == "Hi!"


@pytest.mark.parametrize(
    "second",
    [
        says("that you would come", 3, 4),
        says("That you would come", 1, 2),
        says("that you would come", 1, 2, speaker="Ann"),
    ],
    ids=["after a pause", "a new sentence", "another speaker"],
)
def test_cues_that_do_not_go_on_stay_apart(second: Utterance) -> None:
    assert texts(says("I never thought", 0, 1), second) == ["I never thought", second.text]


def test_progress_waits_for_what_is_held_and_no_longer() -> None:
    stage = Sentences()
    assert list(stage.feed(says("I never thought", 1, 2))) == []
    assert list(stage.feed(Watermark(Track.TEXT, 2 * NS))) == [Watermark(Modality.TEXT, NS)]
    sample, progress = stage.feed(Watermark(Track.TEXT, 10 * NS))
    assert isinstance(sample, Sample)
    assert progress == Watermark(Modality.TEXT, 10 * NS)
    assert list(stage.feed(Watermark(Track.TEXT, 60 * NS))) == [Watermark(Modality.TEXT, 60 * NS)]


cues = st.lists(
    st.tuples(
        st.sampled_from(["I thought", "that it was good", "and then.", "Well", "no", "Yes!"]),
        st.integers(0, 8),
        st.integers(1, 8),
    ),
    max_size=8,
)


@given(cues, st.data())
@settings(deadline=None)
def test_progress_in_between_changes_nothing(
    plan: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    at, utterances = 0, []
    for text, gap, length in plan:
        at += gap * NS // 4
        utterances.append(Utterance(text, Span(at, at + length * NS // 4)))
        at = utterances[-1].span.end_ns
    items: list[Utterance | Watermark] = []
    last = 0
    for utterance in utterances:
        last = data.draw(st.integers(last, utterance.span.start_ns))
        items += [Watermark(Track.TEXT, last), utterance]
    plain = [(s.data, s.span) for s in run(*utterances) if isinstance(s, Sample)]
    assert [(s.data, s.span) for s in run(*items) if isinstance(s, Sample)] == plain
    promised = 0
    for out in run(*items):
        if isinstance(out, Watermark):
            promised = max(promised, out.upto_ns)
        else:
            assert out.span.start_ns >= promised
