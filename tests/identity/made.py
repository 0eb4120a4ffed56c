"""Embeddings that nobody's face or voice made."""

from __future__ import annotations

import numpy as np

from emofuse.core.estimates import SPEAKER, Subject, SubjectKind
from emofuse.core.identity import IdentityEmbedding
from emofuse.core.time import Span, to_ns


def face(number: int) -> Subject:
    return Subject(SubjectKind.FACE, number)


def person(number: int) -> Subject:
    return Subject(SubjectKind.PERSON, number)


def direction(who: int, width: int = 8) -> np.ndarray:
    return np.eye(width, dtype=np.float32)[who]


def face_embedding(
    number: int,
    who: int,
    at: float = 0.0,
    off: float = 0.0,
    beside: tuple[int, ...] = (),
    quality: float = 0.8,
) -> IdentityEmbedding:
    """Return the embedding of a track that shows somebody, `off` away from their mean."""
    row = direction(who) + off * direction(7)
    span = Span.of_seconds(at, at + 0.1)
    return IdentityEmbedding(face(number), span, row, quality, frozenset(map(face, beside)))


def voice_embeddings(
    turns: list[tuple[float, float, int]], noise: float = 0.02
) -> list[IdentityEmbedding]:
    """Return embeddings every 0.8 s of (start, end, who)."""
    rng, out = np.random.default_rng(0), []
    for start, end, who in turns:
        at = to_ns(start)
        while at < to_ns(end):
            until = min(at + to_ns(0.8), to_ns(end))
            row = direction(who) + rng.normal(0, noise, 8).astype(np.float32)
            out.append(IdentityEmbedding(SPEAKER, Span(at, until), row.astype(np.float32), 0.9))
            at = until
    return out


def voice(number: int) -> Subject:
    return Subject(SubjectKind.VOICE, number)
