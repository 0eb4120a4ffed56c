"""Transcripts: SubRip, WebVTT and plain text, as they are met in the wild."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.media import Utterance
from ..core.time import Span, to_ns
from ..errors import InputError
from ..io.media_types import TEXT_SUFFIXES
from ..io.text import decode
from .sentences import share_time, split_sentences, spoken_length

WORDS_PER_MINUTE = 150.0
"""A usual pace of speech; texts without a medium are laid out with it."""

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_CUE = re.compile(rf"\s*{_TIME}\s*-+>\s*{_TIME}(?:\s+.*)?\s*")
# A tag starts with a letter or a time: "I <3 you" and "a < b" hold none.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|<\d[\d:.]*>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}|\\[Nnh]")  # of SubStation Alpha, common in SubRip
_SOUND = re.compile(r"\[[^\[\]]*\]|[♩♪♫♬]+")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_TURN = re.compile(r"^\s*[-–—]\s*(?=\S)")


def read_transcript(path: Path, span: Span | None = None) -> list[Utterance]:
    """Read a transcript.

    Args:
        path: a ``.srt``, ``.vtt`` or ``.txt`` file. UTF-8 and UTF-16 are told
            apart by themselves; what is neither is read as Windows-1252.
        span: the medium's time, over which a plain text is spread. Without it
            plain text is laid out at `WORDS_PER_MINUTE`.

    Returns:
        Utterances by start; markup, sound descriptions in brackets and music
        signs are left out. Empty if the file holds no words.

    Raises:
        InputError: if the file cannot be read, is of another kind, or is broken;
            the message names the line.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TEXT_SUFFIXES:
        raise InputError(
            f"{path} is not a transcript: expected a file that ends in "
            f"{', '.join(sorted(TEXT_SUFFIXES))}"
        )
    try:
        text = decode(path.read_bytes())
    except OSError as e:
        raise InputError(f"cannot read the transcript {path}: {e.strerror}") from e
    except UnicodeError as e:
        raise InputError(f"{path} is not a text file: {e}") from e
    if text.startswith("WEBVTT"):
        suffix = ".vtt"
    try:
        if suffix == ".txt":
            return utterances_of(text, span)
        return parse_vtt(text) if suffix == ".vtt" else parse_srt(text)
    except InputError as e:
        raise InputError(f"{path}, {e}") from e


def utterances_of(text: str, span: Span | None = None) -> list[Utterance]:
    """Make utterances of plain text, one a sentence.

    Args:
        text: anything.
        span: time to spread it over, in proportion to length; None lays it out
            from 0 on at `WORDS_PER_MINUTE`.
    """
    parts = split_sentences(text)
    if not parts:
        return []
    if span is None:
        words = sum(map(spoken_length, parts))
        span = Span(0, to_ns(words * 60 / WORDS_PER_MINUTE))
    return [Utterance(part, at) for part, at in zip(parts, share_time(parts, span), strict=True)]


def parse_srt(text: str) -> list[Utterance]:
    """Read SubRip.

    Indices are not needed, empty lines inside a cue do no harm, and times may
    lack hours or use a dot.

    Raises:
        InputError: on a broken time line or text without times; it names the line.
    """
    lines = text.split("\n")
    cues = [(i, *_times(lines[i], i)) for i in range(len(lines)) if _is_cue(lines[i])]
    first = cues[0][0] if cues else len(lines)
    if any(line.strip() and not line.strip().isdigit() for line in lines[:first]):
        line = next(i for i, x in enumerate(lines) if x.strip() and not x.strip().isdigit())
        raise InputError(f"line {line + 1}: {_expected(lines[line])}")
    utterances: list[Utterance] = []
    for n, (i, start, end) in enumerate(cues):
        is_last = n + 1 == len(cues)
        body = lines[i + 1 : len(lines) if is_last else cues[n + 1][0]]
        if not is_last and body and body[-1].strip().isdigit():
            body.pop()  # the next cue's index
        utterances += _utterances(body, Span(start, end))
    return sorted(utterances, key=lambda u: u.span)


def parse_vtt(text: str) -> list[Utterance]:
    """Read WebVTT (https://www.w3.org/TR/webvtt1/).

    Comments, styles and regions are skipped; cue settings are ignored; voice
    tags give the speaker.

    Raises:
        InputError: if the header is missing or a time line is broken; it names the line.
    """
    lines = text.split("\n")
    if not re.match(r"WEBVTT(\s|$)", lines[0]):
        raise InputError(f"line 1: expected WEBVTT, got {lines[0][:60]!r}")
    utterances: list[Utterance] = []
    for first, block in _paragraphs(lines):
        if block[0].startswith(("NOTE", "STYLE", "REGION", "WEBVTT")) and not _is_cue(block[0]):
            continue
        at = next((k for k, line in enumerate(block[:2]) if _is_cue(line)), None)
        if at is None:
            raise InputError(f"line {first + 1}: {_expected(block[0])}")
        span = Span(*_times(block[at], first + at))
        utterances += _utterances(block[at + 1 :], span)
    return sorted(utterances, key=lambda u: u.span)


def _paragraphs(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each run of lines that are not empty, with the index of its first."""
    block: list[str] = []
    for i, line in enumerate((*lines, "")):
        if line.strip():
            block.append(line)
        elif block:
            yield i - len(block), block
            block = []


def _is_cue(line: str) -> bool:
    return "-->" in line


def _times(line: str, index: int) -> tuple[int, int]:
    match = _CUE.fullmatch(line)
    if match is None:
        raise InputError(f"line {index + 1}: {_expected(line)}")
    groups = match.groups()
    start, end = _ns(*groups[:4]), _ns(*groups[4:])
    if end < start:
        raise InputError(f"line {index + 1}: the cue ends before it starts: {line.strip()!r}")
    return start, end


def _expected(line: str) -> str:
    got = line.strip()[:60]
    return f"expected a time like 00:00:01,000 --> 00:00:02,500, got {got!r}"


def _ns(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> int:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _utterances(lines: Sequence[str], span: Span) -> list[Utterance]:
    """Make utterances of one cue's lines: one, or one a speaker."""
    turns = [(speaker, clean(text)) for speaker, text in _turns(lines)]
    turns = [(speaker, text) for speaker, text in turns if any(map(str.isalnum, text))]
    times = share_time([text for _, text in turns], span) if turns else []
    return [
        Utterance(text, at, speaker=speaker)
        for (speaker, text), at in zip(turns, times, strict=True)
    ]


def _turns(lines: Sequence[str]) -> list[tuple[str | None, str]]:
    """Cut a cue where another one speaks: (speaker if known, text with markup)."""
    body = "\n".join(lines)
    head, *voices = _VOICE.split(body)
    if voices:
        named = [
            (clean(name) or None, said)
            for name, said in zip(voices[::2], voices[1::2], strict=True)
        ]
        return [(None, head), *named]
    if sum(bool(_TURN.match(line)) for line in lines) < 2:
        return [(None, _TURN.sub("", body, count=1))]
    turns: list[str] = []
    for line in lines:
        if _TURN.match(line) or not turns:
            turns.append(_TURN.sub("", line))
        else:
            turns[-1] += f" {line}"
    return [(None, turn) for turn in turns]


def clean(text: str) -> str:
    """Take markup, sound descriptions and music signs out of a cue's text; mend its spaces."""
    for pattern in (_OVERRIDE, _TAG):
        text = pattern.sub(" " if pattern is _OVERRIDE else "", text)
    text = _SOUND.sub(" ", html.unescape(text))
    return " ".join(text.replace("\u200b", "").replace("\ufeff", "").split())
