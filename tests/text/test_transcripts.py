"""Transcripts in the encodings and dialects in which they are met."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emofuse.core.media import Utterance
from emofuse.core.time import Span
from emofuse.errors import InputError
from emofuse.text.cues import parse_srt
from emofuse.text.sentences import LONGEST_SIGNS, split_sentences
from emofuse.text.transcripts import read_transcript, utterances_of

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


def said(utterances: Sequence[Utterance]) -> list[str]:
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
    utterances = parse_srt(text).utterances
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


def test_cues_come_out_in_time(tmp_path: Path) -> None:
    text = "2\n00:00:05,000 --> 00:00:06,000\nB\n\n1\n00:00:01,000 --> 00:00:02,000\nA\n"
    assert said(read_transcript(put(tmp_path, "a.srt", text))) == ["A", "B"]


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
    "no times": ("a.srt", "\nJust some text.\n", "line 2: expected a time"),
    "no header": ("a.vtt", "00:01.000 --> 00:02.000\nHi\n", "line 1: expected WEBVTT"),
    "vtt without time": ("a.vtt", "WEBVTT\n\nname\nHi\n", "line 3: expected a time"),
    "vtt time": ("a.vtt", "WEBVTT\n\n0 --> 1\nHi\n", "line 3: expected a time"),
    "binary": ("a.txt", b"\x89PNG\0\0", "not a text file"),
    "broken UTF-16": ("a.txt", codecs.BOM_UTF16_LE + b"a", "not a text file"),
    "other kind": ("a.docx", "text", r"expected a file that ends in \.ass, \.eaf, "),
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
    assert parse_srt(to_srt(plan)).utterances == plan


# What is odd costs itself only

ODD = {
    "an arrow is said": (
        "00:00:01,000 --> 00:00:02,000\nHome --> Settings.\n",
        ["Home --> Settings."],
        0,
    ),
    "a cue ends first": (
        "00:00:05,000 --> 00:00:01,000\nNo.\n\n00:00:06,000 --> 00:00:07,000\nYes.\n",
        ["Yes."],
        1,
    ),
    "a damaged time": (
        "00:00:01,000 --> 00:00:02,000\nYes.\n\n00:00:0x,000 --> 1\nNo.\n",
        ["Yes."],
        1,
    ),
    "digits without end": (
        f"00:00:01,000 --> 00:00:02,000\nYes.\n\n{'9' * 5000}:00:01,000 --> 00:00:02,000\nNo.\n",
        ["Yes."],
        1,
    ),
    "a character that is none": (
        "00:00:01,000 --> 00:00:02,000\nOh &#99999999999; no.\n",
        ["Oh \ufffd no."],
        0,
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_cue_is_left_out_and_told(tmp_path: Path, case: str) -> None:
    content, expected, odd = ODD[case]
    transcript = read_transcript(put(tmp_path, "a.srt", content))
    assert said(transcript) == expected
    assert [note.code for note in transcript.notes] == ["cues-left-out"] * odd


def test_milliseconds_that_were_rounded_up(tmp_path: Path) -> None:
    text = "00:00:04,1000 --> 00:00:05,1000\nI am sad.\n"
    (utterance,) = read_transcript(put(tmp_path, "a.srt", text))
    assert utterance.span == Span.of_seconds(5, 6)


def test_captions_that_roll_up_count_once(tmp_path: Path) -> None:
    text = """WEBVTT
Kind: captions

00:00:00.160 --> 00:00:03.429 align:start position:0%
\x20
I<00:00:00.960><c> am</c><00:00:01.520><c> so</c>

00:00:03.429 --> 00:00:03.439 align:start position:0%
I am so
\x20

00:00:03.439 --> 00:00:05.749 align:start position:0%
I am so
happy<00:00:03.760><c> today</c>
"""
    assert said(read_transcript(put(tmp_path, "a.vtt", text))) == ["I am so", "happy today"]


# Speakers and times in the text


def test_names_before_what_is_said_are_speakers(tmp_path: Path) -> None:
    text = """WEBVTT

1
00:00:01.000 --> 00:00:02.000
Mary Ann: I lost my job.

2
00:00:03.000 --> 00:00:04.000
Bob: That is bad: very bad.

3
00:00:05.000 --> 00:00:06.000
Yes.
"""
    found = [(u.speaker, u.text) for u in read_transcript(put(tmp_path, "a.vtt", text))]
    assert found == [
        ("Mary Ann", "I lost my job."),
        ("Bob", "That is bad: very bad."),
        ("Bob", "Yes."),
    ]
    one = "00:00:01,000 --> 00:00:02,000\nNote: I lost my job.\n"
    assert said(read_transcript(put(tmp_path, "a.srt", one))) == ["Note: I lost my job."]


def test_lines_with_times_are_no_plain_text(tmp_path: Path) -> None:
    text = "[00:00:01] A: How are you?\n[00:00:03] B: I am sad.\n(0:05) A: Oh,\nno.\n"
    found = [
        (u.span.start, u.speaker, u.text) for u in read_transcript(put(tmp_path, "a.txt", text))
    ]
    assert found == [(1, "A", "How are you?"), (3, "B", "I am sad."), (5, "A", "Oh, no.")]


# Other forms

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2000"/>
</TIME_ORDER><TIER TIER_ID="words" PARTICIPANT="Mary"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>I am glad.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>"""
GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "Mary"
        xmin = 0
        xmax = 2
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1
            text = ""
        intervals [2]:
            xmin = 1
            xmax = 2
            text = "I am glad."
"""
SHORT_GRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2\n<exists>\n1\n"IntervalTier"\n'
    '"Mary"\n0\n2\n1\n1\n2\n"I am glad."\n'
)
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.00,Default,Mary,0,0,0,,{\\i1}I am glad.
Comment: 0,0:00:01.00,0:00:02.00,Default,Mary,0,0,0,,not said
"""
WHISPER = (
    '{"text": "I am glad.", "language": "en", "segments": [{"start": 1.0, "end": 2.0, '
    '"text": " I am glad.", "speaker": "Mary", "avg_logprob": -0.1, '
    '"words": [{"word": " I", "start": 1.0, "end": 1.2, "probability": 0.9}]}]}'
)
FORMS = {
    "a.eaf": (EAF, "Mary"),
    "long.TextGrid": (GRID, "Mary"),
    "short.TextGrid": (SHORT_GRID, "Mary"),
    "a.ass": (ASS, "Mary"),
    "a.json": (WHISPER, "Mary"),
    "a.tsv": ("start\tend\ttext\n1000\t2000\tI am glad.\n", None),
    "a.sbv": ("0:00:01.000,0:00:02.000\nI am glad.\n", None),
}


@pytest.mark.parametrize("name", FORMS)
def test_other_forms_are_read(tmp_path: Path, name: str) -> None:
    content, speaker = FORMS[name]
    (utterance,) = read_transcript(put(tmp_path, name, content))
    assert (utterance.text, utterance.speaker) == ("I am glad.", speaker)
    assert utterance.span == Span.of_seconds(1, 2)
    with pytest.raises(InputError, match=name):
        read_transcript(put(tmp_path, name, "something else\n\nentirely"))


# Encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Привет, как дела? Я очень рад тебя видеть, правда."),
        ("gb18030", "我今天很高兴见到你，我们一起去吃饭吧。你最近怎么样？"),
        ("big5", "我今天很高興見到你，我們一起去吃飯吧。你最近怎麼樣？"),
    ],
)
def test_an_encoding_that_is_guessed_is_told(tmp_path: Path, encoding: str, text: str) -> None:
    transcript = read_transcript(put(tmp_path, "a.txt", text.encode(encoding)))
    assert "".join(said(transcript)).replace(" ", "") == text.replace(" ", "")
    (note,) = transcript.notes
    assert note.code == "encoding-guessed"
    assert " as well" not in note.message


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "今天我很高兴见到你。"),  # signs of Korea among Chinese ones otherwise
        ("euc_kr", "오늘 만나서 정말 반가워요."),
        ("euc_jp", "今日はお会いできてとても嬉しいです。"),
    ],
)
def test_a_line_in_an_east_asian_encoding(tmp_path: Path, encoding: str, text: str) -> None:
    assert said(read_transcript(put(tmp_path, "a.txt", text.encode(encoding)))) == [text]


def test_encodings_of_which_a_short_text_cannot_tell_are_named(tmp_path: Path) -> None:
    (note,) = read_transcript(put(tmp_path, "a.txt", "你好".encode("gb18030"))).notes
    assert "was read as cp1252, but so little text may be big5 or " in note.message
    assert " gb18030 " in note.message
    (note,) = read_transcript(put(tmp_path, "b.txt", "Привет, как дела?".encode("koi8_r"))).notes
    assert "may be koi8_r as well" in note.message


# Size


@pytest.mark.parametrize("pattern", ["b. ", "<v ", ".", "a" * 50, "我", '"b" ', "{\\", "[", "-->"])
def test_time_and_size_are_linear_in_the_text(tmp_path: Path, pattern: str) -> None:
    text = pattern * (60_000 // len(pattern)) + "x"
    content = f"00:00:01,000 --> 00:00:02,000\n{text}\n"
    for name in ("a.srt", "a.txt"):
        transcript = read_transcript(put(tmp_path, name, content))
        pieces = [piece for u in transcript for piece in split_sentences(u.text)]
        assert max(map(len, pieces)) <= LONGEST_SIGNS
        assert sum(map(len, pieces)) <= 2 * len(content)


def test_a_cue_lasts_no_longer_than_its_words(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("1\n00:00:01,000 --> 9000:00:00,000\nI am happy.\n")
    transcript = read_transcript(path)
    assert transcript[0].span.start == 1
    assert transcript[0].span.duration < 120
    assert [note.code for note in transcript.notes] == ["cues-shortened"]


@pytest.mark.parametrize(
    "body",
    [
        "<v" + " " * 300_000,
        "<v " * 100_000,
        "." * 300_000 + "x",
        "b. " * 2000,
        "&#" * 100_000,
        "&#x110000;&#0;&#xD800;" * 2000,
        "&#" + "9" * 5000 + ";",
        "[" * 200_000,
        "{\\" * 100_000,
        "- " * 100_000,
        "a: " * 100_000,
    ],
    ids=lambda body: body[:8],
)
def test_odd_text_takes_time_in_proportion(tmp_path: Path, body: str) -> None:
    """Patterns of quadratic time would take minutes here."""
    for name, head in (("a.srt", "1\n"), ("a.vtt", "WEBVTT\n\n"), ("a.txt", "")):
        path = tmp_path / name
        path.write_text(f"{head}00:00:01.000 --> 00:00:02.000\nHello {body}\n")
        for said in read_transcript(path):
            split_sentences(said.text)


def test_a_cue_says_no_more_than_its_time_allows(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\n" + "I am happy. " * 5000 + "\n")
    transcript = read_transcript(path)
    assert len(transcript[0].text) == 2050
    assert [note.code for note in transcript.notes] == ["cues-cut"]
