"""Voices told apart while they are heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Subject, SubjectKind
from ..core.identity import Heard, Identified, IdentityEmbedding
from .config import IdentityConfig
from .voices import Turn, Voices

_OFTEN = 20
"""Voices are clustered anew when a 20th more has been heard, at first with every piece."""

_MOST = 3000
"""Pieces that are kept, of 40 minutes of voice; beyond that the older half is forgotten."""


class LiveVoices:
    """Gives each piece of voice a number as it comes.

    Numbers stay: of voices that turn out to be one the lower is kept, and the merge is told. In
    between, a piece is the nearest known voice's.

    Args:
        config: thresholds.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._voices = Voices(config)
        self._numbers: list[int] = []  # of each piece so far
        self._known: dict[int, NDArray[np.float32]] = {}
        self._merged: set[int] = set()
        self._highest = self._due = 0
        self.turns: list[Turn] = []

    def add(self, item: IdentityEmbedding) -> Iterator[Heard | Identified]:
        """Take the next piece; yield merges, and whose voice it is."""
        if len(self._numbers) >= _MOST:
            self._voices.forget(_MOST // 2)
            del self._numbers[: _MOST // 2]
            self._due = 0
        self._voices.add(item)
        if len(self._numbers) >= self._due:
            yield from self._cluster()
        else:
            self._numbers.append(max(self._known, key=lambda n: self._known[n] @ item.embedding))
        yield Heard(_voice(self._numbers[-1]), item.span, round(item.overlap, 4))

    def numbers(self) -> list[int]:
        """Return the numbers of the speakers of `turns`, as of the last clustering."""
        return list(self._known)

    def _cluster(self) -> Iterator[Identified]:
        self.turns, means = self._voices.turns()
        labels = [turn.speaker for turn in self.turns]
        names = self._named(labels, len(means))
        for number in sorted(set(self._numbers) - set(names.values()) - self._merged):
            homes = [labels[k] for k, n in enumerate(self._numbers) if n == number]
            self._merged.add(number)
            yield Identified(_voice(number), _voice(names[_most(homes)]))
        self._numbers = [names[label] for label in labels]
        self._known = {names[label]: mean for label, mean in enumerate(means)}
        self._due = len(labels) + len(labels) // _OFTEN

    def _named(self, labels: Sequence[int], count: int) -> dict[int, int]:
        """Number clusters: by the lowest of the numbers that mostly lie in them, or a new one."""
        lowest: dict[int, int] = {}
        for number in sorted(set(self._numbers), reverse=True):
            homes = [labels[k] for k, n in enumerate(self._numbers) if n == number]
            lowest[_most(homes)] = number
        for label in range(count):
            if label not in lowest:
                self._highest += 1
                lowest[label] = self._highest
        return lowest


def _voice(number: int) -> Subject:
    return Subject(SubjectKind.VOICE, number)


def _most(labels: Sequence[int]) -> int:
    return int(np.bincount(labels).argmax())
