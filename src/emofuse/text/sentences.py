"""Sentences: where they end, when they are said, and the samples made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from ..core.details import TextDetails
from ..core.estimates import SPEAKER, Modality, Subject, SubjectKind
from ..core.media import Sample, Utterance, Watermark, Word
from ..core.time import Span, to_ns

_FULL_STOPS = ".!?…‼⁇⁈⁉؟۔।॥։።፧"
_WIDE_STOPS = "。！？｡．"  # no space follows them
_CLOSING = "\"'”’»›)\\]」』）】"
_BORDER = re.compile(
    rf"(?<![{_FULL_STOPS}])(?P<stop>[{_FULL_STOPS}]+)(?P<closing>[{_CLOSING}]*)(?=\s|$)"
    rf"|(?P<wide>[{_WIDE_STOPS}]+[{_CLOSING}]*)"
)
_SOFT = re.compile(r"[,;:،、，；。]+|\s+")
_CLAUSE = re.compile(r"[,;:،、，；]$|^[-–—]+$")

# Titles stand before a name, so a full stop behind them never ends a sentence.
_TITLES = frozenset(
    """mr mrs ms mx dr prof rev hon fr st sr sra gen col capt cmdr lt sgt maj gov sen rep pres mt
    mme mlle hr fam fig figs no nos vol pp ch sec eq ca vs cf viz al bzw resp""".split()  # noqa: SIM905
)
# These may stand at a sentence's end; whether they do shows in what follows.
_SHORTENED = frozenset(
    """etc e.g eg i.e ie a.m p.m am pm u.s u.k u.n e.u inc ltd co corp jr dept est approx max min
    hrs tel ext ave blvd rd jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu
    thur thurs fri sat sun z.b d.h u.a usw evtl ggf ph.d b.a m.a d.c p.s""".split()  # noqa: SIM905
)

LONGEST = 40
"""Words of the longest sentence that is looked at as a whole; few are longer."""

LONGEST_SIGNS = 300
"""Its characters: scripts without spaces, and what is no language, are cut by them."""

_LOOKED_AT = 80
"""Characters beside a full stop that tell whether it ends a sentence."""


def split_sentences(text: str, longest: int = LONGEST) -> list[str]:
    """Split a text into sentences, in order; only white space is lost or changed.

    Full stops of many scripts end a sentence, quotes and brackets that close
    behind them included. Abbreviations, initials, decimal numbers and
    hesitations ("I… I don't know") do not. An empty line always ends one; a
    line end does if the next line does not go on in lower case, or if the text
    has no full stop at all. Sentences of more than `longest` words, or 300 characters, are
    cut, behind a comma where there is one. Takes time linear in the text.
    """
    pieces = [s for block in _blocks(text) for s in _split_block(block)]
    parts = (part for sentence in pieces for part in _shorten(sentence.split(), longest))
    return [piece for part in parts for piece in _narrow(part)]


def _blocks(text: str) -> list[str]:
    """Cut a text at the line ends that are surely borders; join the other lines."""
    has_stops = _BORDER.search(text) is not None
    blocks: list[list[str]] = []
    open_block = False
    for line in (" ".join(raw.split()) for raw in text.splitlines()):
        if line and open_block and has_stops and line[0].islower():
            blocks[-1].append(line)
        elif line:
            blocks.append([line])
        open_block = bool(line)
    return [" ".join(block) for block in blocks]


def _split_block(block: str) -> list[str]:
    out: list[str] = []
    start = 0
    for match in _BORDER.finditer(block):
        before = block[max(start, match.start() - _LOOKED_AT) : match.start()]
        if _ends_sentence(before, match, block[match.end() : match.end() + _LOOKED_AT].lstrip()):
            out.append(block[start : match.end()].strip())
            start = match.end()
    if rest := block[start:].strip():
        out.append(rest)
    return _without_scraps(out)


def _ends_sentence(before: str, match: re.Match[str], after: str) -> bool:
    """Decide about full stops between `before` (from the sentence's start) and `after`."""
    if match["wide"] or not after:
        return True
    goes_on = after[0].islower()
    if set(match["stop"]) & set("!?‼⁇⁈⁉؟"):
        return not (goes_on and match["closing"])  # "Stop!" he said.
    if len(match["stop"]) > 1 or "…" in match["stop"]:
        return not (goes_on or re.match(r"I\b", after))
    word = before.split()[-1].lstrip("\"'“‘«([").lower() if before.split() else ""
    if word in _TITLES or before.strip().isdigit():  # "1. Buy milk" is one
        return False
    if len(word) == 1 and word.isalpha() and word not in "iıaо":
        return False  # J. Smith
    return not (word in _SHORTENED and (goes_on or after[0].isdigit()))


def _without_scraps(sentences: list[str]) -> list[str]:
    """Add pieces without a letter or digit ("…", "!!", ":)") to the sentence before."""
    out: list[list[str]] = []
    for sentence in sentences:
        if out and not any(sign.isalnum() for sign in sentence):
            out[-1].append(sentence)
        else:
            out.append([sentence])
    return [" ".join(parts) for parts in out]


def _shorten(words: list[str], longest: int) -> Iterator[str]:
    """Cut a long sentence into parts of at most `longest` words, the first ones long."""
    start = 0
    while len(words) - start > longest:
        middle, end = start + longest // 2, start + longest
        clauses = [i for i in range(middle, end) if _CLAUSE.search(words[i][-2:])]
        cut = clauses[-1] + 1 if clauses else end
        yield " ".join(words[start:cut])
        start = cut
    yield " ".join(words[start:])


def _narrow(sentence: str) -> Iterator[str]:
    """Cut what is too long in characters: behind a comma or a space, else anywhere."""
    while len(sentence) > LONGEST_SIGNS:
        head = sentence[:LONGEST_SIGNS]
        places = [m.end() for m in _SOFT.finditer(head) if m.end() > LONGEST_SIGNS // 2]
        cut = places[-1] if places else LONGEST_SIGNS
        yield head[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence


def spoken_length(text: str) -> float:
    """Return how long a text takes to say, in words of six signs (a space included).

    An ideograph or a Korean syllable counts as three signs.
    """
    signs = sum(3 if "\u2e80" <= sign <= "\ud7ff" or sign > "\U0001ffff" else 1 for sign in text)
    return (signs + 1) / 6


def share_time(parts: list[str], span: Span) -> list[Span]:
    """Cut a span in proportion to the spoken length of texts; the cuts are exact and tile it."""
    edges = [0.0]
    for part in parts:
        edges.append(edges[-1] + spoken_length(part))
    times = [span.start_ns + int(span.duration_ns * edge / edges[-1]) for edge in edges]
    times[-1] = span.end_ns
    return [Span(a, b) for a, b in pairwise(times)]


class Sentences:
    """Makes samples of whole sentences from utterances: a `Stage`.

    An utterance of several sentences is cut, its time shared by its words' times
    where they are known, else in proportion to length. A sentence that a
    transcript spreads over several cues is put together again: cues of the same
    speaker that follow each other within `gap` seconds, where the first does not
    end with a full stop and the second goes on in lower case. What a speech
    recogniser heard is not joined: it ends where the speaker paused.

    Takes `Utterance` and `Watermark` of the text track or of `Modality.TEXT`;
    yields `Sample(data=text, quality=confidence)` and `Watermark(Modality.TEXT)`.

    Args:
        gap: longest pause inside a sentence of several cues, in seconds.
        longest: words of the longest sentence.
        by_name: whether each speaker that a transcript names is a subject of their own; else
            who speaks is found out from the sound and the faces.
    """

    def __init__(self, gap: float = 0.5, longest: int = LONGEST, by_name: bool = False) -> None:
        self._gap_ns = to_ns(gap)
        self._longest = longest
        self._by_name = by_name
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._held: Utterance | None = None
        self._speakers: dict[str | None, Subject] = {}

    def feed(self, item: Utterance | Watermark) -> Iterator[Sample | Watermark]:
        """Take an utterance or progress; yield the sentences that are complete."""
        if isinstance(item, Utterance):
            if self._held is not None and self._continues(self._held, item):
                self._held = _join(self._held, item)
            else:
                yield from self.flush()
                self._held = item
            return
        if self._held is not None and item.upto_ns > self._held.span.end_ns + self._gap_ns:
            yield from self.flush()
        upto = item.upto_ns
        if self._held is not None:
            upto = min(upto, self._held.span.start_ns)
        yield Watermark(Modality.TEXT, upto)

    def flush(self) -> Iterator[Sample]:
        """Yield what is held."""
        held, self._held = self._held, None
        if held is None:
            return
        parts = split_sentences(held.text, self._longest)
        for text, span in zip(parts, _times(parts, held), strict=True):
            details = TextDetails(text, held.speaker or None, held.language)
            yield Sample(self._subject(held), span, text, held.confidence, details)

    def _subject(self, utterance: Utterance) -> Subject:
        if not self._by_name:
            return SPEAKER
        number = len(self._speakers) + 1
        return self._speakers.setdefault(utterance.speaker, Subject(SubjectKind.SPEAKER, number))

    def _continues(self, first: Utterance, second: Utterance) -> bool:
        last = first.text.rstrip(_CLOSING)[-1:]
        return (
            not (first.words or second.words)
            and (first.speaker, first.language) == (second.speaker, second.language)
            and first.span.end_ns <= second.span.start_ns + self._gap_ns
            and second.span.start_ns <= first.span.end_ns + self._gap_ns
            and last not in _FULL_STOPS + _WIDE_STOPS
            and second.text.lstrip("\"'“‘«([")[:1].islower()
            and any(sign.isupper() for sign in first.text[:1])
            and len(first.text.split()) + len(second.text.split()) <= self._longest
        )


def _join(first: Utterance, second: Utterance) -> Utterance:
    span = Span(first.span.start_ns, max(first.span.end_ns, second.span.end_ns))
    confidence = min(first.confidence, second.confidence)
    text = f"{first.text} {second.text}"
    return replace(first, text=text, span=span, words=(), confidence=confidence)


def _times(parts: list[str], whole: Utterance) -> list[Span]:
    """Say when each part of an utterance is said."""
    counts = [len(part.split()) for part in parts]
    if sum(counts) != len(whole.words):
        return share_time(parts, whole.span)
    spans, words = [], list(whole.words)
    for count in counts:
        spans.append(_cover(words[:count]))
        words = words[count:]
    return spans


def _cover(words: list[Word]) -> Span:
    return Span(words[0].span.start_ns, max(w.span.end_ns for w in words))
