"""Transcripts in whatever form they come: one door for subtitles, annotations and plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from ..core.media import Diagnostic, Utterance
from ..core.time import Span, to_ns
from ..errors import InputError
from ..io.media_types import TEXT_SUFFIXES
from ..io.text import decode
from .annotations import PARSERS
from .cues import Cues, is_sbv, parse_sbv, parse_srt, parse_vtt
from .sentences import share_time, split_sentences, spoken_length
from .speakers import named, stamped

WORDS_PER_MINUTE = 150.0
"""A usual pace of speech; texts without a medium are laid out with it."""


LONGEST_PAUSE_S = 60.0
SLOWEST_WORD_S = 4.0
"""A cue lasts at most as long as this pause and its words, spoken ten times as slowly as usual."""


MOST_SIGNS, SIGNS_PER_S = 2000, 50.0
"""A cue says at most so many characters, and so many more a second: three times usual speech."""


@dataclass(frozen=True, slots=True)
class Transcript(Sequence[Utterance]):
    """What was read from a file.

    Args:
        utterances: by start.
        notes: what was guessed or left out.
    """

    utterances: tuple[Utterance, ...]
    notes: tuple[Diagnostic, ...] = ()

    def __len__(self) -> int:
        return len(self.utterances)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Utterance]: ...
    def __getitem__(self, index: int | slice) -> Utterance | Sequence[Utterance]:
        return self.utterances[index]


def read_transcript(path: Path, span: Span | None = None) -> Transcript:
    """Read a transcript.

    Args:
        path: subtitles (srt, vtt, sbv, ass, ssa), annotations (ELAN's eaf, Praat's TextGrid), a
            recogniser's output (Whisper's json or tsv) or plain text (txt), with times and
            names at its lines' beginnings or without. The content decides between subtitles
            and text, the suffix between the others.
        span: the medium's time, over which a plain text is spread. Without it
            plain text is laid out at `WORDS_PER_MINUTE`.

    Returns:
        Utterances by start; markup, sound descriptions in brackets and music
        signs are left out. Empty if the file holds no words.

    Raises:
        InputError: if the file cannot be read, is of another kind, or holds nothing that can
            be read; the message names the line.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TEXT_SUFFIXES:
        raise InputError(
            f"{path} is not a transcript: expected a file that ends in "
            f"{', '.join(sorted(TEXT_SUFFIXES))}"
        )
    try:
        text, encodings = decode(path.read_bytes())
    except OSError as e:
        raise InputError(f"cannot read the transcript {path}: {e.strerror}") from e
    except UnicodeError as e:
        raise InputError(f"{path} is not a text file: {e}") from e
    try:
        cues = _parse(text, suffix, span)
    except InputError as e:
        raise InputError(f"{path}, {e}") from e
    notes = [*_of_encoding(path, encodings), *_of_odd_cues(path, cues)]
    said: Sequence[Utterance] = cues.utterances
    if cues.timed:
        said, long = _shortened(named(said))
        said, full = _cut(said)
        notes += [*_of_long_cues(path, long), *_of_full_cues(path, full)]
    return Transcript(tuple(sorted(said, key=lambda u: u.span)), tuple(notes))


def _parse(text: str, suffix: str, span: Span | None) -> Cues:
    if suffix in PARSERS:
        return PARSERS[suffix](text)
    if text.startswith("WEBVTT") or suffix == ".vtt":
        return parse_vtt(text)
    if suffix == ".sbv" or is_sbv(text):
        return parse_sbv(text)
    if suffix == ".srt":
        return parse_srt(text)
    with_times = stamped(text, None if span is None else span.end_ns)
    if with_times is not None:
        return Cues(with_times)
    return Cues(utterances_of(text, span), timed=False)


def _of_encoding(path: Path, encodings: Sequence[str]) -> list[Diagnostic]:
    if not encodings:
        return []
    read, *others = encodings
    told = f"{path.name} is not UTF-8 and was read as {read}"
    if others:
        told += f", but so little text may be {' or '.join(others[:4])} as well"
    return [Diagnostic("encoding-guessed", f"{told}; save it as UTF-8 if words are wrong")]


def _of_odd_cues(path: Path, cues: Cues) -> list[Diagnostic]:
    if not cues.odd:
        return []
    lines = ", ".join(map(str, cues.odd[:5])) + (", …" if len(cues.odd) > 5 else "")
    told = f"parts of {path.name} that could not be read and were left out: {len(cues.odd)}"
    return [Diagnostic("cues-left-out", f"{told} (at {lines})")]


def _shortened(utterances: Sequence[Utterance]) -> tuple[list[Utterance], int]:
    """Let no cue last much longer than its words can; say how many would have."""
    out, long = [], 0
    for utterance in utterances:
        span = utterance.span
        most = to_ns(LONGEST_PAUSE_S + SLOWEST_WORD_S * spoken_length(utterance.text))
        long += span.duration_ns > most
        end = min(span.end_ns, span.start_ns + most)
        out.append(replace(utterance, span=Span(span.start_ns, end)))
    return out, long


def _cut(utterances: Sequence[Utterance]) -> tuple[list[Utterance], int]:
    """Let no cue say more than can be said in its time; say how many would have."""
    out, full = [], 0
    for utterance in utterances:
        most = MOST_SIGNS + round(SIGNS_PER_S * utterance.span.duration)
        full += len(utterance.text) > most
        out.append(replace(utterance, text=utterance.text[:most]))
    return out, full


def _of_full_cues(path: Path, count: int) -> list[Diagnostic]:
    if not count:
        return []
    told = f"cues of {path.name} that say more than their time allows, cut off: {count}"
    return [Diagnostic("cues-cut", told)]


def _of_long_cues(path: Path, count: int) -> list[Diagnostic]:
    if not count:
        return []
    told = f"cues of {path.name} that last far longer than their words were shortened: {count}"
    return [Diagnostic("cues-shortened", told)]


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
