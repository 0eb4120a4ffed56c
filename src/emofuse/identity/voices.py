"""Stretches of voice that are one speaker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.clustering import cut, ward_merges
from ..core.identity import IdentityEmbedding, Overlap
from ..core.time import Span, to_ns
from .config import IdentityConfig

MOST = 1500
"""Pieces that are compared with each other."""

_PIECE = 3  # embeddings of one unbroken stretch that are averaged: 2.4 s
_BRIEF_NS = to_ns(2.0)
"""A speaker is heard for longer than this in all; what is briefer is the nearest one's."""

_SWITCH = 0.3
"""Likeness that another speaker must have ahead for the turn to change within a stretch."""

_MOST_SPEAKERS = 10
_ROUNDS = 20  # of k-means


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A stretch of voice and the number of its speaker, from 0."""

    span: Span
    speaker: int


class Voices:
    """Collects the embeddings of voiced sound and says which are one speaker's.

    Pieces of a few seconds are clustered for each number of speakers: by Ward's criterion, then
    by spherical k-means from there. Each further speaker must bring the pieces nearer to their
    means by `IdentityConfig.speaker_cost`. Then the embeddings are given to the speakers, where a
    change within a stretch costs something.

    Args:
        config: thresholds.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._config = config
        self._embeddings: list[IdentityEmbedding] = []

    def add(self, item: IdentityEmbedding) -> None:
        """Take an embedding of a voice."""
        self._embeddings.append(item)

    def forget(self, count: int) -> None:
        """Let go of the embeddings that came first."""
        del self._embeddings[:count]

    def turns(self) -> tuple[list[Turn], list[NDArray[np.float32]]]:
        """Return who speaks when, and each speaker's mean embedding, in order of appearance."""
        embeddings = sorted(self._embeddings, key=lambda p: p.span)
        if not embeddings:
            return [], []
        rows = _normal(np.stack([p.embedding for p in embeddings]))
        means = self._speakers(embeddings, rows)
        said = _smoothed(embeddings, rows @ means.T)
        order = list(dict.fromkeys(said.tolist()))
        number = {k: n for n, k in enumerate(order)}
        turns = [Turn(p.span, number[int(k)]) for p, k in zip(embeddings, said, strict=True)]
        return turns, [means[k] for k in order]

    def overlaps(self) -> tuple[Overlap, ...]:
        """Return where two people may speak at once, in order of time."""
        found: list[Overlap] = []
        for p in sorted(self._embeddings, key=lambda p: p.span):
            if p.overlap < self._config.overlap:
                continue
            if found and found[-1].span.end_ns == p.span.start_ns:
                last = found.pop()
                span = Span(last.span.start_ns, p.span.end_ns)
                found.append(Overlap(span, max(last.confidence, round(p.overlap, 4))))
            else:
                found.append(Overlap(p.span, round(p.overlap, 4)))
        return tuple(found)

    def _speakers(
        self, embeddings: Sequence[IdentityEmbedding], rows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Find the speakers: the mean of each one's embeddings, float32 (speakers, width)."""
        pieces, seconds = _pieces(embeddings, rows)
        most = min(_MOST_SPEAKERS, len(pieces))
        wanted = self._config.speakers
        counts = range(1, most + 1) if wanted is None else [min(wanted, most)]
        merges = ward_merges(pieces)
        best: tuple[float, NDArray[np.int64]] | None = None
        for count in counts:
            labels, apart = _k_means(pieces, seconds, cut(merges, count))
            cost = apart + self._config.speaker_cost * (int(labels.max()) + 1)
            if best is None or cost < best[0]:
                best = cost, labels
        assert best is not None
        labels = best[1]
        heard = np.array([seconds[labels == k].sum() for k in range(labels.max() + 1)])
        enough = np.flatnonzero(heard > _BRIEF_NS) if wanted is None else np.arange(len(heard))
        kept = enough if len(enough) else [int(heard.argmax())]
        return _means(pieces, seconds, labels)[kept]


def _pieces(
    embeddings: Sequence[IdentityEmbedding], rows: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Average neighbouring embeddings of a stretch; of a long recording all that are neighbours.

    Returns:
        Pieces of length 1, float32 (n, width), and how long each lasts, in nanoseconds.
    """
    lasts = np.array([p.span.duration_ns for p in embeddings], np.float64)
    size, groups = max(_PIECE, -(-len(embeddings) // MOST)), list[list[int]]()
    for k, item in enumerate(embeddings):
        joined = k > 0 and item.span.start_ns == embeddings[k - 1].span.end_ns
        if groups and len(groups[-1]) < size and (joined or size > _PIECE):
            groups[-1].append(k)
        else:
            groups.append([k])
    weights = lasts * np.array([max(p.quality, 0.05) for p in embeddings])
    pieces = np.stack([weights[g] @ rows[g] for g in groups])
    return _normal(pieces), np.array([lasts[g].sum() for g in groups])


def _k_means(
    rows: NDArray[np.float32], weights: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], float]:
    """Move rows to the nearest mean until none moves; return labels from 0 and the mean distance.

    Distances are 1 less the cosine.
    """
    for _ in range(_ROUNDS):
        labels = np.unique(labels, return_inverse=True)[1]
        alike = rows @ _means(rows, weights, labels).T
        nearest = alike.argmax(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
    labels = np.unique(labels, return_inverse=True)[1]
    alike = (rows * _means(rows, weights, labels)[labels]).sum(axis=1)
    return labels, float(weights @ (1 - alike) / weights.sum())


def _means(
    rows: NDArray[np.float32], weights: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    return _normal(
        np.stack([weights[labels == k] @ rows[labels == k] for k in range(labels.max() + 1)])
    )


def _smoothed(
    embeddings: Sequence[IdentityEmbedding], likeness: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the best sequence of speakers; a change within a stretch costs something (Viterbi)."""
    n, k = likeness.shape
    best, back = likeness[0].astype(np.float64), np.zeros((n, k), np.int64)
    for i in range(1, n):
        joined = embeddings[i].span.start_ns == embeddings[i - 1].span.end_ns
        stay, change = best, best.max() - (_SWITCH if joined else 0.0)
        back[i] = np.where(stay >= change, np.arange(k), best.argmax())
        best = np.maximum(stay, change) + likeness[i]
    path = np.empty(n, np.int64)
    path[-1] = best.argmax()
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i][path[i]]
    return path


def _normal(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bring rows to length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    out: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-9)).astype(np.float32)
    return out
