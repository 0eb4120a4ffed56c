"""Who is who: what tells people apart, and what is known of them in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .estimates import Subject
from .time import Span


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A good view of a face, from which it can be told whose it is.

    Args:
        subject: the track.
        span: the time for which the frame was shown.
        image: the face, upright, RGB uint8 (side, side, 3).
        quality: how good the view is, in [0, 1].
        beside: the tracks that were seen in one frame with it so far: other people.
    """

    subject: Subject
    span: Span
    image: NDArray[np.uint8]
    quality: float
    beside: frozenset[Subject] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class IdentityEmbedding:
    """An embedding of a face or a voice. It is biometric: it stays in memory.

    Args:
        subject: the face track; of voices, the speaker who is not told apart yet.
        span: what it was made from.
        embedding: float32, shape (width,); near each other for one person.
        quality: how good the evidence was, in [0, 1].
        beside: tracks that are surely somebody else.
        overlap: of voices, how likely two people speak at once, in [0, 1].
    """

    subject: Subject
    span: Span
    embedding: NDArray[np.float32]
    quality: float
    beside: frozenset[Subject] = frozenset()
    overlap: float = 0.0


@dataclass(frozen=True, slots=True)
class Identified:
    """Says who a face track or a voice is. A later one about the same revises it.

    Args:
        subject: the track, or the voice (``voice-2``).
        person: who it is; of voices that turn out to be one, the voice that is kept.
    """

    subject: Subject
    person: Subject


@dataclass(frozen=True, slots=True)
class Heard:
    """Says whose voice was heard live.

    Args:
        subject: the voice; `Identified` says if it is somebody's who is seen.
        span: when.
        overlap: how likely two people spoke at once, in [0, 1].
    """

    subject: Subject
    span: Span
    overlap: float


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody in a medium.

    Args:
        subject: what the estimates call them: ``person-2``, or ``speaker-1`` of a voice
            whose face was never seen speaking.
        tracks: the face tracks that are theirs, in order.
        confidence: how clearly their faces or voice belong together and apart from
            everybody else's, in [0, 1].
        voice: whether a voice is theirs, off the screen, too.
        embeddings: by ``"face"`` and ``"voice"``; empty unless they were asked for.
    """

    subject: Subject
    tracks: tuple[Subject, ...] = ()
    confidence: float = 1.0
    voice: bool = False
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsure:
    """A face track of which nobody can say whose it is.

    Args:
        subject: the track.
        maybe: the people it may be; empty: it was never seen well enough.
    """

    subject: Subject
    maybe: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True)
class Overlap:
    """A stretch in which two people may speak at once: what is said of the voice is of both.

    Args:
        span: when.
        confidence: how likely, in [0, 1].
    """

    span: Span
    confidence: float


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a medium, as far as it can be told.

    Args:
        known: everybody, in order of appearance.
        unsure: tracks that may be anybody's.
        overlaps: where two may speak at once, in order of time.
    """

    known: tuple[Person, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    def overlap_at(self, span: Span) -> float | None:
        """Return how likely an overlap is that a span shares; None if it shares none."""
        shared = (o.confidence for o in self.overlaps if o.span.overlap_ns(span))
        return max(shared, default=None)
