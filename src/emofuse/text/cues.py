"""Subtitles: SubRip, WebVTT and SBV, as they are met in the wild.

A cue that cannot be read costs that cue. All patterns take time linear in the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..core.media import Utterance
from ..core.time import NS, Span
from ..errors import InputError
from .sentences import share_time

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_CUE = re.compile(rf"\s*{_TIME}\s*-+>\s*{_TIME}(?:\s.*)?")
_SBV = re.compile(rf"{_TIME},{_TIME}")
# What should have been a cue's times: one word that begins with a digit before the arrow.
_BROKEN = re.compile(r"\s*\d[\w:.,]*\s*-+>")
# A tag starts with a letter or a time: "I <3 you" and "a < b" hold none.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|<\d[\d:.]*>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}|\\[Nnh]")  # of SubStation Alpha, common in SubRip
_SOUND = re.compile(r"\[[^\[\]]*\]|[♩♪♫♬]+")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]*)>")
_TURN = re.compile(r"^\s*[-–—]\s*(?=\S)")
_WORD_TIME = re.compile(r"<\d[\d:.]*>")
_ABSURD = re.compile(r"&#x?[0-9a-fA-F]{8,};?")


@dataclass(slots=True)
class Cues:
    """What was read from subtitles.

    Args:
        utterances: in the order of the file.
        odd: lines, counted from 1, of cues that could not be read and were left out.
        timed: whether the file itself says when something is said.
    """

    utterances: list[Utterance] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)
    timed: bool = True


def parse_srt(text: str) -> Cues:
    """Read SubRip.

    Indices are not needed, empty lines inside a cue do no harm, times may lack hours or
    use a dot, and an arrow in what is said is no time.

    Raises:
        InputError: if there is no cue; it names the first line with something else.
    """
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _CUE.fullmatch(line) or _BROKEN.match(line)]
    if not any(_CUE.fullmatch(lines[i]) for i in starts):
        first = next((i for i, x in enumerate(lines) if x.strip() and not x.strip().isdigit()), 0)
        if any(map(str.strip, lines)):
            raise InputError(f"line {first + 1}: {_expected(lines[first])}")
    cues = Cues()
    if not starts:
        return cues
    if any(x.strip() and not x.strip().isdigit() for x in lines[: starts[0]]):
        cues.odd.append(1)
    for i, after in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = lines[i + 1 : after]
        if after < len(lines) and body and body[-1].strip().isdigit():
            body.pop()  # the next cue's index
        _take(cues, lines[i], i, body)
    return cues


def parse_vtt(text: str) -> Cues:
    """Read WebVTT (https://www.w3.org/TR/webvtt1/).

    Comments, styles and regions are skipped; cue settings are ignored; voice tags give the
    speaker. Lines that a recogniser's captions roll up from cue to cue count once.

    Raises:
        InputError: if the header or every cue is missing.
    """
    lines = text.split("\n")
    if not re.match(r"WEBVTT(\s|$)", lines[0]):
        raise InputError(f"line 1: expected WEBVTT, got {lines[0][:60]!r}")
    cues, rolls, shown = Cues(), _WORD_TIME.search(text) is not None, list[str]()
    for first, block in _blocks(lines):
        at = next((k for k, line in enumerate(block[:2]) if "-->" in line), None)
        if at is None:
            cues.odd.append(first + 1)
            continue
        body = block[at + 1 :]
        if rolls:
            cleaned = [line for line in map(clean, body) if line]
            body = [line for line in body if (said := clean(line)) and said not in shown]
            shown = cleaned or shown
        _take(cues, block[at], first + at, body)
    if cues.odd and not cues.utterances:
        line = cues.odd[0]
        raise InputError(f"line {line}: {_expected(lines[line - 1])}")
    return cues


def parse_sbv(text: str) -> Cues:
    """Read SBV, YouTube's subtitles: ``0:00:01.000,0:00:02.500``, then what is said.

    Raises:
        InputError: if it does not begin with times.
    """
    cues = Cues()
    for first, block in _paragraphs(text.split("\n")):
        match = _SBV.fullmatch(block[0].strip())
        if match is None:
            cues.odd.append(first + 1)
            continue
        groups = match.groups()
        _add(cues, _ns(*groups[:4]), _ns(*groups[4:]), first, block[1:])
    if not cues.utterances:
        raise InputError("line 1: expected times like 0:00:01.000,0:00:02.500")
    return cues


def is_sbv(text: str) -> bool:
    """Whether a text begins as SBV does."""
    return _SBV.fullmatch(text.lstrip("\ufeff \n").split("\n", 1)[0].strip()) is not None


def _take(cues: Cues, line: str, index: int, body: Sequence[str]) -> None:
    match = _CUE.fullmatch(line)
    if match is None:
        cues.odd.append(index + 1)
        return
    groups = match.groups()
    _add(cues, _ns(*groups[:4]), _ns(*groups[4:]), index, body)


def _add(cues: Cues, start: int, end: int, index: int, body: Sequence[str]) -> None:
    if end < start:
        cues.odd.append(index + 1)
    else:
        cues.utterances += _utterances(body, Span(start, end))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the cues of WebVTT; a line of blanks inside of one does not end it."""
    held: tuple[int, list[str]] | None = None
    for first, block in _paragraphs(lines):
        timed = any("-->" in line for line in block[:2])
        if block[0].startswith(("NOTE", "STYLE", "REGION", "WEBVTT")) and not timed:
            continue
        if not timed and held is not None and lines[first - 1]:  # blanks, not an empty line
            held[1].extend(block)
            continue
        if held is not None:
            yield held
        held = first, block
    if held is not None:
        yield held


def _paragraphs(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each run of lines that are not empty, with the index of its first."""
    block: list[str] = []
    for i, line in enumerate((*lines, "")):
        if line.strip():
            block.append(line)
        elif block:
            yield i - len(block), block
            block = []


def _expected(line: str) -> str:
    got = line.strip()[:60]
    return f"expected a time like 00:00:01,000 --> 00:00:02,500, got {got!r}"


def _ns(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> int:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    if fraction == "1000":  # milliseconds that were rounded up
        return (whole + 1) * NS
    return whole * NS + int((fraction or "0").ljust(9, "0"))


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
    turns: list[list[str]] = []
    for line in lines:
        if _TURN.match(line) or not turns:
            turns.append([_TURN.sub("", line)])
        else:
            turns[-1].append(line)
    return [(None, " ".join(turn)) for turn in turns]


def clean(text: str) -> str:
    """Take markup, sound descriptions and music signs out of a cue's text; mend its spaces."""
    text = _TAG.sub("", _OVERRIDE.sub(" ", text))
    text = _SOUND.sub(" ", html.unescape(_ABSURD.sub("\ufffd", text)))
    return " ".join(text.replace("\u200b", "").replace("\ufeff", "").split())
