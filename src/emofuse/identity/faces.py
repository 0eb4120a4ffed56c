"""Face tracks that are one person's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.estimates import Subject
from ..core.identity import IdentityEmbedding
from .cluster import agglomerate, distances
from .config import IdentityConfig

MOST = 1500
"""Tracks that are compared with each other; when there are more, the sure ones are joined."""

_ENOUGH = 4
"""Embeddings from which a cluster that is near another one is somebody of their own."""

_SCATTER = 0.05
"""Variance of an embedding about its person's mean, beyond what all of a track share.

On KDEF, where every embedding is another pose, it is 0.1.
"""

_SOFTNESS = 0.04
"""Distance from a threshold at which a decision is 73 % sure."""


@dataclass(slots=True, eq=False)
class _Node:
    """What is known of a track, or of several that were joined for good."""

    tracks: list[Subject]
    first_ns: int
    total: NDArray[np.float64]
    weight: float = 0.0
    count: int = 0
    beside: set[Subject] = field(default_factory=set)

    @property
    def mean(self) -> NDArray[np.float32]:
        out: NDArray[np.float32] = (self.total / self.weight).astype(np.float32)
        return out

    def add(self, other: _Node) -> None:
        self.tracks += other.tracks
        self.first_ns = min(self.first_ns, other.first_ns)
        self.total = self.total + other.total
        self.weight += other.weight
        self.count += other.count
        self.beside |= other.beside


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Tracks that are taken for one person's.

    Args:
        tracks: in order of appearance.
        first_ns: when the first of them was seen.
        confidence: how clearly they belong together and apart from the others, in [0, 1].
        embedding: their mean, float32.
        maybe: indices of the groups that it may be one with; empty unless nobody can say.
    """

    tracks: tuple[Subject, ...]
    first_ns: int
    confidence: float
    embedding: NDArray[np.float32]
    maybe: tuple[int, ...] = ()


class FaceTracks:
    """Collects the embeddings of face tracks and says which tracks are one person's.

    A track is one person, and two tracks in one frame are two. Its embeddings are averaged by their
    quality. Memory is bounded: beyond `MOST` tracks those that surely belong together are
    joined for good, and if that is not enough, the first ones are left as they are.

    Args:
        config: thresholds.
    """

    def __init__(self, config: IdentityConfig) -> None:
        self._config = config
        self._nodes: list[_Node] = []
        self._done: list[_Node] = []
        self._home: dict[Subject, _Node] = {}

    def add(self, item: IdentityEmbedding) -> None:
        """Take an embedding of a face."""
        row, weight = item.embedding.astype(np.float64), max(item.quality, 1e-3)
        node = _Node([item.subject], item.span.start_ns, weight * row, weight, 1, set(item.beside))
        known = self._home.get(item.subject)
        if known is not None:
            node.tracks = []
            known.add(node)
            return
        self._nodes.append(node)
        self._home[item.subject] = node
        if len(self._nodes) > MOST:
            self._compact()

    def groups(self) -> list[Group]:
        """Return all tracks in groups, in order of appearance."""
        found = [*self._done, *self._joined(self._config.same_face)]
        found.sort(key=_order)
        apart = _distances(found)
        for a, b in _cannot(found):
            apart[a, b] = apart[b, a] = np.inf
        np.fill_diagonal(apart, np.inf)
        maybe = self._doubts(found, apart)
        return [
            Group(
                tracks=tuple(sorted(node.tracks, key=lambda s: s.number)),
                first_ns=node.first_ns,
                confidence=self._confidence(float(apart[k].min(initial=np.inf))),
                embedding=node.mean,
                maybe=maybe.get(k, ()),
            )
            for k, node in enumerate(found)
        ]

    def _joined(self, closest: float) -> list[_Node]:
        nodes = sorted(self._nodes, key=_order)
        if not nodes:
            return []
        weights = [node.count for node in nodes]
        clusters, _ = agglomerate(_distances(nodes), weights, closest, list(_cannot(nodes)))
        joined = []
        for members in clusters:
            first, *others = (nodes[k] for k in members)
            node = _Node([], first.first_ns, np.zeros_like(first.total))
            for other in (first, *others):
                node.add(other)
            joined.append(node)
        return joined

    def _compact(self) -> None:
        """Join for good what is surely one person's; let go of the oldest if that is too little."""
        nodes = self._joined(0.8 * self._config.same_face)
        nodes.sort(key=lambda node: (node.count, *_order(node)))
        surplus = max(0, len(nodes) - MOST // 2)
        self._done += nodes[:surplus]
        self._nodes = nodes[surplus:]
        self._home = {t: node for node in (*self._done, *nodes) for t in node.tracks}

    def _doubts(self, nodes: list[_Node], apart: NDArray[np.float32]) -> dict[int, tuple[int, ...]]:
        """Say which groups of little evidence are too near to others to be somebody else's."""
        doubts: dict[int, tuple[int, ...]] = {}
        for k in sorted(range(len(nodes)), key=lambda k: (-nodes[k].count, k)):
            near: list[int] = np.flatnonzero(apart[k] < self._config.unsure_face).tolist()
            known = tuple(j for j in near if j not in doubts and _before(nodes, j, k))
            if known and nodes[k].count < _ENOUGH:
                doubts[k] = known
        return doubts

    def _confidence(self, nearest: float) -> float:
        gap = (nearest - self._config.same_face) / _SOFTNESS
        return round(float(1 / (1 + np.exp(-np.clip(gap, -30, 30)))), 4)


def _distances(nodes: list[_Node]) -> NDArray[np.float32]:
    """Return how far nodes are apart, as if each were the mean of two embeddings.

    The mean of many embeddings scatters less: the square of a distance between two of them has
    `_SCATTER` / n less from each side.
    """
    if not nodes:
        return np.zeros((0, 0), np.float32)
    plain = distances(np.stack([node.mean for node in nodes]))
    scatter = _SCATTER / np.array([node.count for node in nodes])
    excess = scatter[:, None] + scatter[None] - _SCATTER
    out: NDArray[np.float32] = np.sqrt(np.maximum(plain**2 - excess, 0)).astype(np.float32)
    return out


def _order(node: _Node) -> tuple[int, Subject]:
    return node.first_ns, node.tracks[0]


def _before(nodes: list[_Node], j: int, k: int) -> bool:
    """Whether more is known of one node than of another, or as much and earlier."""
    return (-nodes[j].count, j) < (-nodes[k].count, k)


def _cannot(nodes: list[_Node]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of nodes that have tracks which were seen in one frame."""
    home = {track: k for k, node in enumerate(nodes) for track in node.tracks}
    for k, node in enumerate(nodes):
        for other in node.beside:
            j = home.get(other, k)
            if j != k:
                yield (min(j, k), max(j, k))
