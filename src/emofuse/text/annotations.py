"""Transcripts of annotation tools and recognisers: ELAN, Praat, Whisper, SubStation Alpha."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from ..core.media import Utterance, Word
from ..core.time import NS, Span, to_ns
from ..errors import InputError, MissingExtra
from .cues import Cues, clean

_LATEST_S = 1e6
"""Seconds (eleven days) beyond which a time is damaged."""


def parse_whisper_json(text: str) -> Cues:
    """Read what Whisper, faster-whisper and WhisperX write: ``segments`` with times and words.

    Raises:
        InputError: if it is no JSON or has no segments.
    """
    try:
        raw = json.loads(text)
        segments = raw["segments"] if isinstance(raw, dict) else raw
        if not isinstance(segments, list):
            raise ValueError("'segments' is no list")
    except (ValueError, KeyError, RecursionError) as e:
        raise InputError(f"expected Whisper's JSON with 'segments', got something else: {e}") from e
    cues = Cues()
    for n, segment in enumerate(segments):
        try:
            said = _segment(segment)
        except (KeyError, TypeError, ValueError, AttributeError):
            cues.odd.append(n + 1)
            continue
        if said is not None:
            cues.utterances.append(said)
    return cues


def _segment(raw: Mapping[str, Any]) -> Utterance | None:
    text, span = clean(str(raw["text"])), _span(raw["start"], raw["end"])
    if not any(map(str.isalnum, text)):
        return None
    words = tuple(_words(raw.get("words") or ()))
    speaker = raw.get("speaker")
    return Utterance(
        text,
        span,
        words,
        min(1.0, math.exp(float(raw.get("avg_logprob") or 0.0))),
        str(speaker) if speaker else None,
    )


def _words(raw: Any) -> Iterator[Word]:
    for word in raw:
        if "start" in word and "end" in word:  # WhisperX leaves out what it could not align
            certain = word.get("probability", word.get("score"))
            certain = None if certain is None else min(1.0, max(0.0, float(certain)))
            yield Word(str(word["word"]).strip(), _span(word["start"], word["end"]), certain)


def _span(start: Any, end: Any) -> Span:
    start, end = float(start), float(end)
    if not 0 <= start <= end < _LATEST_S:
        raise ValueError(f"times {start} to {end}")
    return Span(to_ns(start), to_ns(end))


def parse_tsv(text: str) -> Cues:
    """Read Whisper's table: ``start``, ``end`` (milliseconds) and ``text`` between tabs.

    Raises:
        InputError: if the header is another.
    """
    lines = text.split("\n")
    if lines[0].split("\t") != ["start", "end", "text"]:
        raise InputError(f"line 1: expected start, end, text between tabs, got {lines[0][:60]!r}")
    cues = Cues()
    for n, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            start, end, said = line.split("\t", 2)
            span = _span(float(start) / 1000, float(end) / 1000)
        except ValueError:
            cues.odd.append(n)
            continue
        if any(map(str.isalnum, clean(said))):
            cues.utterances.append(Utterance(clean(said), span))
    return cues


def parse_eaf(text: str) -> Cues:
    """Read ELAN: the time-aligned annotations; a tier's participant (or name) is the speaker.

    Raises:
        InputError: if it is no ELAN file.
    """
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, LookupError, ValueError) as e:
        raise InputError(f"expected an ELAN file, got damaged XML: {e}") from e
    if root.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"expected an ELAN file, got XML with {root.tag[:40]!r}")
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    cues, number = Cues(), 0
    for tier in root.iter("TIER"):
        speaker = tier.get("PARTICIPANT") or tier.get("TIER_ID")
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            number += 1
            said = clean(annotation.findtext("ANNOTATION_VALUE") or "")
            try:
                edges = (times[annotation.get(f"TIME_SLOT_REF{k}")] for k in (1, 2))
                start, end = (float(edge or "nan") / 1000 for edge in edges)
                span = _span(start, end)
            except (KeyError, ValueError):
                cues.odd.append(number)
                continue
            if any(map(str.isalnum, said)):
                cues.utterances.append(Utterance(said, span, speaker=speaker))
    return cues


_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\S)|(<exists>)')


def parse_textgrid(text: str) -> Cues:
    """Read Praat's TextGrid, long or short: the intervals of each tier, whose name is the speaker.

    Praat reads the free-standing numbers and quoted texts of such a file; the rest is comment.

    Raises:
        InputError: if it is no TextGrid.
    """
    tokens = (_token(match) for match in _TOKEN.finditer(text))
    try:
        if (next(tokens), next(tokens)) != ("ooTextFile", "TextGrid"):
            raise ValueError("another kind of Praat file")
        next(tokens), next(tokens), next(tokens)  # start, end, <exists>
        cues = Cues()
        for _ in range(_count(next(tokens))):
            kind, name = next(tokens), next(tokens)
            next(tokens), next(tokens)
            for n in range(_count(next(tokens))):
                if kind != "IntervalTier":
                    next(tokens), next(tokens)
                    continue
                start, end, said = next(tokens), next(tokens), clean(str(next(tokens)))
                try:
                    span = _span(start, end)
                except (TypeError, ValueError):
                    cues.odd.append(n + 1)
                    continue
                if any(map(str.isalnum, said)):
                    cues.utterances.append(Utterance(said, span, speaker=str(name)))
    except (StopIteration, TypeError, ValueError) as e:
        raise InputError(
            f"expected Praat's TextGrid; it is damaged or of another kind ({e})"
        ) from e
    return cues


def _token(match: re.Match[str]) -> str | float:
    if match[1] is not None:
        return match[1].replace('""', '"')
    return float(match[2]) if match[2] is not None else match[3]


def _count(token: str | float) -> int:
    if not isinstance(token, float) or not 0 <= token < 1e6:
        raise ValueError(f"a number of tiers or intervals, got {str(token)[:40]!r}")
    return int(token)


def parse_ass(text: str) -> Cues:
    """Read SubStation Alpha (ass, ssa) with pysubs2; the name of an event is the speaker.

    Raises:
        InputError: if it is damaged.
        MissingExtra: if pysubs2 is not installed.
    """
    if "[events]" not in text.lower():
        raise InputError("expected SubStation Alpha, which has a section [Events]")
    pysubs2 = _pysubs2()
    try:
        events = pysubs2.SSAFile.from_string(text, format_="ass")
    except Exception as e:  # the library raises many kinds on damaged files
        raise InputError(f"expected SubStation Alpha, got something damaged: {e}") from e
    cues = Cues()
    for n, event in enumerate(events, start=1):
        said = clean(event.plaintext)
        if event.is_comment or not any(map(str.isalnum, said)):
            continue
        if not 0 <= event.start <= event.end < _LATEST_S * 1000:
            cues.odd.append(n)
            continue
        span = Span(event.start * NS // 1000, event.end * NS // 1000)
        cues.utterances.append(Utterance(said, span, speaker=event.name.strip() or None))
    return cues


@lru_cache(maxsize=1)
def _pysubs2() -> Any:
    """Import pysubs2, whose remarks on odd fields are for programmers."""
    try:
        import pysubs2
    except ImportError as e:
        raise MissingExtra("ass", "a transcript in SubStation Alpha") from e
    warnings.filterwarnings("ignore", module="pysubs2")
    return pysubs2


PARSERS: Mapping[str, Callable[[str], Cues]] = {
    ".json": parse_whisper_json,
    ".tsv": parse_tsv,
    ".eaf": parse_eaf,
    ".textgrid": parse_textgrid,
    ".ass": parse_ass,
    ".ssa": parse_ass,
}
"""What reads a transcript, by suffix."""
