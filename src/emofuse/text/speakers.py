"""Speakers and times that are written into what is said: ``[00:01] Mary: How are you?``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..core.media import Utterance
from ..core.time import Span, to_ns
from .sentences import spoken_length

_NAME = re.compile(r"([^\W\d_][\w.'’ -]{0,39}?)\s*:\s+(?=\S)")
_STAMP = re.compile(r"[\[(]?(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,]\d{1,3})?[\])]?(?:\s+|$)")
_LEAST = 0.5
"""Part of the lines that must be stamped, or of the cues that must be named."""

_PACE = 0.4
"""Seconds that a word of six signs takes: 150 words a minute."""


def named(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Take names out of what is said and make speakers of them, if most cues begin with one.

    A name alone is not enough ("Note: ..."): at least half of the cues must have one, and
    either somebody speaks twice or two people speak.
    """
    found = [_NAME.match(u.text) if u.speaker is None else None for u in utterances]
    names = Counter(match[1] for match in found if match)
    enough = sum(names.values()) >= max(2, _LEAST * len(utterances))
    if not enough:
        return list(utterances)
    out, speaker = list[Utterance](), None
    for utterance, match in zip(utterances, found, strict=True):
        speaker = match[1] if match else utterance.speaker or speaker
        text = utterance.text[match.end() :] if match else utterance.text
        out.append(replace(utterance, text=text, speaker=speaker))
    return out


def stamped(text: str, end_ns: int | None = None) -> list[Utterance] | None:
    """Read plain text whose lines begin with times; None if most do not.

    A line lasts until the next one, the last one as long as it takes to say, both no longer
    than twice that.

    Args:
        text: the whole text.
        end_ns: when the medium ends, if that is known.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    found = [_STAMP.match(line) for line in lines]
    if sum(m is not None for m in found) < max(2, _LEAST * len(lines)):
        return None
    starts: list[int] = []
    said: list[str] = []
    for line, match in zip(lines, found, strict=True):
        if match is None:
            if said:
                said[-1] += f" {line}"
            continue
        hours, minutes, seconds = (int(group or 0) for group in match.groups())
        starts.append(to_ns((hours * 60 + minutes) * 60 + seconds))
        said.append(line[match.end() :])
    utterances = []
    for n, (start, words) in enumerate(zip(starts, said, strict=True)):
        length = to_ns(spoken_length(words) * _PACE)
        following = starts[n + 1] if n + 1 < len(starts) else end_ns
        end = start + length
        if following is not None and following > start:
            end = min(following, start + 2 * length)
        if any(map(str.isalnum, words)):
            utterances.append(Utterance(words, Span(start, end)))
    return utterances
