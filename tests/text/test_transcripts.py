"""Transcripts in the encodings and dialects in which they are met."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.media import Utterance
from emofuse.core.time import Span
from emofuse.errors import InputError
from emofuse.text.transcripts import parse_srt, read_transcript, utterances_of

SRT = """1
00:00:01,000 --> 00:00:02,500
Café crème, “naïve” – that’s 5 €.

2
00:00:03,000 --> 00:00:04,000
Second line
goes on here.
"""
EXPECTED = ["Café crème, “naïve” – that’s 5 €.", "Second line goes on here."]

ENCODINGS = {
    "UTF-8": SRT.encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + SRT.encode(),
    "UTF-16 little": SRT.encode("utf-16"),
    "UTF-16 big": codecs.BOM_UTF16_BE + SRT.encode("utf-16-be"),
    "Windows-1252": SRT.encode("cp1252"),
    "carriage returns": SRT.replace("\n", "\r\n").encode(),
    "old Macintosh": SRT.replace("\n", "\r").encode(),
}


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def said(utterances: list[Utterance]) -> list[str]:
    return [u.text for u in utterances]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_gives_the_same_words(tmp_path: Path, encoding: str) -> None:
    utterances = read_transcript(put(tmp_path, "talk.srt", ENCODINGS[encoding]))
    assert said(utterances) == EXPECTED
    assert [u.span for u in utterances] == [Span.of_seconds(1, 2.5), Span.of_seconds(3, 4)]
    assert {u.confidence for u in utterances} == {1.0}


def test_latin_1_controls_do_not_stop_it(tmp_path: Path) -> None:
    path = put(tmp_path, "old.txt", b"Caf\xe9 \x81 noir.")
    assert said(read_transcript(path)) == ["Café \x81 noir."]


def test_subrip_as_people_write_it() -> None:
    text = """

1
0:00:01.5 --> 0:00:02,25  X1:100 X2:200 Y1:1 Y2:2
<font color="#ffff00"><i>Hello</i></font> {\\an8}you &amp; me, I <3 a < b\\Nok

2
00:03,000 --> 00:04,000
- Are you there?
- No!

3
00:00:05,000 --> 00:00:06,000
[door slams] ♪ La la ♪

4
00:00:06,500 --> 00:00:08,000
A line, then an empty one

and its rest.
00:00:09,000 --> 00:00:10,000
No index."""
    utterances = parse_srt(text)
    assert said(utterances) == [
        "Hello you & me, I <3 a < b ok",
        "Are you there?",
        "No!",
        "La la",
        "A line, then an empty one and its rest.",
        "No index.",
    ]
    assert utterances[0].span == Span.of_seconds(1.5, 2.25)
    question, answer = utterances[1:3]
    assert question.span.start == 3
    assert question.span.end == answer.span.start
    assert answer.span.end == 4


def test_cues_come_out_in_time() -> None:
    text = "2\n00:00:05,000 --> 00:00:06,000\nB\n\n1\n00:00:01,000 --> 00:00:02,000\nA\n"
    assert said(parse_srt(text)) == ["A", "B"]


VTT = """WEBVTT - a talk
Kind: captions

STYLE
::cue { color: yellow }

NOTE this is not said
neither is this

intro
00:01.000 --> 00:02.000 align:start position:10% line:0
<v.loud Mary Ann>Hello &lt;there&gt;&nbsp;<b>you</b>!</v>

01:00:03.500 --> 01:00:06.000
<v Bob>I am <00:00:04.000><c.red>late</c>. <v Mary>So you are.

00:09.000 --> 00:10.000
<lang en>Plain</lang> <ruby>word<rt>gloss</rt></ruby>
"""


@pytest.mark.parametrize("name", ["talk.vtt", "talk.VTT", "misnamed.srt"])
def test_webvtt(tmp_path: Path, name: str) -> None:
    utterances = read_transcript(put(tmp_path, name, VTT))
    assert [(u.speaker, u.text) for u in utterances] == [
        ("Mary Ann", "Hello <there> you!"),
        (None, "Plain wordgloss"),
        ("Bob", "I am late."),
        ("Mary", "So you are."),
    ]
    assert utterances[0].span == Span.of_seconds(1, 2)
    assert utterances[2].span.start == 3603.5
    assert utterances[2].span.end == utterances[3].span.start


BROKEN = {
    "time": ("a.srt", "1\n00:00:01,000 --> 00:00:0x,000\nHi\n", "line 2: expected a time"),
    "end before start": ("a.srt", "1\n00:00:05,000 --> 00:00:01,000\nHi\n", "line 2: the cue ends"),
    "no times": ("a.srt", "\nJust some text.\n", "line 2: expected a time"),
    "late break": ("a.srt", SRT + "\n3\n00:00:05 -> 1 --> now\nHi\n", "line 11: expected a time"),
    "no header": ("a.vtt", "00:01.000 --> 00:02.000\nHi\n", "line 1: expected WEBVTT"),
    "vtt without time": ("a.vtt", "WEBVTT\n\nname\nHi\n", "line 3: expected a time"),
    "vtt time": ("a.vtt", "WEBVTT\n\n0 --> 1\nHi\n", "line 3: expected a time"),
    "binary": ("a.txt", b"\x89PNG\0\0", "not a text file"),
    "broken UTF-16": ("a.txt", codecs.BOM_UTF16_LE + b"a", "not a text file"),
    "other kind": ("a.docx", "text", r"expected a file that ends in \.srt, \.txt, \.vtt"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, case: str) -> None:
    name, content, message = BROKEN[case]
    path = put(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as error:
        read_transcript(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the transcript"):
        read_transcript(tmp_path / "nothing.srt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match="cannot read the transcript"):
        read_transcript(tmp_path / "folder.txt")


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", ""), ("a.srt", "\n\n"), ("a.vtt", "WEBVTT\n"), ("b.txt", "…")]
)
def test_no_words_are_no_error(tmp_path: Path, name: str, content: str) -> None:
    assert [u for u in read_transcript(put(tmp_path, name, content)) if u.text != "…"] == []


def test_plain_text_is_spread_over_the_medium(tmp_path: Path) -> None:
    path = put(tmp_path, "talk.txt", "Short one. This one is three times as long as that!")
    short, long = read_transcript(path, Span.of_seconds(0, 10))
    assert (short.span.start_ns, long.span.end_ns) == (0, 10**10)
    assert short.span.end_ns == long.span.start_ns
    assert 3 < long.span.duration / short.span.duration < 4


def test_plain_text_without_a_medium_is_said_at_150_words_a_minute() -> None:
    words = utterances_of("words " * 149 + "words.")
    assert words[0].span.start_ns == 0
    assert words[-1].span.end == pytest.approx(60, rel=0.01)
    chinese = utterances_of("我们今天很高兴见到你。")  # eleven signs: about four a second
    assert 1.5 < chinese[-1].span.end < 4


def to_srt(utterances: list[Utterance]) -> str:
    def time(ns: int) -> str:
        ms = ns // 1_000_000
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    cues = [
        f"{i}\n{time(u.span.start_ns)} --> {time(u.span.end_ns)}\n{u.text}\n"
        for i, u in enumerate(utterances, 1)
    ]
    return "\n".join(cues)


def utterances() -> st.SearchStrategy[list[Utterance]]:
    word = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
    text = st.tuples(word.map(lambda w: f"x{w}"), st.lists(word, max_size=4)).map(
        lambda t: " ".join((t[0], *t[1]))
    )
    time = st.integers(0, 10**7).map(lambda ms: ms * 10**6)
    span = st.tuples(time, time).map(lambda t: Span(min(t), max(t)))
    one = st.builds(Utterance, text, span)
    return st.lists(one, max_size=6, unique_by=lambda u: u.span).map(
        lambda us: sorted(us, key=lambda u: u.span)
    )


@given(utterances())
@settings(max_examples=100, deadline=None)
def test_subrip_survives_writing_and_reading(plan: list[Utterance]) -> None:
    assert parse_srt(to_srt(plan)) == plan
