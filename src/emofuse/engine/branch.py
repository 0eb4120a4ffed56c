"""How a pipeline forks, written down so that it can run in one thread or in many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.estimates import Modality
from ..core.media import Track
from ..core.protocols import Stage
from .pipeline import Chain, Fork


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A stage and the branches that each take everything it yields.

    Args:
        name: what it does, for people: ``"face"``, ``"sound"``, ``"text"``.
        track: what it is fed.
        stage: what it runs.
        modality: of the estimates and the progress that a branch without
            followers yields; None if it has followers.
        followers: the branches that take what the stage yields.

    Raises:
        ValueError: if it has both a modality and followers, or neither.
    """

    name: str
    track: Track
    stage: Stage[Any, Any]
    modality: Modality | None = None
    followers: tuple[Branch, ...] = ()

    def __post_init__(self) -> None:
        if (self.modality is None) == (not self.followers):
            raise ValueError(f"branch {self.name!r} needs either a modality or followers")

    def joined(self) -> Stage[Any, Any]:
        """Return the branch with all its followers as one stage, to be run in one thread."""
        if not self.followers:
            return self.stage
        return Chain(self.stage, Fork(*(branch.joined() for branch in self.followers)))

    def __iter__(self) -> Iterator[Branch]:
        """Yield the branch and all that follow it, each before its followers."""
        yield self
        for branch in self.followers:
            yield from branch
